#include "traces/header.hpp"

#include "sim/base/error.hpp"

namespace kvr::trace {
namespace {

constexpr Field kFields[] = {Field::keys, Field::values, Field::queries, Field::speculated_queries};

}  // namespace

const char* name_of(Field field) {
  switch (field) {
    case Field::keys:
      return "keys";
    case Field::values:
      return "values";
    case Field::queries:
      return "queries";
    case Field::speculated_queries:
      return "speculated_queries";
  }
  throw InternalError(fmt::format("no field has the number {}", static_cast<int>(field)));
}

Field field_of(const std::string& name) {
  for (const Field field : kFields) {
    if (name == name_of(field)) {
      return field;
    }
  }
  throw InputError(
      fmt::format("no field is called '{}'; expected keys, values, queries or speculated_queries", name));
}

}  // namespace kvr::trace
