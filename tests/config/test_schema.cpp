#include <doctest/doctest.h>

#include "sim/config/json_writer.hpp"
#include "sim/config/schema.hpp"
#include "tests/config/fixture.hpp"

namespace kvr::test {

TEST_CASE("JSON is written with its escapes, its commas and its brackets") {
  config::JsonWriter json;
  json.open('{').key("a").integer(-1).key("b").open('[').close().key("c").texts({"x", "q\"\\\n"});
  json.key("d").real(0.5).key("e").truth(true).close();
  CHECK(
      std::move(json).take() ==
      "{\n  \"a\": -1,\n  \"b\": [],\n  \"c\": [\n    \"x\",\n    \"q\\\"\\\\\\u000a\"\n  ],\n  \"d\": 0.5,\n"
      "  \"e\": true\n}\n");
}

TEST_CASE("the schema holds every implementation with units, ranges, defaults and sources") {
  const std::string schema = config::json_schema(catalogue());
  for (const char* piece : {
           R"("$schema": "https://json-schema.org/draft/2020-12/schema")",
           R"("device.ufs": {)",
           R"("description": "latency [s]; default 25us; source: measured")",
           R"("description": "serial number; required")",
           R"("pattern": "^[-+]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][-+]?[0-9]+)?[ \\t]*(ns|us|ms|s)$")",
           R"((B/s|kB/s|MB/s|GB/s|KiB/s|MiB/s|GiB/s)|unlimited)$")",
           R"("exclusiveMinimum": 0)",
           R"("$ref": "#/$defs/clustering.page")",
       }) {
    CAPTURE(piece);
    CHECK(schema.find(piece) != std::string::npos);
  }
}

}  // namespace kvr::test
