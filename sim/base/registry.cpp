#include "sim/base/registry.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "sim/base/error.hpp"
#include "sim/base/param_text.hpp"

namespace kvr {
namespace {

bool is_in_range(double value, const ParamDoc& info) {
  if (std::isinf(value) && value > 0.0 && info.unlimited) {
    return true;
  }
  return value <= info.max && (info.above_min ? value > info.min : value >= info.min);
}

/// Whether a configuration could give the default.
bool is_allowed_default(const ParamSpec& spec) {
  if (const auto* text = std::get_if<std::string>(&spec.default_value)) {
    const auto choices = choices_of(spec.info);
    return choices.empty() || std::ranges::find(choices, *text) != choices.end();
  }
  if (const auto* integer = std::get_if<std::int64_t>(&spec.default_value)) {
    return is_in_range(static_cast<double>(*integer), spec.info);
  }
  const auto* real = std::get_if<double>(&spec.default_value);
  return real == nullptr || is_in_range(*real, spec.info);
}

std::vector<std::string> faults_of(const Implementation& implementation) {
  std::vector<std::string> faults;
  std::set<std::string_view> names;
  for (const ParamSpec& spec : implementation.params) {
    if (!names.insert(spec.name).second || spec.name == "type") {
      faults.push_back(fmt::format("parameter {} is there twice", spec.name));
    }
    if (!spec.info.required && !is_allowed_default(spec)) {
      faults.push_back(fmt::format("parameter {}: its default is {}; allowed: {}", spec.name,
                                   format_value(spec.default_value, spec), describe_allowed(spec)));
    }
  }
  return faults;
}

}  // namespace

Catalogue& Catalogue::instance() {
  static Catalogue catalogue;
  return catalogue;
}

void Catalogue::add(std::string_view kind, const Implementation& implementation) {
  if (!kinds_[std::string(kind)].emplace(implementation.name, implementation).second) {
    faults_.push_back(fmt::format("two implementations of {} are called '{}'", kind, implementation.name));
  }
  for (const std::string& fault : faults_of(implementation)) {
    faults_.push_back(fmt::format("{} '{}': {}", kind, implementation.name, fault));
  }
}

void Catalogue::throw_if_faulty() const {
  if (!faults_.empty()) {
    throw PolicyFault(fmt::format("{}", fmt::join(faults_, "\n")));
  }
}

const Catalogue::Kind& Catalogue::kind(std::string_view kind) const {
  static const Kind empty;
  const auto found = kinds_.find(kind);
  return found == kinds_.end() ? empty : found->second;
}

const Implementation* Catalogue::find(std::string_view kind_name, std::string_view name) const {
  const Kind& implementations = kind(kind_name);
  const auto found = implementations.find(name);
  return found == implementations.end() ? nullptr : &found->second;
}

}  // namespace kvr
