#include "sim/base/registry.hpp"

#include "sim/base/error.hpp"

namespace kvr {

Catalogue& Catalogue::instance() {
  static Catalogue catalogue;
  return catalogue;
}

void Catalogue::add(std::string_view kind, const Implementation& implementation) {
  const bool fresh = kinds_[std::string(kind)].emplace(implementation.name, implementation).second;
  KVR_CHECK(fresh, "two implementations of {} are called '{}'", kind, implementation.name);
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
