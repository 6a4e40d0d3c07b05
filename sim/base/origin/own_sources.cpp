#include "sim/base/origin/own_sources.hpp"

#include <fmt/format.h>

#include <set>

namespace kvr {
namespace {

/// Made when it is first asked for, as nothing says in which order sources name themselves.
std::set<std::string>& lines() {
  static std::set<std::string> lines;
  return lines;
}

}  // namespace

OwnSource::OwnSource(std::string_view path, std::string_view sha256) {
  lines().insert(fmt::format("{} {}", path, sha256));
}

std::vector<std::string> own_sources() {
  return {lines().begin(), lines().end()};
}

}  // namespace kvr
