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

#include "sim/base/param_text.hpp"
#include "sim/base/units.hpp"
#include "sim/config/json_writer.hpp"
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

class SchemaWriter {
 public:
  explicit SchemaWriter(const Catalogue& catalogue) : catalogue_(catalogue) {}

  std::string write() && {
    json_.open('{');
    json_.key("$schema").text("https://json-schema.org/draft/2020-12/schema");
    json_.key("title").text("kvreplay configuration");
    write_root(true);
    json_.key("$defs").open('{');
    json_.key("overlay").open('{');
    write_root(false);
    json_.close();
    write_implementations();
    json_.close().close();
    return std::move(json_).take();
  }

 private:
  /// The keys of a file (`whole`) or of an overlay, which takes includes but makes no points of its own.
  void write_root(bool whole) {
    json_.key("type").text("object");
    json_.key("properties").open('{');
    for (const Field& field : root_grammar().fields) {
      if (whole || !is_composition(field) || field.shape == Shape::include) {
        json_.key(field.name);
        write_field(field);
      }
    }
    json_.close();
    json_.key("additionalProperties").truth(false);
  }

  void write_field(const Field& field) {
    json_.open('{');
    if (field.shape != Shape::value) {
      json_.key("description").text(field.doc);
    }
    switch (field.shape) {
      case Shape::value:
        write_value(field.spec);
        break;
      case Shape::table:
        write_table(field);
        break;
      case Shape::component:
        json_.key("$ref").text(fmt::format("#/$defs/{}", field.kind));
        break;
      case Shape::list:
        write_list(field);
        break;
      case Shape::include:
        write_include();
        break;
      case Shape::overlays:
        json_.key("type").text("object");
        json_.key("additionalProperties").open('{');
        json_.key("oneOf").open('[');
        json_.open('{').key("$ref").text("#/$defs/overlay").close();
        json_.open('{').key("type").text("null").close();
        json_.close().close();
        break;
      case Shape::axes:
        json_.key("type").text("object");
        json_.key("additionalProperties").open('{');
        json_.key("type").text("array").key("minItems").integer(1).close();
        break;
      case Shape::seeds:
        write_seeds();
        break;
      case Shape::words:
        write_words(field);
        break;
    }
    json_.close();
  }

  void write_table(const Field& field) {
    json_.key("type").text("object");
    json_.key("properties").open('{');
    for (const Field& inner : field.fields) {
      json_.key(inner.name);
      write_field(inner);
    }
    json_.close();
    json_.key("additionalProperties").truth(false);
  }

  void write_list(const Field& field) {
    json_.key("type").text("array");
    json_.key("minItems").integer(static_cast<std::int64_t>(field.min_items));
    json_.key("maxItems").integer(static_cast<std::int64_t>(field.max_items));
    json_.key("items");
    write_field(field.fields.front());
  }

  void write_seeds() {
    json_.key("oneOf").open('[');
    json_.open('{').key("type").text("integer").key("minimum").integer(1).close();
    json_.open('{').key("type").text("array").key("minItems").integer(1);
    json_.key("items").open('{').key("type").text("integer").key("minimum").integer(0).close().close();
    json_.close();
  }

  /// A word, several in one text, or a list of words.
  void write_words(const Field& field) {
    const auto choices = choices_of(field.spec.info);
    const std::string word = fmt::format("({})", fmt::join(choices, "|"));
    json_.key("oneOf").open('[');
    json_.open('{').key("type").text("string");
    json_.key("pattern").text(fmt::format("^ *{} *(, *{} *)*$", word, word)).close();
    json_.open('{')
        .key("type")
        .text("array")
        .key("minItems")
        .integer(1)
        .key("items")
        .open('{')
        .key("enum")
        .open('[');
    for (const std::string_view choice : choices) {
      json_.text(choice);
    }
    json_.close().close().close().close();
  }

  void write_include() {
    json_.key("oneOf").open('[');
    json_.open('{').key("type").text("string").close();
    json_.open('{')
        .key("type")
        .text("array")
        .key("items")
        .open('{')
        .key("type")
        .text("string")
        .close()
        .close();
    json_.close();
  }

