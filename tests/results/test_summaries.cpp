#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <string>

#include "sim/results/metrics.hpp"
#include "sim/results/point_data.hpp"
#include "sim/results/writer.hpp"

using namespace kvr;

namespace {

constexpr double kNotKnown = std::numeric_limits<double>::quiet_NaN();

/// Two steps, two layers, two heads. Value of a [step, layer, head] metric: a, a + d, a + 2d, ... in C order.
void fill(PointData& data, Metric metric, double first, double difference) {
  double value = first;
  for (std::int64_t step = 0; step < 2; ++step) {
    for (std::int64_t layer = 0; layer < 2; ++layer) {
      for (std::int64_t head = 0; head < 2; ++head) {
        data.set(metric, step, layer, head, value);
        value += difference;
      }
    }
  }
}

void fill_layers(PointData& data, Metric metric, double s0l0, double s0l1, double s1l0, double s1l1) {
  data.set(metric, 0, 0, s0l0);
  data.set(metric, 0, 1, s0l1);
  data.set(metric, 1, 0, s1l0);
  data.set(metric, 1, 1, s1l1);
}

void fill_steps(PointData& data, Metric metric, double first, double second) {
  data.set(metric, 0, first);
  data.set(metric, 1, second);
}

PointData worked_example() {
  PointData data("worked", 2, 2, 2);
  fill(data, Metric::recall, 0.1, 0.1);  // 0.1 ... 0.8
  fill(data, Metric::mass, 0.5, 0.0);
  fill(data, Metric::relative_mass, 0.9, 0.01);       // 0.90 ... 0.97
  fill(data, Metric::output_error, 0.08, -0.01);      // 0.08 ... 0.01
  fill(data, Metric::retained, 0.3, 0.1);             // 0.3 ... 1.0
  fill(data, Metric::needed_loaded, 0.2, 0.1);        // 0.2 ... 0.9
  fill(data, Metric::selected_entries, 10.0, 2.0);    // 10 ... 24
  fill(data, Metric::demanded_units, 4.0, 0.0);       // 32 in all
  fill(data, Metric::hit_units, 0.0, 0.5);            // 0 ... 3.5: 14 in all
  fill(data, Metric::demanded_bytes, 1000.0, 0.0);    // 8000
  fill(data, Metric::hit_bytes, 100.0, 100.0);        // 3600
  fill(data, Metric::useful_read_bytes, 500.0, 0.0);  // 4000
  fill(data, Metric::updated_units, 1.0, 1.0);        // 1 ... 8: 36 in all, 10 in the first step
  const std::array first_reused = {0.0, 0.5, 1.0, 1.0, kNotKnown};  // by window, one more for each head
  for (std::int64_t i = 0; i < 8; ++i) {
    for (std::size_t window = 0; window < kWindows.size(); ++window) {
      const bool ends_before = window == 3 && i >= 4;  // the run, too soon for the second step
      data.set_in_window(Metric::reused_within, i / 4, i / 2 % 2, i % 2, window,
                         ends_before ? kNotKnown : first_reused[window] + static_cast<double>(i));
    }
  }
  fill(data, Metric::guessed_bytes, 50.0, 0.0);          // 400
  fill(data, Metric::rightly_guessed_bytes, 20.0, 5.0);  // 300
  fill_layers(data, Metric::read_requests, 1, 2, 3, 4);
  fill_layers(data, Metric::read_bytes, 1000, 1000, 2000, 2000);
  fill_layers(data, Metric::update_read_bytes, 0, 500, 0, 100);
  fill_layers(data, Metric::contiguous_mean_entries, 1, 2, 3, 6);
  fill_layers(data, Metric::contiguous_max_entries, 4, 9, 2, 1);
  fill_layers(data, Metric::write_bytes, 10, 20, 30, 40);
  fill_layers(data, Metric::appended_bytes, 5, 5, 10, 20);
  fill_layers(data, Metric::moved_bytes, 0, 0, 8, 0);
  fill_steps(data, Metric::latency_s, 0.010, 0.030);
  data.set_prefills(2);
  data.set_prefills_before_steps(1);
  data.set_of_prefill(Metric::prefill_s, 0, 0.5);
  data.set_of_prefill(Metric::prefill_s, 1, 0.1);
  fill_steps(data, Metric::compute_s, 0.008, 0.010);
  fill_steps(data, Metric::policy_s, 0.001, 0.003);
  fill_steps(data, Metric::io_s, 0.006, 0.010);
  fill_steps(data, Metric::exposed_io_s, 0.002, 0.008);
  fill_steps(data, Metric::hidden_io_s, 0.004, 0.002);
  for (std::size_t p = 0; p < kPurposes; ++p) {
    fill_steps(data, critical_metric(static_cast<Purpose>(p)), 0.0, 0.0);
  }
  fill_steps(data, Metric::critical_feed_forward_s, 0.003, 0.013);
  fill_steps(data, Metric::critical_read_s, 0.007, 0.017);  // 24 ms of 40 ms
  fill_steps(data, Metric::prefetch_wait_s, 0.001, 0.003);
  fill_steps(data, Metric::cache_bytes, 100, 400);
  fill_steps(data, Metric::working_buffer_bytes, 1000, 500);
  fill_steps(data, Metric::write_buffer_bytes, 3, 0);
  fill_steps(data, Metric::pinned_bytes, 0, 0);
  fill_steps(data, Metric::representative_bytes, 10, 20);
  fill_steps(data, Metric::metadata_bytes, 1, 2);
  fill_steps(data, Metric::flash_space_bytes, 5000, 6000);
  fill_steps(data, Metric::energy_j, 0.2, 0.6);
  fill_steps(data, Metric::flash_energy_j, 0.03, 0.05);
  fill_steps(data, Metric::score_kernel_s, 0.001, 0.002);
  fill_steps(data, Metric::update_kernel_s, 0.010, 0.020);
  return data;
}

const std::map<std::string_view, double> kExpected{
    {"recall_mean", 0.45},
    {"mass_mean", 0.5},
    {"relative_mass_mean", 0.935},
    {"output_error_mean", 0.045},
    {"retained_mean", 0.65},
    {"needed_loaded_mean", 0.55},
    {"selected_mean", 17.0},
    {"latency_mean", 0.020},
    {"latency_p50", 0.020},
    {"latency_p95", 0.029},
    {"latency_p99", 0.0298},
    {"time_to_first_token", 0.51},
    {"tokens_per_s", 50.0},
    {"compute_mean", 0.009},
    {"policy_mean", 0.002},
    {"exposed_io_mean", 0.005},
    {"hidden_io_mean", 0.003},
    {"hit_rate", 14.0 / 32.0},
    {"hit_rate_bytes", 3600.0 / 8000.0},
    {"guess_precision", 300.0 / 400.0},
    {"guess_coverage", 300.0 / 4400.0},
    {"prefetch_wait_mean", 0.002},
    {"reuse_probability_1", 28.0 / 36.0},
    {"reuse_probability_2", 32.0 / 36.0},
    {"reuse_probability_4", 1.0},
    {"reuse_probability_8", 10.0 / 10.0},
    {"reuse_probability_16", kNotKnown},
    {"reads_per_step", 5.0},
    {"bytes_per_step", 3000.0},
    {"update_bytes_per_step", 300.0},
    {"contiguous_mean", 3.0},
    {"contiguous_max", 9.0},
    {"effective_bandwidth", 4000.0 / 0.016},
    {"read_amplification", 6000.0 / 4000.0},
    {"write_bytes_per_step", 50.0},
    {"moved_bytes_per_step", 4.0},
    {"write_amplification", 100.0 / 40.0},
    {"flash_space", 6000.0},
    {"cache_bytes_max", 400.0},
    {"dram_total_max", 1114.0},
    {"energy_per_token", 0.4},
    {"flash_energy_share", 0.1},
    {"policy_kernel_mean", 0.0165},
};

double summary(const PointData& data, std::string_view name) {
  for (const SummaryInfo& row : summary_table()) {
    if (row.name == name) {
      return row.compute(data);
    }
  }
  return std::numeric_limits<double>::infinity();
}

std::string with_single_spaces(std::string text) {
  const auto both_spaces = [](char a, char b) { return a == ' ' && b == ' '; };
  text.erase(std::unique(text.begin(), text.end(), both_spaces), text.end());
  return text;
}

}  // namespace

