// Walks the grammar once:
//   table, list of tables -> a section, called by its dotted path with N for a place in a list
//   any field             -> a row in the section that it stands in
#include "sim/cli/schema_markdown.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cctype>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/cli/list/param_cells.hpp"
#include "sim/cli/table.hpp"
#include "sim/config/text/grammar.hpp"

namespace kvr::cli {

namespace {

using config::Field;
using config::Needed;
using config::Shape;

constexpr std::string_view kHead =
    "# Configuration: every key\n\n"
    "Printed by `kvreplay schema --markdown`. Keys are written as `--set`, `sweep:`, `zip:` and `kvreplay "
    "explain` take them; N is a place in a list, from 0 on. How files are put together stands in "
    "[configurations](configurations.md), words in the [glossary](glossary.md). A component is a name "
    "(`scorer: centroid`) or a map of its `type` and parameters (`budget: {type: fixed, entries: 64}`); what "
    "each "
    "takes, with unit, default, range and source, stands in [what exists](../policies/README.md). What is "
    "wrong is told with file, line and column, all of it at once.\n\n";

std::string units_text() {
  struct Named {
    std::string_view name;
    Quantity quantity;
  };
  Table table{{"quantity", "units"}, {}};
  for (const Named& named : {Named{"bytes", Quantity::bytes}, Named{"seconds", Quantity::seconds},
                             Named{"bytes per second", Quantity::bytes_per_second},
                             Named{"hertz", Quantity::hertz}, Named{"per second", Quantity::per_second},
                             Named{"joules", Quantity::joules}, Named{"watts", Quantity::watts}}) {
    table.rows.push_back({std::string(named.name), unit_names(named.quantity)});
  }
  return fmt::format(
      "## Units\n\nA number that measures something is written with its unit, `64MiB` or `25us`; "
      "plain numbers may end in {}.\n\n{}\n",
      unit_names(Quantity::none), markdown_table(table));
}

std::string_view quantity_name(Quantity quantity) {
  switch (quantity) {
    case Quantity::none:
      return "";
    case Quantity::bytes:
      return "bytes";
    case Quantity::seconds:
      return "seconds";
    case Quantity::bytes_per_second:
      return "bytes per second";
    case Quantity::hertz:
      return "hertz";
    case Quantity::per_second:
      return "per second";
    case Quantity::joules:
      return "joules";
    case Quantity::watts:
      return "watts";
  }
  return "";
}

std::string unit_cell(const ParamSpec& spec) {
  return std::string(spec.info.unit.empty() ? quantity_name(spec.info.quantity) : spec.info.unit);
}

/// The anchor that a heading of Markdown gets.
std::string anchor_of(std::string_view heading) {
  std::string anchor;
  for (const char c : heading) {
    const auto code = static_cast<unsigned char>(c);
    if (std::isalnum(code) != 0 || c == '-' || c == '_') {
      anchor += static_cast<char>(std::tolower(code));
    } else if (c == ' ') {
      anchor += '-';
    }
  }
  return anchor;
}

std::string kind_link(std::string_view kind) {
  const std::string heading = fmt::format("{}: {}", kind, config::kind_doc(kind));
  return fmt::format("[{}](../policies/README.md#{})", kind, anchor_of(heading));
}

/// Where a component must be given, or what is taken where it is not.
std::string component_default(const Field& field) {
  switch (field.needed) {
    case Needed::on_flash:
      return "required where the last tier is flash";
    case Needed::over_lower_tier:
      return "required where there is more than one tier";
    case Needed::unless_taken:
      return "required without `take`";
    case Needed::unless_joint:
      return fmt::format("{}; none beside `joint`", field.default_type);
    case Needed::if_given:
      return "none";
    case Needed::always:
      return field.default_type.empty() ? "required" : field.default_type;
  }
  return "";
}

/// A default that stands for "not given" lies outside of what may be.
bool is_out_of_range(const ParamSpec& spec) {
  const auto* whole = std::get_if<std::int64_t>(&spec.default_value);
  const auto* real = std::get_if<double>(&spec.default_value);
  if (whole == nullptr && real == nullptr) {
    return false;
  }
  const double value = whole != nullptr ? static_cast<double>(*whole) : *real;
  return value < spec.info.min || value > spec.info.max;
}

std::string value_type(const Field& field) {
  if (field.is_path) {
    return "path";
  }
  if (field.is_numbers) {
    return "numbers and ranges";
  }
  return type_cell(field.spec);
}

std::vector<std::string> row_of(const Field& field, const std::string& path) {
  const auto row = [&](std::string type, std::string unit, std::string otherwise, std::string allowed) {
    return std::vector<std::string>{fmt::format("`{}`", path),
                                    std::move(type),
                                    std::move(unit),
                                    std::move(otherwise),
                                    std::move(allowed),
                                    field.doc,
                                    std::string(field.spec.info.source)};
  };
  switch (field.shape) {
    case Shape::value:
      return row(value_type(field), unit_cell(field.spec),
                 is_out_of_range(field.spec) ? "none" : default_cell(field.spec), allowed_cell(field.spec));
    case Shape::words:
      return row("one or several words", "", default_cell(field.spec), allowed_cell(field.spec));
    case Shape::component:
      return row("component", "", component_default(field), kind_link(field.kind));
    case Shape::table:
      return row(
          "map", "", "",
          field.shorthand.empty() ? "" : fmt::format("or a value, which is its `{}`", field.shorthand));
    case Shape::list:
      return row("list", "", field.may_lack ? "[]" : "required",
                 fmt::format("{} to {} of them", field.min_items, field.max_items));
    case Shape::include:
      return row("path or list of paths", "", "none", "");
    case Shape::overlays:
      return row("map of overlays by name", "", "none", "any keys but `points`, `sweep` and `zip`");
    case Shape::axes:
      return row("map of axes by key", "", "none", "[axes](sweeps.md#axes)");
    case Shape::seeds:
      return row("integer or list", "", "none", "at least 1, or a list of at least one");
  }
  return {};
}

/// What has fields of its own: a table, or the elements of a list.
const Field* inner_table(const Field& field) {
  return field.shape == Shape::table ? &field : field.shape == Shape::list ? &field.fields.front() : nullptr;
}

std::string sentence(std::string text) {
  text.at(0) = static_cast<char>(std::toupper(static_cast<unsigned char>(text.at(0))));
  return text + ".";
}

std::string section(const Field& table, const std::string& path, const std::string& doc) {
  Table keys{{"key", "type", "unit", "default", "allowed", "meaning", "source"}, {}};
  std::string inner;
  for (const Field& field : table.fields) {
    const std::string below = path.empty() ? field.name : fmt::format("{}.{}", path, field.name);
    keys.rows.push_back(row_of(field, below));
    if (const Field* next = inner_table(field)) {
      inner += section(*next, field.shape == Shape::list ? below + ".N" : below, next->doc);
    }
  }
  const std::string heading = path.empty() ? "Top level" : fmt::format("`{}`", path);
  return fmt::format("## {}\n\n{}\n\n{}\n{}", heading, sentence(doc), markdown_table(keys), inner);
}

std::string kinds_text(const Catalogue& catalogue) {
  Table table{{"kind", "types"}, {}};
  for (const auto& [kind, implementations] : catalogue.kinds()) {
    std::vector<std::string_view> names;
    for (const auto& [name, implementation] : implementations) {
      names.push_back(name);
    }
    table.rows.push_back({kind_link(kind), fmt::format("{}", fmt::join(names, ", "))});
  }
  return fmt::format("## Components\n\nThe types of each kind.\n\n{}", markdown_table(table));
}

}  // namespace

std::string schema_markdown(const Catalogue& catalogue) {
  const Field& root = config::root_grammar();
  return fmt::format("{}{}{}{}", kHead, units_text(),
                     section(root, "", "What a file, or the files that it includes, may have"),
                     kinds_text(catalogue));
}

}  // namespace kvr::cli
