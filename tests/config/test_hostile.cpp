// What is not a configuration, or far too much of one: refused at once, with its place.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

#include "sim/config/text/tree.hpp"
#include "tests/config/fixture.hpp"

namespace kvr::test {

namespace {

std::string repeated(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) {
    all += text;
  }
  return all;
}

constexpr std::string_view kTooLarge = "the document is too large; allowed: 100000 nodes, 64 levels";

}  // namespace

TEST_CASE("a comma outside brackets ends a document instead of repeating it") {
  for (const auto& [text, place] :
       {std::pair{",", "1:1"}, std::pair{"{a: 1}, {b: 2}", "1:7"}, std::pair{"---\n,", "2:1"},
        std::pair{"a: 1\n---\n, b", "3:1"}, std::pair{"&x , a", "1:4"}, std::pair{"\xEF\xBB\xBF,", "1:1"}}) {
    CAPTURE(text);
    CHECK(error_of_text(text) == fmt::format("c.yaml:{}: not valid YAML (a comma outside brackets)", place));
  }
  CHECK(error_of_text(kGood, {"sweep.run.seed=[1,2],"}) ==
        "--set sweep.run.seed:1:6: not valid YAML (a comma outside brackets)");
  CHECK(error_of_text(kGood, {"run.seed=,"}) ==
        "--set run.seed:1:1: not valid YAML (a comma outside brackets)");
}

TEST_CASE("what is not text is refused with its place") {
  const auto message = [](std::string_view place, std::string_view what) {
    return fmt::format("{}: {}; allowed: text in UTF-8", place, what);
  };
  CHECK(error_of_text("name: a\nrun: {seed: na\xEFve}\n") == message("c.yaml:2:13", "not UTF-8 (byte 0xef)"));
  CHECK(error_of_text(std::string("name: a\0b\n", 10)) ==
        message("c.yaml:1:7", "a control character (byte 0x00)"));
  CHECK(error_of_text("name: a\n\x04trace: x\n") == message("c.yaml:2:1", "a control character (byte 0x04)"));
  CHECK(error_of_text("\xFF\xFEn\0") == message("c.yaml:1:1", "not UTF-8 (byte 0xff)"));
  CHECK(error_of_text("name: \xC0\x80\n") == message("c.yaml:1:7", "not UTF-8 (byte 0xc0)"));
  CHECK(error_of_text("name: \xED\xA0\x80\n") == message("c.yaml:1:7", "not UTF-8 (byte 0xed)"));
  CHECK(error_of_text("name: \xF4\x90\x80\x80\n") == message("c.yaml:1:7", "not UTF-8 (byte 0xf4)"));
  CHECK(error_of_text("name: \xE2\x82") == message("c.yaml:1:7", "not UTF-8 (byte 0xe2)"));
  CHECK(error_of_text(kGood, {"name=\xFC"}) == message("--set name:1:1", "not UTF-8 (byte 0xfc)"));
  CHECK(error_of_text(kGood, {"n\xFC=1"}) ==
        "--set: the key is not UTF-8 (byte 0xfc); allowed: text in UTF-8");
  CHECK(error_of_text(good_with("name: good", "name: \"a\\0b\"")) ==
        "c.yaml:1:1: name: holds a NUL character (\\0); allowed: text without one");
  CHECK(error_of_text(std::string(kGood) + "points: {\"a\\0\": {}}\n") ==
        "c.yaml:16:10: points: a key holds a NUL character (\\0); allowed: text without one");
}

TEST_CASE("an included file is held to the same") {
  const Folder folder;
  folder.write("b.yaml", "name: \xE9t\xE9\n");
  folder.write("c.yaml", std::string("include: b.yaml\n") + std::string(kGood));
  CHECK(error_of("c.yaml") == "b.yaml:1:7: not UTF-8 (byte 0xe9); allowed: text in UTF-8");
}

TEST_CASE("texts beyond ASCII and a byte order mark are fine") {
  const Folder folder;
  folder.write("c.yaml",
               "\xEF\xBB\xBF" + good_with("name: good", "name: g\xC3\xBCt \xE2\x82\xAC \xF0\x9F\x98\x80"));
  CHECK(load("c.yaml").front().name == "g\xC3\xBCt \xE2\x82\xAC \xF0\x9F\x98\x80");
}

