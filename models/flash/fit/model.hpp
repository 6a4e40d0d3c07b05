#pragma once

#include <map>
#include <string>

#include "models/flash/device_params.hpp"

namespace kvr::flash::fit {

enum class Origin { fitted, base, assumed };

/// Where the value of a parameter comes from.
struct Finding {
  Origin origin = Origin::base;
  std::string how;  ///< what identified it, or why nothing did
};

/// A parameter set on its way from the base to the fit. Parameters without a finding are the base's, and
/// nothing was tried.
struct Model {
  DeviceParams device;
  std::map<std::string, Finding, std::less<>> findings;

  void found(const std::string& name, std::string how) { findings[name] = {Origin::fitted, std::move(how)}; }
  void assume(const std::string& name, std::string how) {
    findings[name] = {Origin::assumed, std::move(how)};
  }
  void keep(const std::string& name, std::string why) { findings[name] = {Origin::base, std::move(why)}; }
};

}  // namespace kvr::flash::fit
