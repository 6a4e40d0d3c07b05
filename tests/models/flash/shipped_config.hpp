#pragma once

#include <string>

#include "models/flash/analytic_model.hpp"
#include "models/flash/device_params.hpp"
#include "sim/base/params.hpp"

namespace kvr::test {

/// The values that a file under configs/ gives to its one component of `kind`, checked against the catalogue.
/// Throws InputError when a key is unknown, a value does not read or a parameter is missing.
ParamValues shipped_values(const std::string& kind, const std::string& file);

flash::DeviceParams shipped_device(const std::string& name);

using flash::fit_host;

}  // namespace kvr::test
