#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/files/temporary_folder.hpp"
#include "sim/results/compare/comparison.hpp"
#include "sim/results/writer.hpp"

using namespace kvr;
using namespace kvr::compare;

namespace {

using Change = std::function<void(PointData&)>;

/// Four steps of two layers with one head each.
PointResult point_of(const std::string& variant, std::int64_t seed, const Change& change = {},
                     std::vector<std::int64_t> layers = {2, 5}) {
  PointData data(fmt::format("{},seed={}", variant, seed), 4, std::ssize(layers), 1);
  data.set_layer_numbers(layers);
  for (std::int64_t step = 0; step < 4; ++step) {
    data.set(Metric::latency_s, step, 1.0);
    data.set(Metric::position, step, static_cast<double>(step));
    for (std::int64_t layer = 0; layer < std::ssize(layers); ++layer) {
      data.set(Metric::recall, step, layer, 0, 0.5);
      data.set(Metric::selected_entries, step, layer, 0, 8.0);
    }
  }
  if (change) {
    change(data);
  }
  PointResult point{std::move(data), "a: 1\n", {}};
  point.variant = variant;
  point.seed = seed;
  return point;
}

std::vector<PointResult> one(PointResult point) {
  std::vector<PointResult> points;
  points.push_back(std::move(point));
  return points;
}

Comparison compared(const std::vector<PointResult>& base, const std::vector<PointResult>& now,
                    const Request& request = {}) {
  const TemporaryFolder folder;
  write_results(folder / "base.h5", base, {});
  write_results(folder / "now.h5", now, {});
  return compare_results(ResultFile(folder / "base.h5"), ResultFile(folder / "now.h5"), request);
}

const Move& move_of(const Comparison& comparison, std::string_view summary) {
  const auto found = std::ranges::find(comparison.moves, summary, &Move::summary);
  REQUIRE(found != comparison.moves.end());
  return *found;
}

using Labels = std::vector<std::pair<std::string, std::string>>;

}  // namespace

TEST_CASE("results are the same as themselves") {
  const auto base = one(point_of("a", 1));
  const Comparison same = compared(base, one(point_of("a", 1)), {.exact = true, .host = true});
  CHECK(same.count(Verdict::same) == same.moves.size());
  CHECK(same.moves.size() > 30);
  CHECK(same.step_moves.empty());
  CHECK((same.missing_points.empty() && same.extra_points.empty()));
  CHECK((same.missing_summaries.empty() && same.extra_summaries.empty()));
}

TEST_CASE("a move is told with how much and with the first step, layer and head of its metric") {
  const Comparison worse = compared(one(point_of("a", 1)), one(point_of("a", 1, [](PointData& data) {
                                      data.set(Metric::recall, 2, 1, 0, 0.25);
                                      data.set(Metric::recall, 3, 0, 0, 0.0);
                                    })));
  CHECK(worse.count(Verdict::regression) == 1);
  const Move& recall = move_of(worse, "recall_mean");
  CHECK(recall.verdict == Verdict::regression);
  CHECK(recall.difference.difference == -0.75 / 8);
  CHECK(recall.unit == "1");
  REQUIRE(recall.first);
  CHECK(recall.first->dataset == "recall");
  CHECK(recall.first->at == Labels{{"step", "2"}, {"layer", "5"}, {"kv_head", "0"}});
  CHECK((recall.first->base == 0.5 && recall.first->now == 0.25));
  CHECK(worse.step_moves.empty());
}

