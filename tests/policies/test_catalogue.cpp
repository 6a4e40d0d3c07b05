#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <set>

#include "sim/interfaces/budget.hpp"
#include "sim/interfaces/codec.hpp"
#include "sim/interfaces/layout.hpp"
#include "sim/interfaces/replacement.hpp"
#include "sim/interfaces/schedule.hpp"
#include "sim/interfaces/scorer.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

namespace fs = std::filesystem;

/// Folder of policies/ -> stems of its files. Folders further down hold what implementations share.
std::map<std::string, std::set<std::string>> policy_files() {
  const fs::path root = fs::path(KVR_SOURCE_DIR) / "policies";
  std::map<std::string, std::set<std::string>> files;
  for (const auto& file : fs::recursive_directory_iterator(root)) {
    if (file.path().extension() == ".cpp" && file.path().parent_path().parent_path() == root) {
      files[file.path().parent_path().filename().string()].insert(file.path().stem().string());
    }
  }
  return files;
}

std::set<std::string> names_of(std::string_view kind) {
  std::set<std::string> names;
  for (const auto& [name, implementation] : Catalogue::instance().kind(kind)) {
    names.insert(name);
  }
  return names;
}

bool in_choices(const std::string& text, std::string_view choices) {
  return fmt::format("|{}|", choices).find(fmt::format("|{}|", text)) != std::string::npos;
}

bool default_in_range(const ParamSpec& spec) {
  const auto in_range = [&spec](double value) {
    const bool above = spec.info.above_min ? value > spec.info.min : value >= spec.info.min;
    return above && value <= spec.info.max;
  };
  if (const auto* integer = std::get_if<std::int64_t>(&spec.default_value)) {
    return in_range(static_cast<double>(*integer));
  }
  if (const auto* real = std::get_if<double>(&spec.default_value)) {
    return in_range(*real);
  }
  if (const auto* text = std::get_if<std::string>(&spec.default_value)) {
    return spec.info.choices.empty() || in_choices(*text, spec.info.choices);
  }
  return true;
}

template <class Interface>
void check_constructible(const typename Interface::Context& context) {
  for (const auto& [name, implementation] : Catalogue::instance().kind(Interface::kKind)) {
    CAPTURE(name);
    const bool needs_values =
        std::ranges::any_of(implementation.params, [](const ParamSpec& spec) { return spec.info.required; });
    if (!needs_values) {
      CHECK(test::make<Interface>(name, {}, context) != nullptr);
    }
  }
}

TEST_CASE("every file in policies registers one implementation, of its folder's kind and its own name") {
  for (const auto& [folder, stems] : policy_files()) {
    CAPTURE(folder);
    CHECK(names_of(folder) == stems);
  }
}

TEST_CASE("every policy and every parameter says what it is, and every default lies in its range") {
  for (const auto& [folder, stems] : policy_files()) {
    for (const auto& [name, implementation] : Catalogue::instance().kind(folder)) {
      CAPTURE(folder);
      CAPTURE(name);
      CHECK_FALSE(implementation.source.empty());
      REQUIRE_FALSE(implementation.doc.empty());
      CHECK(implementation.doc.back() == '.');
      for (const ParamSpec& spec : implementation.params) {
        CAPTURE(spec.name);
        CHECK_FALSE(spec.info.doc.empty());
        CHECK(default_in_range(spec));
      }
    }
  }
}

TEST_CASE("every policy can be made from its defaults") {
  check_constructible<Clustering>({.head_dim = 8, .head = {}, .root_seed = 1});
  check_constructible<Scorer>(
      {.head_dim = 8, .group = 2, .attention_scale = 0.25, .head = {}, .root_seed = 1});
  check_constructible<Budget>({.layers = 2, .kv_heads = 2, .prompt_entries = 16});
  check_constructible<Codec>({.head_dim = 8});
  check_constructible<Layout>({.kv_heads = 2, .entry_bytes = 32, .block_bytes = 4096, .root_seed = 1});
  check_constructible<Replacement>({.capacity_bytes = 4096, .root_seed = 1});
  check_constructible<Schedule>({});
}

}  // namespace
}  // namespace kvr
