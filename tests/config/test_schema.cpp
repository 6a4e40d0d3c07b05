#include <doctest/doctest.h>

#include "sim/config/schema.hpp"
#include "tests/config/fixture.hpp"

namespace kvr::test {

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
