#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/base/params.hpp"

namespace kvr::config {

/// What may stand at a place of a configuration.
enum class Shape {
  value,      ///< one scalar, described by `spec`
  table,      ///< a map with exactly the keys of `fields`
  component,  ///< an implementation of `kind`: its name, or a map of `type` and its parameters
  list,       ///< elements that all look like fields[0]
  include,    ///< a file name or a list of them
  overlays,   ///< a map from names to overlays of the root
  axes,       ///< a map from dotted keys to lists of values
  seeds,      ///< a number of seeds, or a list of them
  words,      ///< one or more of the choices of `spec`: a list, or a text with commas
};

/// Where a component that has no default of its own must be given.
enum class Needed {
  always,
  on_flash,         ///< unless the last of `tiers` beside it is memory
  over_lower_tier,  ///< unless `tiers` beside it has one alone
  unless_taken,     ///< unless `take` beside it names a stage
};

/// One key of a configuration.
struct Field {
  std::string name;
  Shape shape;
  std::string doc;
  ParamSpec spec = {};             ///< value, words
  bool is_path = false;            ///< value: a path relative to the file that states it
  bool is_home = false;            ///< value: a tier where representatives can live; empty: the first
  bool is_layers = false;          ///< value: layers of a model, see parse_layers
  std::string kind = {};           ///< component
  std::string default_type = {};   ///< component: taken when none is given; empty: one must be given
  Needed needed = Needed::always;  ///< component; `default_type` stands there where it is not
  std::vector<Field> fields = {};
  std::string shorthand = {};  ///< table: the key that a value in its place stands for; empty: none may
  std::size_t min_items = 0;   ///< list
  std::size_t max_items = 0;   ///< list
  bool may_lack = true;        ///< list: nothing need be given
  bool is_tiers = false;       ///< list: see check_tiers

  const Field* find(std::string_view name) const;
};

/// The whole grammar; checking, the canonical dump, the JSON Schema and `explain` all walk it.
const Field& root_grammar();

/// What implementations of `kind` do, in a line; empty for a kind that no configuration names.
std::string_view kind_doc(std::string_view kind);

/// Keys that say how points are made; a resolved point has none of them.
bool is_composition(const Field& field);

}  // namespace kvr::config
