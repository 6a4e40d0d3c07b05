// Walks the grammar and the catalogue once:
//   value      -> type, enum, pattern of units, minimum and maximum
//   table      -> object with exactly its properties
//   component  -> a name, or an object whose `type` picks the implementation's own object from $defs
//   root       -> what a point has, plus include, points, sweep, zip
// Overlays state parts of components, so an object without `type` may hold any parameter of its kind.
#include "sim/config/schema.hpp"

#include <fmt/format.h>

#include <cmath>
#include <set>
#include <utility>

#include "sim/base/json.hpp"
#include "sim/base/param_text.hpp"
#include "sim/base/units.hpp"
#include "sim/config/text/grammar.hpp"

namespace kvr::config {

namespace {

constexpr std::string_view kNumber = R"([-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?)";

std::string unit_pattern(const ParamSpec& spec) {
  std::vector<std::string_view> names;
  for (const Unit& unit : units_of(spec.info.quantity)) {
    names.push_back(unit.name);
  }
  const std::string unit = fmt::format("[ \\t]*({})", fmt::join(names, "|"));
  const std::string number = spec.info.quantity == Quantity::none ? fmt::format("{}({})?", kNumber, unit)
                                                                  : fmt::format("{}{}", kNumber, unit);
  return spec.info.unlimited ? fmt::format("^({}|unlimited)$", number) : fmt::format("^{}$", number);
}

Json typed(std::string_view type) {
  return {{"type", type}};
}

Json reference(std::string_view definition) {
  return {{"$ref", fmt::format("#/$defs/{}", definition)}};
}

/// An object with these properties and no others.
Json closed_object(Json properties) {
  return {{"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
}

Json list_of(Json items) {
  return {{"type", "array"}, {"items", std::move(items)}};
}

Json merged(Json first, const Json& second) {
  first.update(second);
  return first;
}

std::string description(const ParamSpec& spec) {
  std::string text(spec.info.doc);
  if (!spec.info.unit.empty()) {
    text += fmt::format(" [{}]", spec.info.unit);
  }
  text +=
      spec.info.required ? "; required" : fmt::format("; default {}", format_value(spec.default_value, spec));
  if (!spec.info.source.empty()) {
    text += fmt::format("; source: {}", spec.info.source);
  }
  return text;
}

Json text_type(const ParamSpec& spec) {
  if (spec.info.choices.empty()) {
    // A text needs no quotes even where YAML takes it for a number.
    return {{"type", {"string", "number", "boolean"}}};
  }
  return {{"enum", choices_of(spec.info)}};
}

/// Whole numbers without a fraction.
Json number(double value) {
  constexpr double kExact = 9e15;  // whole numbers that a double holds
  const bool whole = std::abs(value) < kExact && value == std::floor(value);
  return whole ? Json(std::llround(value)) : Json(value);
}

Json number_type(const ParamSpec& spec) {
  Json text = {{"type", "string"}, {"pattern", unit_pattern(spec)}};
  if (spec.info.quantity != Quantity::none) {
    return text;
  }
  Json plain = typed(spec.type == ValueType::integer ? "integer" : "number");
  if (std::isfinite(spec.info.min)) {
    plain[spec.info.above_min ? "exclusiveMinimum" : "minimum"] = number(spec.info.min);
  }
  if (std::isfinite(spec.info.max)) {
    plain["maximum"] = number(spec.info.max);
  }
  return {{"anyOf", {plain, text}}};
}

Json value_type(const ParamSpec& spec) {
  switch (spec.type) {
    case ValueType::boolean:
      return typed("boolean");
    case ValueType::text:
      return text_type(spec);
    case ValueType::integer:
    case ValueType::real:
      return number_type(spec);
  }
  return {};
}

Json value_schema(const ParamSpec& spec) {
  return merged({{"description", description(spec)}}, value_type(spec));
}

Json field_schema(const Field& field);

Json table_schema(const Field& field) {
  Json properties = Json::object();
  for (const Field& inner : field.fields) {
    properties[inner.name] = field_schema(inner);
  }
  const Field* shorthand = field.find(field.shorthand);
  Json table = closed_object(std::move(properties));
  return shorthand == nullptr ? table : Json{{"oneOf", {value_type(shorthand->spec), std::move(table)}}};
}

Json items_schema(const Field& field) {
  return {{"type", "array"},
          {"minItems", field.min_items},
          {"maxItems", field.max_items},
          {"items", field_schema(field.fields.front())}};
}

Json seeds_schema() {
  const Json seed = {{"type", "integer"}, {"minimum", 0}};
  const Json count = {{"type", "integer"}, {"minimum", 1}};
  return {{"oneOf", {count, merged(list_of(seed), {{"minItems", 1}})}}};
}

/// A word, several in one text, or a list of words.
Json words_schema(const Field& field) {
  const auto choices = choices_of(field.spec.info);
  const std::string word = fmt::format("({})", fmt::join(choices, "|"));
  const Json text = {{"type", "string"}, {"pattern", fmt::format("^ *{} *(, *{} *)*$", word, word)}};
  return {{"oneOf", {text, merged(list_of({{"enum", choices}}), {{"minItems", 1}})}}};
}

/// A list of values, or the map that points/axes.cpp reads.
Json axis_schema() {
  const Json values = {{"type", "array"}, {"minItems", 1}};
  const Json named = {{"type", "object"}, {"minProperties", 1}};
  const Json overlays = {{"type", "object"},
                         {"minProperties", 1},
                         {"additionalProperties", {{"oneOf", {reference("overlay"), typed("null")}}}}};
  const Json map = closed_object({{"values", {{"oneOf", {values, named}}}},
                                  {"points", overlays},
                                  {"name", {{"type", "string"}, {"pattern", "^[A-Za-z0-9_.-]+$"}}},
                                  {"when", named}});
  return {{"oneOf", {values, map, typed("null")}}};
}

Json axes_schema() {
  return {{"oneOf", {{{"type", "object"}, {"additionalProperties", axis_schema()}}, typed("null")}}};
}

Json shape_schema(const Field& field) {
  switch (field.shape) {
    case Shape::value:
      return value_schema(field.spec);
    case Shape::table:
      return table_schema(field);
    case Shape::component:
      return reference(field.kind);
    case Shape::list:
      return items_schema(field);
    case Shape::include:
      return {{"oneOf", {typed("string"), list_of(typed("string"))}}};
    case Shape::overlays:
      return {{"type", "object"},
              {"additionalProperties", {{"oneOf", {reference("overlay"), typed("null")}}}}};
    case Shape::axes:
      return axes_schema();
    case Shape::seeds:
      return seeds_schema();
    case Shape::words:
      return words_schema(field);
  }
  return {};
}

Json field_schema(const Field& field) {
  return field.shape == Shape::value ? shape_schema(field)
                                     : merged({{"description", field.doc}}, shape_schema(field));
}

/// The keys of a file (`whole`) or of an overlay, which takes includes but makes no points of its own.
Json root_schema(bool whole) {
  Json properties = Json::object();
  for (const Field& field : root_grammar().fields) {
    if (whole || !is_composition(field) || field.shape == Shape::include) {
      properties[field.name] = field_schema(field);
    }
  }
  return closed_object(std::move(properties));
}

/// If `type` is `name` then the object is that implementation's.
Json choice_schema(const std::string& kind, const std::string& name) {
  return {{"if", {{"properties", {{"type", {{"const", name}}}}}, {"required", Json::array({"type"})}}},
          {"then", reference(fmt::format("{}.{}", kind, name))}};
}

Json component_schema(const std::string& kind, const Catalogue::Kind& implementations) {
  std::vector<std::string> names;
  std::set<std::string> keys = {"type"};
  Json choices = Json::array();
  for (const auto& [name, implementation] : implementations) {
    names.push_back(name);
    choices.push_back(choice_schema(kind, name));
    for (const ParamSpec& spec : implementation.params) {
      keys.insert(spec.name);
    }
  }
  return {{"if", typed("string")},
          {"then", {{"enum", names}}},
          {"else",
           {{"type", "object"},
            {"properties", {{"type", {{"enum", names}}}}},
            {"propertyNames", {{"enum", keys}}},
            {"allOf", std::move(choices)}}}};
}

Json implementation_schema(const Implementation& implementation) {
  const std::string source =
      implementation.source.empty() ? "" : fmt::format("; source: {}", implementation.source);
  Json properties = {{"type", {{"const", implementation.name}}}};
  for (const ParamSpec& spec : implementation.params) {
    properties[spec.name] = value_schema(spec);
  }
  return merged({{"description", implementation.doc + source}}, closed_object(std::move(properties)));
}

Json definitions(const Catalogue& catalogue) {
  Json all = {{"overlay", root_schema(false)}};
  for (const auto& [kind, implementations] : catalogue.kinds()) {
    all[kind] = component_schema(kind, implementations);
    for (const auto& [name, implementation] : implementations) {
      all[fmt::format("{}.{}", kind, name)] = implementation_schema(implementation);
    }
  }
  return all;
}

}  // namespace

std::string json_schema(const Catalogue& catalogue) {
  Json schema = merged(
      {{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", "kvreplay configuration"}},
      root_schema(true));
  schema["$defs"] = definitions(catalogue);
  return json_text(schema);
}

}  // namespace kvr::config
