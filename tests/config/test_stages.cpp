// When, where and on what a stage acts, as a configuration says it.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

#include "sim/config/layers.hpp"
#include "tests/config/fixture.hpp"

namespace kvr::test {
namespace {

StageConfig stage_with(std::string_view line) {
  const Folder folder;
  folder.write("c.yaml", good_with("scorer: exact", fmt::format("scorer: exact\n      {}", line)));
  return load("c.yaml").front().system.stages.front();
}

std::string error_with(std::string_view line) {
  return error_of_text(good_with("scorer: exact", fmt::format("scorer: exact\n      {}", line)));
}

TEST_CASE("layers are numbers and ranges, and all where nothing is said") {
  const auto contains = [](std::string_view text, std::int64_t layer) {
    return config::parse_layers(text).value().contains(layer);
  };
  CHECK(contains("all", 77));
  CHECK(contains("0..1", 1));
  CHECK_FALSE(contains("0..1", 2));
  CHECK(contains("2..", 1'000'000));
  CHECK_FALSE(contains("2..", 1));
  CHECK(contains("0..3, 8,16", 16));
  CHECK_FALSE(contains("0..3, 8,16", 9));
  for (const std::string_view wrong : {"", "a", "1..0", "..3", "1-2", "-1", "1,,2", "1...3", "all,1"}) {
    CAPTURE(wrong);
    CHECK_FALSE(config::parse_layers(wrong).has_value());
  }
}

TEST_CASE("when a stage acts is one word or several, in a list or with commas") {
  for (const std::string_view both :
       {"when: [prefill_end, step]", "when: step, prefill_end", "when: \"prefill_end,step\""}) {
    CAPTURE(both);
    const StageConfig stage = stage_with(both);
    CHECK(stage.at_prompt_end);
    CHECK(stage.at_step);
  }
  const StageConfig once = stage_with("when: prefill_end");
  CHECK(once.at_prompt_end);
  CHECK_FALSE(once.at_step);
}

TEST_CASE("enumerations are those that the words name") {
  CHECK(stage_with("effect: evict").effect == Effect::evict);
  CHECK(stage_with("effect: prefetch").effect == Effect::prefetch);
  CHECK(stage_with("queries: previous_layer").queries == Queries::previous_layer);
  CHECK(stage_with("queries: last_step").queries == Queries::last_step);
  CHECK(stage_with("queries: oracle").queries == Queries::oracle);
  CHECK(stage_with("units: token").units == StageUnits::token);
  CHECK(stage_with("fold: none").fold == Fold::none);
  CHECK(stage_with("fold: max").fold == Fold::max);
  CHECK(stage_with("fold: sum").fold == Fold::sum);
  CHECK(stage_with("norm: softmax").norm == Norm::softmax);
  CHECK(stage_with("last_unit: drop").last_unit == LastUnit::drop);
}

TEST_CASE("a stage that takes needs neither scorer nor budget; another needs both") {
  const Folder folder;
  folder.write("c.yaml", good_with("scorer: exact\n      budget: {type: fraction, share: 0.25}",
                                   "name: guess\n      take: top\n      lead: {layers: 3, steps: 1}"));
  const StageConfig stage = load("c.yaml").front().system.stages.front();
  CHECK(stage.name == "guess");
  CHECK(stage.takes());
  CHECK(stage.take == "top");
  CHECK(stage.lead_layers == 3);
  CHECK(stage.lead_steps == 1);
  const std::string neither =
      error_of_text(good_with("scorer: exact\n      budget: {type: fraction, share: 0.25}", "name: guess"));
  CHECK(neither.find("system.stages.0.scorer: is missing") != std::string::npos);
  CHECK(neither.find("system.stages.0.budget: is missing") != std::string::npos);
  CHECK(
      error_with("lead: {layers: 0}") ==
      "c.yaml:9:14: system.stages.0.lead.layers: is out of range (0); allowed: an integer, 1 to 1000000000");
  CHECK(error_with("lead: {steps: 2}") ==
        "c.yaml:9:14: system.stages.0.lead.steps: is out of range (2); allowed: an integer, 0 to 1");
}

TEST_CASE("keys stay at their positions unless a system counts slots") {
  const Folder folder;
  folder.write("c.yaml", kGood);
  CHECK_FALSE(load("c.yaml").front().system.slot_positions);
  CHECK(load("c.yaml", {"system.positions=slot"}).front().system.slot_positions);
}

TEST_CASE("a stage estimates where it is given a budget for that") {
  CHECK_FALSE(stage_with("fold: mean").estimates());
  CHECK_FALSE(stage_with("estimate: none").estimates());
  const StageConfig stage = stage_with("estimate: {type: fraction, share: 0.5}");
  CHECK(stage.estimates());
  CHECK(stage.estimate.type == "fraction");
  CHECK(std::get<double>(stage.estimate.values.at("share")) == 0.5);
}

TEST_CASE("pins are entries or a share of the prompt, rounded down; the larger counts") {
  const StageConfig stage = stage_with("pins: {sinks: 4, recent: 0, recent_share: 0.1}");
  CHECK(stage.sinks.of(256) == 4);
  CHECK(stage.recent.of(256) == 25);
  CHECK(stage_with("pins: {recent: 30, recent_share: 0.1}").recent.of(256) == 30);
}

TEST_CASE(
    "what waits for its unit counts as part of the budget unless it is free, a batch shares none by itself") {
  CHECK(stage_with("fold: mean").counts_pending);
  CHECK_FALSE(stage_with("pins: {pending: free}").counts_pending);
  CHECK_FALSE(stage_with("fold: mean").across_batch);
  CHECK(stage_with("across: batch").across_batch);
}

TEST_CASE("what a stage cannot be is told with what it can") {
  CHECK(
      error_with("when: sometimes") ==
      "c.yaml:9:7: system.stages.0.when: is not a choice (sometimes); allowed: step, prefill_end, layer_end");
  CHECK(error_with("when: [step, step]") ==
        "c.yaml:9:7: system.stages.0.when: says something twice; allowed: one or more of step, prefill_end, "
        "layer_end, each once");
  CHECK(error_with("when: []") ==
        "c.yaml:9:7: system.stages.0.when: has no value; allowed: one or more of step, prefill_end, "
        "layer_end, each "
        "once");
  CHECK(error_with("layers: two") ==
        "c.yaml:9:7: system.stages.0.layers: is no list of layers (two); allowed: all, or numbers and ranges "
        "with commas between them, as 0..1, 2.. or 0..3,8");
}

TEST_CASE("what a stage says is written back so that it can be read again") {
  const Folder folder;
  folder.write("c.yaml", good_with("scorer: exact",
                                   "scorer: exact\n      when: [prefill_end, step]\n      effect: evict\n"
                                   "      layers: 2..\n      units: token"));
  const std::string resolved = load("c.yaml").front().resolved_yaml;
  folder.write("again.yaml", resolved);
  CHECK(load("again.yaml").front().resolved_yaml == resolved);
}

}  // namespace
}  // namespace kvr::test