TEST_CASE("a drop and a growth are judged by the summary's direction and by rules") {
  const auto slower = [](PointData& data) {
    data.set(Metric::latency_s, 0, 1.1);
    data.set(Metric::selected_entries, 0, 0, 0, 9.0);
  };
  const auto base = one(point_of("a", 1));
  const auto now = one(point_of("a", 1, slower));
  CHECK(move_of(compared(base, now), "latency_mean").verdict == Verdict::regression);
  CHECK(move_of(compared(base, now), "tokens_per_s").verdict == Verdict::regression);
  CHECK(move_of(compared(base, now), "latency_p50").verdict == Verdict::same);
  CHECK(move_of(compared(now, base), "latency_mean").verdict == Verdict::improved);
  CHECK(move_of(compared(base, now), "selected_mean").verdict == Verdict::changed);
  CHECK(move_of(compared(base, now, {.exact = true}), "selected_mean").verdict == Verdict::regression);
  const Request lenient{.rules = {{.metric = "latency", .max_growth = Tolerance{0.03, true}}}};
  CHECK(move_of(compared(base, now, lenient), "latency_mean").verdict == Verdict::within);
  CHECK(move_of(compared(base, now, lenient), "latency_p99").verdict == Verdict::regression);
  const Request blind{.rules = {{.metric = "*", .ignore = true}}};
  CHECK(compared(base, now, blind).moves.empty());
  CHECK(compared(base, now, blind).step_moves.empty());
}

TEST_CASE("layers are found by their numbers, wherever they stand") {
  const Comparison moved =
      compared(one(point_of("a", 1)), one(point_of("a", 1,
                                                   [](PointData& data) {
                                                     data.set(Metric::recall, 1, 2, 0, 0.75);
                                                     for (std::int64_t step = 0; step < 4; ++step) {
                                                       data.set(Metric::recall, step, 0, 0, 0.5);
                                                     }
                                                   },
                                                   {0, 2, 5})));
  const Move& recall = move_of(moved, "recall_mean");
  REQUIRE(recall.first);
  CHECK(recall.first->at == Labels{{"step", "0"}, {"layer", "0"}, {"kv_head", "0"}});
  CHECK(std::isnan(recall.first->base));
}

TEST_CASE("a metric that differs without its summaries is told apart") {
  const auto swapped = [](PointData& data) {
    data.set(Metric::recall, 1, 0, 0, 0.25);
    data.set(Metric::recall, 2, 0, 0, 0.75);
    data.set(Metric::position, 3, 7.0);
  };
  const auto base = one(point_of("a", 1));
  const Comparison moved = compared(base, one(point_of("a", 1, swapped)));
  CHECK(moved.count(Verdict::same) == moved.moves.size());
  REQUIRE(moved.step_moves.size() == 2);
  CHECK(moved.step_moves[0].first.dataset == "position");
  CHECK(moved.step_moves[0].first.at == Labels{{"step", "3"}});
  CHECK(moved.step_moves[1].first.dataset == "recall");
  CHECK_FALSE(moved.step_moves[1].regression);
  CHECK(compared(base, one(point_of("a", 1, swapped)), {.exact = true}).step_moves[0].regression);
  const Request strict{.rules = {{.metric = "recall", .direction = Direction::same}}};
  const Comparison judged = compared(base, one(point_of("a", 1, swapped)), strict);
  CHECK((!judged.step_moves[0].regression && judged.step_moves[1].regression));
}

TEST_CASE("metrics by step that one file alone keeps are named") {
  const auto with = one(point_of("a", 1));
  auto without = one(point_of("a", 1));
  without.front().keep_steps = false;
  const std::vector<std::string> all{"latency_s", "position", "recall", "selected_entries"};
  const auto names = [](const Comparison& comparison, bool regressions) {
    std::vector<std::string> found;
    for (const LostMetric& metric : comparison.missing_metrics) {
      if (metric.regression || !regressions) {
        found.push_back(metric.name);
      }
    }
    std::ranges::sort(found);
    return found;
  };
  const Comparison lost = compared(with, without);
  CHECK(lost.count(Verdict::same) == lost.moves.size());
  CHECK(lost.step_moves.empty());
  CHECK(names(lost, false) == all);
  CHECK(names(lost, true).empty());
  CHECK(names(compared(with, without, {.exact = true}), true) == all);
  const Request rules{
      .rules = {{.metric = "position", .direction = Direction::same}, {.metric = "recall", .ignore = true}}};
  CHECK(names(compared(with, without, rules), true) == std::vector<std::string>{"position"});
  CHECK(names(compared(with, without, rules), false).size() == 3);
  const Comparison gained = compared(without, with, {.exact = true});
  CHECK(gained.missing_metrics.empty());
  CHECK(gained.extra_metrics.size() == all.size());
}