TEST_CASE("a file whose own name is no text needs a name inside") {
  const Folder folder;
  folder.write("\xE9.yaml", good_with("name: good\n", ""));
  CHECK(
      error_of("\xE9.yaml") ==
      "\xE9.yaml:1:1: name: is missing, and the name of the file is not UTF-8 (byte 0xe9); allowed: text in "
      "UTF-8");
}

TEST_CASE("the limits hold while a document is read") {
  CHECK(error_of_text("[" + repeated("1,", 250'000) + "]") == fmt::format("c.yaml:1:400000: {}", kTooLarge));
  CHECK(error_of_text(repeated("[", 400) + repeated("]", 400)).ends_with(kTooLarge));
  CHECK(error_of_text(repeated("[", 100'000)).starts_with("c.yaml:1:"));
  CHECK(error_of_text(std::string(config::kMaxTextBytes + 1, '#')) ==
        "c.yaml: is too long (c.yaml); allowed: 1048576 bytes");
  CHECK(error_of_text("a: &a " + std::string(500'000, 'x') + "\nb: [" + repeated("*a,", 1000) + "]")
            .ends_with(kTooLarge));
  CHECK(error_of_text("? " + std::string(2000, 'k') + "\n: 1\n" + std::string(kGood)) ==
        "c.yaml:1:3: a key is too long (2000 bytes); allowed: 1024");
}

TEST_CASE("aliases that multiply are refused before they are followed") {
  std::string text = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (int i = 1; i < 12; ++i) {
    text += fmt::format("a{}: &a{} [{}]\n", i, i, repeated(fmt::format("*a{},", i - 1), 10));
  }
  CHECK(error_of_text(text).ends_with(kTooLarge));
}

TEST_CASE("a long value is told by its begin") {
  CHECK(error_of_text(good_with("seed: 7", "seed: " + std::string(100'000, 'x'))) ==
        fmt::format("c.yaml:15:3: run.seed: is not an integer ({}...); allowed: an integer, at least 0",
                    std::string(100, 'x')));
}

TEST_CASE("a thousand problems are told, the rest are counted") {
  std::string text(kGood);
  for (int i = 0; i < 1200; ++i) {
    text += fmt::format("zz{:04}: 1\n", i);
  }
  const std::string error = error_of_text(text);
  CHECK(error.ends_with("\nand 200 more"));
}

TEST_CASE("includes that multiply end at a number of files") {
  const Folder folder;
  for (int i = 0; i < 12; ++i) {
    folder.write(fmt::format("{}.yaml", i),
                 fmt::format("include: [{}]\n", repeated(fmt::format("{}.yaml,", i + 1), 10)));
  }
  folder.write("12.yaml", "name: a\n");
  CHECK(error_of("0.yaml").ends_with(
      "include: too many files are included; allowed: 10000, each as often as it is read"));
}

TEST_CASE("a chain of includes ends at a number of levels") {
  const Folder folder;
  for (int i = 0; i < 70; ++i) {
    folder.write(fmt::format("{}.yaml", i), fmt::format("include: {}.yaml\n", i + 1));
  }
  CHECK(error_of("0.yaml") == "63.yaml:1:1: include: files include each other too deep; allowed: 64 levels");
}

TEST_CASE("an include that no file can have is an error") {
  CHECK(error_of_text("include: " + std::string(900, 'x') + "\n" + std::string(kGood))
            .starts_with("c.yaml:1:1: include: File name too long ("));
}

TEST_CASE("an endless product is refused before it is made") {
  std::string sweep = "sweep:\n";
  for (const char* key : {"run.seed", "run.threads", "run.steps"}) {
    sweep += fmt::format("  {}: [", key);
    for (int i = 1; i <= 1000; ++i) {
      sweep += fmt::format("{},", i);
    }
    sweep += "]\n";
  }
  CHECK(error_of_text(std::string(kGood) + sweep) ==
        "c.yaml:17:3: sweep: too many points (1000000000); allowed: 10000");
  CHECK(error_of_text(std::string(kGood) + sweep + "points: {a: {}, b: {}}\n") ==
        "c.yaml:17:3: sweep: too many points (2000000000); allowed: 10000");
}

}  // namespace kvr::test
