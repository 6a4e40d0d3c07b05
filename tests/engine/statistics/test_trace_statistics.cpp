// Statistics of traces that are small enough to be worked out by hand.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <numbers>
#include <span>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/engine/statistics/trace_statistics.hpp"
#include "tests/engine/support.hpp"
#include "traces/writer.hpp"

namespace kvr {
namespace {

/// One head of two channels, whose two query heads are (1, 0) and (0, 0): to the first, a key (x, y) has the
/// weight 2^x, to the second all weigh the same.
class HandTrace {
 public:
  HandTrace(const std::vector<float>& keys, std::int64_t prompt) {
    const auto tokens = std::ssize(keys) / 2;
    const trace::Header header = {.geometry = {.layers = 1,
                                               .query_heads = 2,
                                               .kv_heads = 1,
                                               .head_dim = 2,
                                               .hidden_size = 4,
                                               .ffn_size = 4,
                                               .vocab_size = 1,
                                               .rope_theta = 10000.0,
                                               .attention_scale = std::numbers::ln2,
                                               .rope_scaling = "none",
                                               .rope_layout = "half"},
                                  .model_name = "by hand",
                                  .prefill_len = prompt,
                                  .seq_len = tokens,
                                  .captured_layers = {0},
                                  .captured_kv_heads = {0},
                                  .capture_tool = "test",
                                  .capture_version = "1",
                                  .capture_mode = "synthetic",
                                  .weights_sha256 = "none",
                                  .text_source = "none",
                                  .licence = "CC0-1.0"};
    std::vector<std::int64_t> positions;
    std::vector<float> queries;
    for (std::int64_t position = prompt; position < tokens; ++position) {
      positions.push_back(position);
      queries.insert(queries.end(), {1.0F, 0.0F, 0.0F, 0.0F});
    }
    trace::Writer writer(path_, header, positions);
    writer.append_tokens(std::vector<std::int32_t>(static_cast<std::size_t>(tokens), 0));
    writer.append(trace::Field::keys, 0, halves(keys));
    writer.append(trace::Field::values, 0, halves(keys));
    writer.append(trace::Field::queries, 0, halves(queries));
    writer.finish();
  }

  HeadStatistics statistics(const StatisticsPlan& plan) const {
    Workers workers(1);
    std::int64_t steps = 0;
    const auto heads = layer_statistics(trace::Reader(path_), 0, plan, workers, [&] { ++steps; });
    REQUIRE(heads.size() == 1);
    CHECK(steps == plan.steps.count);
    return heads.front();
  }