TEST_CASE("every summary is what a hand computes") {
  const PointData data = worked_example();
  CHECK(kExpected.size() == summary_table().size());
  for (const SummaryInfo& row : summary_table()) {
    CAPTURE(row.name);
    REQUIRE(kExpected.contains(row.name));
    const double expected = kExpected.at(row.name);
    CHECK(std::isnan(row.compute(data)) == std::isnan(expected));
    if (!std::isnan(expected)) {
      CHECK(row.compute(data) == doctest::Approx(expected).epsilon(1e-12));
    }
  }
}

TEST_CASE("every summary of a point that recorded nothing is NaN") {
  const PointData data("empty", 3, 1, 1);
  for (const SummaryInfo& row : summary_table()) {
    CAPTURE(row.name);
    CHECK(std::isnan(row.compute(data)));
  }
}

TEST_CASE("a ratio over nothing is NaN, not zero") {
  PointData data("idle", 1, 1, 1);
  data.set(Metric::hit_units, 0, 0, 0, 0.0);
  data.set(Metric::demanded_units, 0, 0, 0, 0.0);
  CHECK(std::isnan(summary(data, "hit_rate")));
}

TEST_CASE("steps that were not recorded do not count") {
  PointData data("short", 3, 1, 1);
  data.set(Metric::latency_s, 0, 0.1);
  data.set(Metric::latency_s, 2, 0.3);
  data.set(Metric::read_bytes, 1, 0, 50.0);
  CHECK(summary(data, "latency_mean") == doctest::Approx(0.2));
  CHECK(summary(data, "tokens_per_s") == doctest::Approx(5.0));
  CHECK(summary(data, "bytes_per_step") == 50.0);
}

