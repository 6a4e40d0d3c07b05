#include <doctest/doctest.h>

#include <limits>

#include "sim/base/json.hpp"

namespace kvr {
namespace {

TEST_CASE("JSON keeps the order of its keys and ends its lines") {
  const Json json = {{"b", 1}, {"a", {"x", "y"}}, {"c", Json::array()}};
  CHECK(json_text(json) == "{\n  \"b\": 1,\n  \"a\": [\n    \"x\",\n    \"y\"\n  ],\n  \"c\": []\n}\n");
  CHECK(json_line(json) == R"({"b":1,"a":["x","y"],"c":[]})");
}

TEST_CASE("any text is JSON: quotes, control characters and what is no UTF-8") {
  CHECK(json_line("q\"\\\x01") == R"("q\"\\\u0001")");
  const std::string name = "a\xff z";
  CHECK(json_line(name) == "\"a\xef\xbf\xbd z\"");
  CHECK(quoted_ascii(name) == R"("a\ufffd z")");
}

TEST_CASE("JSON has no infinity, and every other number comes back as it was") {
  CHECK(json_line(std::numeric_limits<double>::infinity()) == "null");
  for (const double value : {0.1, 1e300, -4.9e-324, 1.0 / 3.0}) {
    CHECK(Json::parse(json_line(value)).get<double>() == value);
  }
}

}  // namespace
}  // namespace kvr
