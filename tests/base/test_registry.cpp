#include <doctest/doctest.h>

#include <limits>

#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"

namespace kvr {
namespace {

ParamSpec integer(std::string name, std::int64_t value, double max) {
  return {std::move(name), ValueType::integer, value, {.doc = "for tests", .min = 1, .max = max}};
}

std::string fault_of(const Catalogue& catalogue) {
  try {
    catalogue.throw_if_faulty();
  } catch (const PolicyFault& fault) {
    return fault.what();
  }
  return "";
}

TEST_CASE("a catalogue finds nothing wrong with defaults that their tables allow") {
  Catalogue catalogue;
  catalogue.add("scorer", {"one", "", "", {integer("least", 1, 9), integer("most", 9, 9)}});
  catalogue.add("scorer", {"other", "", "", {}});
  catalogue.add("codec", {"one", "", "", {}});
  CHECK(fault_of(catalogue) == "");
}

TEST_CASE("a catalogue tells every name that is taken and every default that is not allowed") {
  Catalogue catalogue;
  catalogue.add("scorer", {"one", "", "", {integer("size", 10, 9), integer("size", 1, 9)}});
  catalogue.add("scorer", {"one", "", "", {}});
  catalogue.add("codec",
                {"words",
                 "",
                 "",
                 {{"form", ValueType::text, std::string("c"), {.doc = "for tests", .choices = "a|b"}}}});
  const double infinite = std::numeric_limits<double>::infinity();
  catalogue.add(
      "device",
      {"odd", "", "", {{"rate", ValueType::real, infinite, {.doc = "for tests", .min = 0, .max = 1}}}});
  CHECK(fault_of(catalogue) ==
        "scorer 'one': parameter size: its default is 10; allowed: an integer, 1 to 9\n"
        "scorer 'one': parameter size is there twice\n"
        "two implementations of scorer are called 'one'\n"
        "codec 'words': parameter form: its default is c; allowed: a, b\n"
        "device 'odd': parameter rate: its default is unlimited; allowed: a number, 0 to 1");
}

}  // namespace
}  // namespace kvr
