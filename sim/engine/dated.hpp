#pragma once

#include <fmt/format.h>

#include <string>

#include "sim/base/error.hpp"

namespace kvr {

/// Says of a policy's fault when it happened.
template <class Act>
void dated(const std::string& when, Act act) {
  try {
    act();
  } catch (const PolicyFault& fault) {
    throw PolicyFault(fmt::format("{} ({})", fault.what(), when));
  }
}

}  // namespace kvr
