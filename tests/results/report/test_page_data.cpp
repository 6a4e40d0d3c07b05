#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/files/temporary_folder.hpp"
#include "sim/results/report/page_data.hpp"
#include "sim/results/report/step_series.hpp"
#include "sim/results/writer.hpp"

using namespace kvr;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// One variant with two seeds, of 4 steps, 2 layers and 2 heads; the second seed's steps are not kept.
std::vector<PointResult> two_seeds() {
  std::vector<PointResult> points;
  for (const std::int64_t seed : {1, 2}) {
    PointData data("a, seed " + std::to_string(seed), 4, 2, 2);
    data.set_layer_numbers({3, 8});
    for (std::int64_t step = 0; step < 4; ++step) {
      data.set(Metric::latency_s, step, step == 2 ? 9.0 : 1.0 + static_cast<double>(seed * step));
      for (std::int64_t head = 0; head < 2; ++head) {
        data.set(Metric::recall, step, 0, head, 0.25);
        data.set(Metric::recall, step, 1, head, head == 0 ? 0.5 : kNan);
      }
    }
    points.push_back({std::move(data), "a: 1\n", {"of all", "of seed " + std::to_string(seed)}});
    points.back().variant = "a";
    points.back().seed = seed;
    points.back().keep_steps = seed == 1;
  }
  return points;
}

Json described(const Json& list, const std::string& name) {
  for (const Json& one : list) {
    if (one.at("name") == name) {
      return one;
    }
  }
  FAIL("no ", name);
  return {};
}

std::size_t place(const Json& list, const std::string& name) {
  std::size_t found = 0;
  while (list.at(found).at("name") != name) {
    ++found;
  }
  return found;
}

report::PageData data_of(const TemporaryFolder& folder) {
  const std::filesystem::path path = folder / "r.h5";
  write_results(path, two_seeds(), Provenance{});
  const std::vector<std::size_t> all{0, 1};
  return report::page_data(ResultFile(path), all);
}

}  // namespace

TEST_CASE("points of one variant are one row, with the interval over seeds") {
  const TemporaryFolder folder;
  const Json page = data_of(folder).page;
  REQUIRE(page.at("variants").size() == 1);
  const Json& variant = page.at("variants").at(0);
  CHECK(variant.at("name") == "a");
  CHECK(variant.at("points") == Json({0, 1}));
  const std::size_t latency = place(page.at("summaries"), "latency_mean");
  // Of seed 1: 1, 2, 9, 4, which is 4 on average; of seed 2: 1, 3, 9, 7, which is 5.
  CHECK(page.at("summaries").at(latency).at("values") == Json({4.0, 5.0}));
  CHECK(page.at("summaries").at(latency).at("better") == "lower");
  CHECK(variant.at("mean").at(latency) == 4.5);
  // t(0.975, 1) is 12.7062, the standard error 0.5.
  CHECK(variant.at("half_width").at(latency).get<double>() == doctest::Approx(6.3531).epsilon(1e-5));
}

TEST_CASE("a series is of single steps, or the mean over the layers and heads that have a value") {
  const TemporaryFolder folder;
  const report::PageData data = data_of(folder);
  const Json& series = data.page.at("series");
  CHECK(described(series, "latency_s").at("over").empty());
  CHECK(described(series, "recall").at("over") == Json({"layer", "kv_head"}));
  REQUIRE(data.steps.size() == 1);  // the other seed keeps none
  CHECK(data.page.at("steps").at("points") == Json({0}));
  const Json& values = data.steps.at(0).at("series");
  CHECK(values.at(place(series, "latency_s")) == Json({1.0, 2.0, 9.0, 4.0}));
  for (const Json& recall : values.at(place(series, "recall"))) {
    CHECK(recall.get<double>() == doctest::Approx((0.25 + 0.25 + 0.5) / 3.0));
  }
  const Json& means = data.page.at("steps").at("means");
  CHECK(means.at(0).at(place(series, "latency_s")) == 4.0);
  CHECK(std::isnan(means.at(1).at(place(series, "latency_s")).get<double>()));
}