 private:
  static std::vector<Half> halves(const std::vector<float>& floats) {
    std::vector<Half> result(floats.size());
    to_half(floats, result);
    return result;
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "hand.h5";
};

/// `special` lie at (x, 0), all others at the origin.
std::vector<float> keys_with(std::int64_t entries, const std::vector<std::int64_t>& special, float x) {
  std::vector<float> keys(static_cast<std::size_t>(2 * entries), 0.0F);
  for (const std::int64_t entry : special) {
    keys[static_cast<std::size_t>(2 * entry)] = x;
  }
  return keys;
}

/// All of four steps after a prompt of eight; one sink, two recent entries and two more are attended to.
StatisticsPlan small_plan() {
  const StepRange steps{8, 4};
  const ComponentChoice centroid{"centroid", {}};
  const ComponentChoice kmeans{"kmeans", {{"entries_per_cluster", std::int64_t{4}}}};
  return {.trace_path = "hand.h5",
          .steps = steps,
          .judged = spread_positions(steps, 4),
          .units = {{"entries", {"token", {}}, {"exact", {}}},
                    {"pages", {"page", {{"page_tokens", std::int64_t{2}}}}, centroid},
                    {"clusters", kmeans, centroid, true},
                    {"static", kmeans, centroid}},
          .static_units = 3,
          .budget = {"fixed", {{"entries", std::int64_t{2}}}},
          .codec = {"fp16", {}},
          .sinks = 1,
          .recent = 2,
          .seed = 1};
}

TEST_CASE("statistics: entries for a share of the mass, in closed form") {
  // One entry weighs 2^3.5 = 11.3, the others 1: of n visible entries 11.3 + n - 1. Half of that is in the
  // one entry while n is at most 12; for 90 % it takes 1 + ceil(0.9 (n - 1) - 1.13) entries: 8, 8, 9, 10. Of
  // equal weights it takes ceil(n / 2): 5, 5, 6, 6, and ceil(0.9 n): 9, 9, 10, 11.
  const HandTrace trace(keys_with(12, {0}, 3.5F), 8);
  const HeadStatistics head = trace.statistics(small_plan());
  CHECK(head.entries_for[0].mean == (4 * 1 + 5 + 5 + 6 + 6) / 8.0);
  CHECK(head.entries_for[0].p95 == 6.0);
  CHECK(head.entries_for[0].visible_share ==
        doctest::Approx((6.0 / 9 + 6.0 / 10 + 7.0 / 11 + 7.0 / 12) / 8.0));
  CHECK(head.entries_for[1].mean == (8 + 8 + 9 + 10 + 9 + 9 + 10 + 11) / 8.0);
  // 8, 8, 9, 9, 9, 10, 10, 11 at the place 0.95 * 7 = 6.65
  CHECK(head.entries_for[1].p95 == doctest::Approx(10.65));
}

TEST_CASE("statistics: the mass of the sink and of what came last, in closed form") {
  const HandTrace trace(keys_with(12, {0}, 3.5F), 8);
  const HeadStatistics head = trace.statistics(small_plan());
  const double heavy = std::exp2(3.5);
  double sink = 0.0;
  for (const double n : {9.0, 10.0, 11.0, 12.0}) {
    sink += (heavy / (heavy + n - 1.0) + 1.0 / n) / 8.0;
  }
  CHECK(head.sink_mass == doctest::Approx(sink).epsilon(1e-6));
  CHECK(head.window_mass[0] == doctest::Approx(1.0 - sink).epsilon(1e-6));
  CHECK(head.window_mass[2] == doctest::Approx(1.0 - sink).epsilon(1e-6));
}

TEST_CASE("statistics: recall and mass of entries, pages and clusters") {
  // Entries 2 and 5 weigh 16. The pages {2, 3} and {4, 5} are worth the same, and the first is chosen: half
  // of the best to the first query head; to the second any two are the best.
  const HandTrace trace(keys_with(12, {2, 5}, 4.0F), 8);
  const HeadStatistics head = trace.statistics(small_plan());
  CHECK(head.units[0].recall == 1.0);
  CHECK(head.units[1].recall == 0.75);
  CHECK(head.units[2].recall == 1.0);
  CHECK(head.units[3].recall == 1.0);
  double of_pages = 0.0;
  double of_entries = 0.0;
  for (const double n : {9.0, 10.0, 11.0, 12.0}) {  // the sink, two recent entries, the current one, two more
    of_pages += ((16.0 + 1.0 + 4.0) / (32.0 + n - 2.0) + 6.0 / n) / 8.0;
    of_entries += ((32.0 + 4.0) / (32.0 + n - 2.0) + 6.0 / n) / 8.0;
  }
  CHECK(head.units[0].mass == doctest::Approx(of_entries).epsilon(1e-6));
  CHECK(head.units[1].mass == doctest::Approx(of_pages).epsilon(1e-6));
  CHECK(head.units[3].mass == doctest::Approx(of_entries).epsilon(1e-6));
}

TEST_CASE("statistics: only judged steps count") {
  const HandTrace trace(keys_with(12, {0}, 3.5F), 8);
  StatisticsPlan plan = small_plan();
  plan.judged = {10};
  const HeadStatistics head = trace.statistics(plan);
  CHECK(head.entries_for[0].mean == (1 + 6) / 2.0);
  CHECK(head.entries_for[1].mean == (9 + 10) / 2.0);
}

TEST_CASE("statistics: rebuilt clusters find what came after the prompt, static ones do not") {
  // The prompt has keys at (0, 0) and (0, 6). Entries 8 and 9 at (8, 0) join the former, behind its members,
  // and become a cluster of their own when the clusters are built anew.
  std::vector<float> keys = keys_with(16, {8, 9}, 8.0F);
  for (const std::size_t entry : {4U, 5U, 6U, 7U}) {
    keys[2 * entry + 1] = 6.0F;
  }
  const HandTrace trace(keys, 8);
  StatisticsPlan plan = small_plan();
  plan.steps = {8, 8};
  plan.judged = {15};
  const HeadStatistics head = trace.statistics(plan);
  CHECK(head.units[2].recall == 1.0);
  CHECK(head.units[3].recall == 0.5);  // of the first query head's none, of the second's all
}

TEST_CASE("statistics: drift over the prompt's variance") {
  // Clusters at (0, +-1) and (20, +-1), which is a variance of 1; a step's key lies 1, 2, 3, 4 above a
  // centroid.
  std::vector<float> keys;
  for (const float x : {0.0F, 20.0F}) {
    keys.insert(keys.end(), {x, 1.0F, x, -1.0F, x, 1.0F, x, -1.0F});
  }
  for (const float y : {1.0F, 2.0F, 3.0F, 4.0F}) {
    keys.insert(keys.end(), {20.0F, y});
  }
  const HeadStatistics head = HandTrace(keys, 8).statistics(small_plan());
  CHECK(head.prompt_variance == 1.0);
  CHECK(std::vector(head.drift.begin(), head.drift.end()) == std::vector{1.0, 4.0, 9.0, 16.0});
}

TEST_CASE("statistics: where the prompt does not vary, there is no drift to tell") {
  std::vector<float> keys = keys_with(12, {2, 5}, 4.0F);
  keys.back() = 1.0F;  // a step's key lies beside its centroid all the same
  const HandTrace trace(keys, 8);
  const HeadStatistics head = trace.statistics(small_plan());
  CHECK(head.prompt_variance == 0.0);
  for (const double quarter : head.drift) {
    CHECK(std::isnan(quarter));
  }
}

TEST_CASE("judged steps are spread evenly, and all of them are all") {
  const StepRange steps{100, 10};
  CHECK(spread_positions(steps, 1) == std::vector<std::int64_t>{105});
  CHECK(spread_positions(steps, 2) == std::vector<std::int64_t>{102, 107});
  CHECK(spread_positions(steps, 3) == std::vector<std::int64_t>{101, 105, 108});
  const std::vector<std::int64_t> all = spread_positions(steps, 10);
  REQUIRE(all.size() == 10);
  CHECK(all.front() == 100);
  CHECK(all.back() == 109);
}

}  // namespace
}  // namespace kvr