  std::string description(const ParamSpec& spec) const {
    std::string text(spec.info.doc);
    if (!spec.info.unit.empty()) {
      text += fmt::format(" [{}]", spec.info.unit);
    }
    text += spec.info.required ? "; required"
                               : fmt::format("; default {}", format_value(spec.default_value, spec));
    if (!spec.info.source.empty()) {
      text += fmt::format("; source: {}", spec.info.source);
    }
    return text;
  }

  void write_value(const ParamSpec& spec) {
    json_.key("description").text(description(spec));
    switch (spec.type) {
      case ValueType::boolean:
        json_.key("type").text("boolean");
        break;
      case ValueType::text:
        write_text_type(spec);
        break;
      case ValueType::integer:
      case ValueType::real:
        write_number_type(spec);
        break;
    }
  }

  void write_text_type(const ParamSpec& spec) {
    if (spec.info.choices.empty()) {
      // A text needs no quotes even where YAML takes it for a number.
      json_.key("type").texts({"string", "number", "boolean"});
      return;
    }
    const auto choices = choices_of(spec.info);
    json_.key("enum").texts({choices.begin(), choices.end()});
  }

  void write_number_type(const ParamSpec& spec) {
    if (spec.info.quantity != Quantity::none) {
      json_.key("type").text("string").key("pattern").text(unit_pattern(spec));
      return;
    }
    json_.key("anyOf").open('[').open('{');
    json_.key("type").text(spec.type == ValueType::integer ? "integer" : "number");
    if (std::isfinite(spec.info.min)) {
      json_.key(spec.info.above_min ? "exclusiveMinimum" : "minimum").real(spec.info.min);
    }
    if (std::isfinite(spec.info.max)) {
      json_.key("maximum").real(spec.info.max);
    }
    json_.close();
    json_.open('{').key("type").text("string").key("pattern").text(unit_pattern(spec)).close();
    json_.close();
  }

  void write_implementations() {
    for (const auto& [kind, implementations] : catalogue_.kinds()) {
      json_.key(kind).open('{');
      write_component(kind, implementations);
      json_.close();
      for (const auto& [name, implementation] : implementations) {
        json_.key(fmt::format("{}.{}", kind, name)).open('{');
        write_implementation(implementation);
        json_.close();
      }
    }
  }

  void write_component(const std::string& kind, const Catalogue::Kind& implementations) {
    std::vector<std::string> names;
    std::set<std::string> keys = {"type"};
    for (const auto& [name, implementation] : implementations) {
      names.push_back(name);
      for (const ParamSpec& spec : implementation.params) {
        keys.insert(spec.name);
      }
    }
    json_.key("if").open('{').key("type").text("string").close();
    json_.key("then").open('{').key("enum").texts(names).close();
    json_.key("else").open('{').key("type").text("object");
    json_.key("properties").open('{').key("type").open('{').key("enum").texts(names).close().close();
    json_.key("propertyNames").open('{').key("enum").texts({keys.begin(), keys.end()}).close();
    json_.key("allOf").open('[');
    for (const std::string& name : names) {
      write_choice(kind, name);
    }
    json_.close().close();
  }

  /// if type is `name` then the object is that implementation's.
  void write_choice(const std::string& kind, const std::string& name) {
    json_.open('{').key("if").open('{');
    json_.key("properties").open('{').key("type").open('{').key("const").text(name).close().close();
    json_.key("required").texts({"type"}).close();
    json_.key("then").open('{').key("$ref").text(fmt::format("#/$defs/{}.{}", kind, name)).close().close();
  }

  void write_implementation(const Implementation& implementation) {
    const std::string source =
        implementation.source.empty() ? "" : fmt::format("; source: {}", implementation.source);
    json_.key("description").text(implementation.doc + source);
    json_.key("type").text("object");
    json_.key("properties").open('{');
    json_.key("type").open('{').key("const").text(implementation.name).close();
    for (const ParamSpec& spec : implementation.params) {
      json_.key(spec.name).open('{');
      write_value(spec);
      json_.close();
    }
    json_.close();
    json_.key("additionalProperties").truth(false);
  }

  const Catalogue& catalogue_;
  JsonWriter json_;
};

}  // namespace

std::string json_schema(const Catalogue& catalogue) {
  return SchemaWriter(catalogue).write();
}

}  // namespace kvr::config