TEST_CASE("a value that arithmetic could not come to is not left out: its summaries are NaN, and told") {
  PointData data = worked_example();
  CHECK(data.notes().empty());
  data.set_layer_numbers({3, 7});
  data.set(Metric::mass, 1, 1, 0, kNotKnown);
  data.set(Metric::mass, 1, 1, 1, kNotKnown);
  data.set(Metric::read_bytes, 0, 1, kNotKnown);
  data.set(Metric::latency_s, 1, kNotKnown);
  data.set(Metric::pinned_bytes, 1, kNotKnown);
  for (const char* name : {"mass_mean", "bytes_per_step", "read_amplification", "latency_mean", "latency_p95",
                           "tokens_per_s", "dram_total_max"}) {
    CAPTURE(name);
    CHECK(std::isnan(summary(data, name)));
  }
  CHECK(summary(data, "recall_mean") == doctest::Approx(kExpected.at("recall_mean")));
  CHECK(data.notes() ==
        std::vector<std::string>{
            "mass: 2 of 8 values are not numbers, the first at step 1, layer 7, head 0; its summaries have "
            "no value",
            "read_bytes: 1 of 4 values are not numbers, the first at step 0, layer 7; its summaries have no "
            "value",
            "latency_s: 1 of 2 values are not numbers, the first at step 1; its summaries have no value",
            "pinned_bytes: 1 of 2 values are not numbers, the first at step 1; its summaries have no value"});
}

TEST_CASE("what has no value by definition is left out, and told") {
  PointData data("cached", 2, 2, 1);
  data.set(Metric::contiguous_mean_entries, 0, 1, 3.0);
  data.set_in_window(Metric::reused_within, 1, 0, 0, 0, kNotKnown);
  CHECK(summary(data, "contiguous_mean") == 3.0);
  CHECK(data.notes() ==
        std::vector<std::string>{
            "contiguous_mean and contiguous_max are of 1 of 4 steps and layers; the others read "
            "nothing that is needed"});
}

TEST_CASE("a DRAM total that lacks one of its parts is NaN") {
  PointData data("partial", 1, 1, 1);
  data.set(Metric::cache_bytes, 0, 100.0);
  CHECK(std::isnan(summary(data, "dram_total_max")));
  CHECK(summary(data, "cache_bytes_max") == 100.0);
}

TEST_CASE("a few points: the terminal shows every summary with human units, one column per point") {
  const std::vector<PointResult> points{{worked_example(), "", {}}, {PointData("none", 1, 1, 1), "", {}}};
  const std::string text = summary_text(outlines_of(points));
  CAPTURE(text);
  // The reuse that the run is too short for has no value, and no row.
  CHECK(std::count(text.begin(), text.end(), '\n') ==
        1 + static_cast<std::ptrdiff_t>(summary_table().size()));
  CHECK(text.find("reuse within 16") == std::string::npos);
  const std::string words = with_single_spaces(text);
  for (const std::string_view line :
       {"point worked none\n", "\nrecall 45.00 % -\n", "\nselected 17.0 -\n", "\nlatency p95 29.0 ms -\n",
        "\nbandwidth 250 kB/s -\n", "\nread amplification 1.50 -\n", "\nDRAM 1.11 kB -\n",
        "\nenergy/token 400 mJ -\n", "\nflash energy 10.00 % -\n", "\npolicy kernels (host) 16.5 ms -\n",
        "\nbound by read 60 % -\n"}) {
    CAPTURE(line);
    CHECK(words.find(line) != std::string::npos);
  }
}

TEST_CASE("the terminal shows how far models were off a real device, where one was asked") {
  std::vector<PointResult> points;
  points.push_back({worked_example(), "", {}});
  CHECK(summary_text(outlines_of(points)).find("total time") == std::string::npos);
  points[0].model_errors = {{"analytic", 12, 0.125, 0.5, 2.0, -0.25}};
  const std::string text = summary_text(outlines_of(points));
  CHECK(text.find("\n\nbatches, model against device") != std::string::npos);
  CHECK(text.find("analytic       12       12.50 %    50.00 %   200.00 %    -25.00 %\n") !=
        std::string::npos);
}