TEST_CASE("a map has a cell for each layer and head, and none is null") {
  const TemporaryFolder folder;
  const report::PageData data = data_of(folder);
  CHECK(data.page.at("steps").at("layers") == Json({3, 8}));
  const Json map = data.steps.at(0).at("maps").at(place(data.page.at("steps").at("maps"), "recall"));
  REQUIRE(map.size() == 4);
  CHECK(map.at(0) == 0.25);
  CHECK(map.at(2) == 0.5);
  CHECK(json_line(map.at(3)) == "null");
}

TEST_CASE("the typical step is the lower of the middle ones, the slowest the first of the longest") {
  const TemporaryFolder folder;
  const report::PageData data = data_of(folder);
  const Json& steps = data.steps.at(0);  // 1, 2, 9, 4
  CHECK(steps.at("median").at("step") == 1);
  CHECK(steps.at("slowest").at("step") == 2);
  const std::size_t latency = place(data.page.at("series"), "latency_s");
  CHECK(steps.at("slowest").at("values").at(latency) == 9.0);
  CHECK(steps.at("quantiles").size() == 101);
  CHECK(steps.at("quantiles").at(50) == 3.0);
}

TEST_CASE("each note stands once, and points say which are theirs") {
  const TemporaryFolder folder;
  const Json page = data_of(folder).page;
  const Json& notes = page.at("notes");
  CHECK(notes.at(page.at("points").at(1).at("notes").at(0).get<std::size_t>()) == "of all");
  CHECK(notes.at(page.at("points").at(1).at("notes").at(1).get<std::size_t>()) == "of seed 2");
  CHECK(std::ranges::count(notes, Json("of all")) == 1);
}

TEST_CASE("steps are thinned where there is no room, and then points left out") {
  using report::thinned;
  CHECK(thinned(4, 70, 400, 0).steps_per_bin == 1);  // 112,000 numbers
  CHECK(thinned(4, 70, 400, 0).points == 4);
  // 10,000 steps of 100 points: three numbers a bin, 200 bins at least, so 42,000 numbers each: 14 points.
  const report::Thinning many = thinned(100, 70, 10'000, 0);
  CHECK(many.points == 14);
  CHECK(many.steps_per_bin == 50);                      // 42,857 numbers a point, 612 a series: 204 bins
  CHECK(thinned(100, 70, 10'000, 42'000).points == 7);  // which take as much again beside their series
  for (const std::size_t points : {1U, 7U, 1600U}) {
    for (const std::size_t series : {1U, 13U, 90U}) {
      for (const std::size_t steps : {1U, 24U, 601U, 6144U, 100'000U}) {
        CAPTURE(points);
        CAPTURE(series);
        CAPTURE(steps);
        const report::Thinning thinning = thinned(points, series, steps, 0);
        const std::size_t bins = (steps + thinning.steps_per_bin - 1) / thinning.steps_per_bin;
        const std::size_t numbers = thinning.points * series * bins * (thinning.steps_per_bin > 1 ? 3 : 1);
        CHECK(thinning.points >= 1);
        CHECK((numbers <= report::kMostNumbers || thinning.points == 1));
        CHECK((bins == steps || bins >= report::kFewestBins / 2));
      }
    }
  }
}

TEST_CASE("a bin keeps its least, mean and most, of the steps that have a value") {
  const Json bins = report::binned({3.0, 1.0, kNan, 4.0, kNan, kNan, 5.0}, 3);
  CHECK(json_line(bins) == R"({"min":[1.0,4.0,5.0],"mean":[2.0,4.0,5.0],"max":[3.0,4.0,5.0]})");
  CHECK(json_line(report::binned({kNan, kNan}, 2)) == R"({"min":[null],"mean":[null],"max":[null]})");
  CHECK(json_line(report::binned({1.0, kNan}, 1)) == "[1.0,null]");
}
