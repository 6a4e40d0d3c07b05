#include "sim/cli/list/param_cells.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "sim/base/param_text.hpp"

namespace kvr::cli {

std::string type_cell(const ParamSpec& spec) {
  switch (spec.type) {
    case ValueType::boolean:
      return "boolean";
    case ValueType::integer:
      return "integer";
    case ValueType::real:
      return "real";
    case ValueType::text:
      return "text";
  }
  return "";
}

std::string default_cell(const ParamSpec& spec) {
  const std::string text = format_value(spec.default_value, spec);
  return spec.info.required ? "required" : text.empty() ? "\"\"" : text;
}

std::string allowed_cell(const ParamSpec& spec) {
  if (!spec.info.choices.empty()) {
    return fmt::format("{}", fmt::join(choices_of(spec.info), ", "));
  }
  return describe_range(spec) + (spec.info.unlimited ? ", or unlimited" : "");
}

}  // namespace kvr::cli
