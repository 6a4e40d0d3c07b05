#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace kvr {

/// One configured value. Quantities are stored in SI: bytes, seconds, bytes per second, hertz.
using Value = std::variant<bool, std::int64_t, double, std::string>;
using ParamValues = std::map<std::string, Value>;

/// What a number measures. Anything but `none` must be written with a unit (`64MiB`, `25us`, `2.9GB/s`).
enum class Quantity { none, bytes, seconds, bytes_per_second, hertz, per_second, joules, watts };

enum class ValueType { boolean, integer, real, text };

/// Upper and lower bounds that many parameters share: generous for any phone, and such that the product of
/// two fits 64 bits and quotients are finite.
namespace bounds {
/// Every 64-bit integer. Of a parameter with this as its largest value messages do not tell it.
inline constexpr double kInteger = 9223372036854775808.0;
/// Every whole number that is written with a unit, which passes through a double: 2^53. Not told either.
inline constexpr double kExactInteger = 9007199254740992.0;
/// Entries, units and steps: a thousand times the longest context that is offered.
inline constexpr double kEntries = 1e9;
/// A petabyte, a thousand times the largest phone.
inline constexpr double kBytes = 1e15;
/// Bytes or operations per second, from a modem's to a thousand times an accelerator's.
inline constexpr double kSlowest = 1e3;
inline constexpr double kFastest = 1e15;
/// Seconds that something in a device or a phone takes at most.
inline constexpr double kLongest = 1e3;
}  // namespace bounds

/// What a parameter is, beyond its name, type and default. `choices` lists the allowed texts: "l2|cosine".
struct ParamDoc {
  std::string_view doc;
  std::string_view unit = "";
  Quantity quantity = Quantity::none;
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool above_min = false;  ///< `min` itself is not allowed
  bool unlimited = false;  ///< the word `unlimited` is allowed and means infinity (reals only)
  bool required = false;   ///< has no meaningful default; must be given
  bool is_path = false;    ///< text: a file that is read, relative to the one that states it
  std::string_view choices = "";
  std::string_view source = "";
};

/// One row of an implementation's table, without its C++ type: all that reading YAML, range checks,
/// `kvreplay list`, the JSON Schema and the resolved dump need.
struct ParamSpec {
  std::string name;
  ValueType type;
  Value default_value;
  ParamDoc info;
};

/// A parameter that changes nothing beside the values of others, and why.
struct IdleParam {
  std::string name;
  std::string why;
};

/// One row of the table of `P`, a plain struct whose member initialisers are the defaults.
template <class P>
class Param {
 public:
  template <class Member>
  Param(std::string_view name, Member P::*member, ParamDoc info)
      : spec_{std::string(name), type_of<Member>(), default_of(member), info},
        set_([member](P& params, const Value& value) { params.*member = std::get<Member>(value); }),
        get_([member](const P& params) { return Value(params.*member); }) {}

  /// `row` of the table of a struct that `P` has as its member `part`.
  template <class Part>
  Param(const Param<Part>& row, Part P::*part)
      : spec_(row.spec()),
        set_([row, part](P& params, const Value& value) { row.set(params.*part, value); }),
        get_([row, part](const P& params) { return row.get(params.*part); }) {}

  const ParamSpec& spec() const { return spec_; }
  void set(P& params, const Value& value) const { set_(params, value); }
  Value get(const P& params) const { return get_(params); }

 private:
  template <class Member>
  static Value default_of(Member P::*member) {
    const P defaults;
    return Value(defaults.*member);
  }

  template <class Member>
  static constexpr ValueType type_of() {
    if constexpr (std::is_same_v<Member, bool>) {
      return ValueType::boolean;
    } else if constexpr (std::is_same_v<Member, std::int64_t>) {
      return ValueType::integer;
    } else if constexpr (std::is_same_v<Member, double>) {
      return ValueType::real;
    } else {
      static_assert(std::is_same_v<Member, std::string>, "parameters are bool, int64, double or string");
      return ValueType::text;
    }
  }

  ParamSpec spec_;
  std::function<void(P&, const Value&)> set_;
  std::function<Value(const P&)> get_;
};

template <class P>
using ParamTable = std::vector<Param<P>>;

/// The rows of `table`, that of a struct which `P` has as its member `part`, as rows of the table of `P`.
template <class P, class Part>
ParamTable<P> table_of_part(const ParamTable<Part>& table, Part P::*part) {
  ParamTable<P> rows;
  for (const Param<Part>& row : table) {
    rows.emplace_back(row, part);
  }
  return rows;
}

template <class P>
std::vector<ParamSpec> specs_of(const ParamTable<P>& table) {
  std::vector<ParamSpec> specs;
  for (const Param<P>& param : table) {
    specs.push_back(param.spec());
  }
  return specs;
}

/// Fills a `P` from checked values; names that `values` lacks keep their default.
template <class P>
P from_values(const ParamTable<P>& table, const ParamValues& values) {
  P params;
  for (const Param<P>& param : table) {
    if (const auto found = values.find(param.spec().name); found != values.end()) {
      param.set(params, found->second);
    }
  }
  return params;
}

/// The inverse: every value of `params` by name.
template <class P>
ParamValues values_of(const ParamTable<P>& table, const P& params) {
  ParamValues values;
  for (const Param<P>& param : table) {
    values.emplace(param.spec().name, param.get(params));
  }
  return values;
}

}  // namespace kvr