TEST_CASE("points and seeds of one file alone are named") {
  std::vector<PointResult> base = one(point_of("a", 1));
  base.push_back(point_of("a", 2));
  base.push_back(point_of("gone", 1));
  std::vector<PointResult> now = one(point_of("new", 1));
  now.push_back(point_of("a", 2));
  now.push_back(point_of("a", 3));
  const Comparison comparison = compared(base, now);
  CHECK(comparison.missing_points == std::vector<std::string>{"gone"});
  CHECK(comparison.extra_points == std::vector<std::string>{"new"});
  REQUIRE((comparison.missing_seeds.size() == 1 && comparison.extra_seeds.size() == 1));
  CHECK(comparison.missing_seeds[0].seeds == std::vector<std::int64_t>{1});
  CHECK(comparison.extra_seeds[0].seeds == std::vector<std::int64_t>{3});
  CHECK(move_of(comparison, "recall_mean").point == "a");
  CHECK(std::ranges::all_of(comparison.moves, [](const Move& move) { return move.point == "a"; }));
}

TEST_CASE("several seeds of a point are one move, with an interval") {
  std::vector<PointResult> base;
  std::vector<PointResult> now;
  for (std::int64_t seed = 1; seed <= 3; ++seed) {
    base.push_back(point_of("a", seed));
    now.push_back(point_of("a", seed, [seed](PointData& data) {
      data.set(Metric::latency_s, 0, 1.0 + 0.01 * static_cast<double>(seed));
    }));
  }
  const Move& latency = move_of(compared(base, now), "latency_mean");
  CHECK(latency.difference.method == Method::paired);
  CHECK(latency.difference.now_seeds == 3);
  // Differences 0.0025, 0.005, 0.0075: s = 0.0025, t(0.975, 2) = 4.302652729911275
  CHECK(latency.difference.half_width == doctest::Approx(4.302652729911275 * 0.0025 / std::sqrt(3.0)));
  CHECK(latency.verdict == Verdict::uncertain);
  CHECK(latency.first_seed == 1);
}

TEST_CASE("one seed that differs fails where no move is allowed, and is where the first difference is") {
  std::vector<PointResult> base;
  std::vector<PointResult> now;
  for (std::int64_t seed = 1; seed <= 3; ++seed) {
    base.push_back(point_of("a", seed));
    now.push_back(point_of("a", seed, [seed](PointData& data) {
      data.set(Metric::latency_s, 3, seed == 2 ? 2.0 : 1.0);
      data.set(Metric::recall, 0, 1, 0, seed == 2 ? 0.25 : 0.5);
    }));
  }
  const Comparison usual = compared(base, now);
  CHECK(usual.count(Verdict::regression) == 0);
  CHECK(move_of(usual, "latency_mean").verdict == Verdict::uncertain);
  CHECK(move_of(usual, "recall_mean").verdict == Verdict::uncertain);
  const Comparison exact = compared(base, now, {.exact = true});
  CHECK(exact.count(Verdict::uncertain) + exact.count(Verdict::within) == 0);
  const Move& latency = move_of(exact, "latency_mean");
  CHECK(latency.verdict == Verdict::regression);
  CHECK(latency.first_seed == 2);
  REQUIRE(latency.first);
  CHECK(latency.first->at == Labels{{"step", "3"}});
  CHECK(move_of(exact, "recall_mean").verdict == Verdict::regression);
}
