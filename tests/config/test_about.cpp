// What a system says of itself.
#include <doctest/doctest.h>

#include <string>

#include "tests/config/fixture.hpp"

namespace kvr::test {
namespace {

constexpr std::string_view kAbout =
    "  about:\n    source: a paper\n    year: 2024\n    faithful: >-\n      one: two\n      three\n"
    "    left_out: four\n  clustering: {type: page";

RunConfig with_about() {
  const Folder folder;
  folder.write("c.yaml", good_with("  clustering: {type: page", kAbout));
  return load("c.yaml").front();
}

TEST_CASE("a system says what it is from, and nothing where it does not") {
  const SystemAbout about = with_about().system.about;
  CHECK(about.source == "a paper");
  CHECK(about.year == 2024);
  CHECK(about.faithful == "one: two three");
  CHECK(about.chosen.empty());
  CHECK(about.left_out == "four");
  CHECK(about.held_to.empty());
}

TEST_CASE("what a system says of itself has a line each, and all else stays as it is") {
  const std::string said =
      "  about:\n    source: \"a paper\"\n    year: 2024\n    faithful: \"one: two three\"\n    chosen: "
      "\"\"\n"
      "    left_out: four\n    held_to: \"\"\n";
  const std::string silent =
      "  about:\n    source: \"\"\n    year: 0\n    faithful: \"\"\n    chosen: \"\"\n    left_out: \"\"\n"
      "    held_to: \"\"\n";
  std::string resolved = with_about().resolved_yaml;
  const std::size_t at = resolved.find(said);
  REQUIRE(at != std::string::npos);
  const Folder folder;
  folder.write("c.yaml", kGood);
  CHECK(resolved.replace(at, said.size(), silent) == load("c.yaml").front().resolved_yaml);
}

TEST_CASE("a year is a number, and other facts have no place") {
  CHECK(error_of_text(good_with("  clustering:", "  about: {year: -1}\n  clustering:")) ==
        "c.yaml:6:11: system.about.year: is out of range (-1); allowed: an integer, 0 to 9999");
  CHECK(error_of_text(good_with("  clustering:", "  about: {yaer: 1}\n  clustering:")) ==
        "c.yaml:6:11: system.about.yaer: unknown key (yaer); did you mean 'year'? allowed: source, year, "
        "faithful, chosen, left_out, held_to");
}

TEST_CASE("a file may describe a system alone") {
  const Folder folder;
  folder.write(
      "s.yaml",
      "system: {name: S, about: {year: 1}, clustering: {type: page}, stages: [], tiers: [{name: dram}]}\n");
  const RunConfig part = load_part("s.yaml", "system", {}, catalogue());
  CHECK(part.system.name == "S");
  CHECK(part.system.about.year == 1);
  CHECK_FALSE(part.system.on_flash);
}

}  // namespace
}  // namespace kvr::test