TEST_CASE("the terminal shows three significant digits at any size, zero and infinity too") {
  PointData data("sizes", 1, 1, 1);
  const auto shown = [&](Metric metric, double value) {
    data.set(metric, 0, value);
    return with_single_spaces(summary_text(outlines_of({{data, "", {}}})));
  };
  CHECK(shown(Metric::latency_s, 0.9996).find("latency p50 1000 ms") != std::string::npos);
  CHECK(shown(Metric::latency_s, 1.5e-10).find("latency p50 0.15 ns") != std::string::npos);
  CHECK(shown(Metric::latency_s, 0.0).find("latency p50 0 s") != std::string::npos);
  CHECK(shown(Metric::cache_bytes, 0.0).find("cache 0 B") != std::string::npos);
  CHECK(shown(Metric::cache_bytes, 123456789.0).find("cache 123 MB") != std::string::npos);
  CHECK(shown(Metric::latency_s, std::numeric_limits<double>::infinity()).find("latency p50 inf s") !=
        std::string::npos);
}

TEST_CASE("many points: the terminal shows one row each") {
  const std::string long_name(20, 'x');
  std::vector<PointResult> points;
  for (int i = 0; i < 5; ++i) {
    PointData data(long_name + std::to_string(i), 1, 1, 1);
    data.set(Metric::latency_s, 0, 1e-3 * (i + 1));
    points.push_back({std::move(data), "", {}});
  }
  const std::string text = summary_text(outlines_of(points));
  CAPTURE(text);
  CHECK(std::count(text.begin(), text.end(), '\n') == 6);
  CHECK(with_single_spaces(text).find("\nxxxxxxxxxxxxxxxxxxxx4 - - - 5.00 ms") != std::string::npos);
  CHECK(text.find(" bound by\n") != std::string::npos);
}

TEST_CASE("points that differ in the seed alone are shown as their mean with its interval") {
  std::vector<PointResult> points;
  for (std::int64_t seed = 1; seed <= 5; ++seed) {
    PointData data("a,seed=" + std::to_string(seed), 1, 1, 1);
    data.set(Metric::latency_s, 0, 1e-3 * static_cast<double>(seed));
    data.set(Metric::compute_s, 0, 1e-3);
    points.push_back(
        {.data = std::move(data), .resolved_config = "", .notes = {}, .variant = "a", .seed = seed});
  }
  PointData alone("b", 1, 1, 1);
  alone.set(Metric::latency_s, 0, 7e-3);
  points.push_back({.data = std::move(alone), .resolved_config = "", .notes = {}});
  const std::string words = with_single_spaces(summary_text(outlines_of(points)));
  CAPTURE(words);
  CHECK(words.find("point a b\n") != std::string::npos);
  CHECK(words.find("\nlatency mean 3.00 ms +- 1.96 ms 7.00 ms\n") != std::string::npos);
  CHECK(words.find("\ncompute 1.00 ms -\n") != std::string::npos);
  CHECK(words.ends_with("\nmean of 1 to 5 seeds, +- half of its 95 % interval (Student's t)\n"));
}

TEST_CASE(
    "what bounds a step is what has the largest share over all seeds; unknown where a value is missing") {
  const auto point = [](std::int64_t seed, double read_s, double score_s) {
    PointData data("a,seed=" + std::to_string(seed), 1, 1, 1);
    for (std::size_t p = 0; p < kPurposes; ++p) {
      data.set(critical_metric(static_cast<Purpose>(p)), 0, 0.0);
    }
    data.set(Metric::critical_representative_read_s, 0, read_s);
    data.set(Metric::critical_score_s, 0, score_s);
    return PointResult{
        .data = std::move(data), .resolved_config = "", .notes = {}, .variant = "a", .seed = seed};
  };
  std::vector<PointResult> points;
  points.push_back(point(1, 3.0, 1.0));
  points.push_back(point(2, 1.0, 5.0));
  CHECK(with_single_spaces(summary_text(outlines_of(points))).find("\nbound by score 60 %\n") !=
        std::string::npos);
  points.push_back(point(3, 6.0, 0.0));
  CHECK(with_single_spaces(summary_text(outlines_of(points))).find("\nbound by representative read 62 %\n") !=
        std::string::npos);
  points[1].data.set(Metric::critical_score_s, 0, kNotKnown);
  CHECK(with_single_spaces(summary_text(outlines_of(points))).find("\nbound by -\n") != std::string::npos);
}
