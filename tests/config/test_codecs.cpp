// Which codecs a system has: of keys and of values, or one of both.
#include <doctest/doctest.h>

#include "tests/config/fixture.hpp"

namespace kvr::test {
namespace {

constexpr std::string_view kApart = "codec: {k: fp16, v: fp16}";

CodecConfig codecs_of(std::string_view text) {
  const Folder folder;
  folder.write("c.yaml", good_with(kApart, text));
  return load("c.yaml").front().system.codec;
}

TEST_CASE("keys and values are stored as fp16 where nothing is said") {
  for (const std::string_view text : {"", "codec: {}", "codec: {v: fp16}"}) {
    CAPTURE(text);
    const CodecConfig codec = codecs_of(text);
    CHECK(codec.keys.type == "fp16");
    CHECK(codec.values.type == "fp16");
    CHECK_FALSE(codec.joint.has_value());
  }
}

TEST_CASE("a joint codec stands alone, in what is resolved as well") {
  const Folder folder;
  folder.write("c.yaml", good_with(kApart, "codec: {joint: fp16}"));
  const RunConfig run = load("c.yaml").front();
  REQUIRE(run.system.codec.joint.has_value());
  CHECK(run.system.codec.joint.value_or(ComponentChoice{}).type == "fp16");
  CHECK(run.system.codec.keys.type.empty());
  CHECK(run.resolved_yaml.find("  codec:\n    joint:\n      type: fp16\n  tiers") != std::string::npos);
  folder.write("again.yaml", run.resolved_yaml);
  CHECK(load("again.yaml").front().resolved_yaml == run.resolved_yaml);
}

TEST_CASE("neither keys nor values have a codec beside a joint one") {
  CHECK(error_of_text(good_with(kApart, "codec: {k: fp16, joint: fp16, v: fp16}")) ==
        "c.yaml:10:11: system.codec.k: stands beside joint; allowed: either k and v, or joint\n"
        "c.yaml:10:33: system.codec.v: stands beside joint; allowed: either k and v, or joint");
  CHECK(error_of_text(good_with(kApart, "codec: {joint: none}")) ==
        "c.yaml:10:11: system.codec.joint: no such codec (none); allowed: fp16");
}

}  // namespace
}  // namespace kvr::test
