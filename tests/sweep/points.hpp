#pragma once

#include <limits>
#include <vector>

#include "sim/results/outline.hpp"

namespace kvr::test {

/// What may be recorded of units: one that was found in part, and entries in none.
inline RecordedUnits two_units() {
  RecordedUnits units{.stages = {"coarse", "select"}, .tiers = {"hbm", "dram", "flash"}};
  units.choices.resize(2);
  units.choices[0] = {.step = 1,
                      .layer = 8,
                      .kv_head = 3,
                      .stage = 1,
                      .unit = 7,
                      .rank = 1,
                      .score = 0.25F,
                      .weight = 0.5F,
                      .entry_count = 2,
                      .in_first_tier = 1,
                      .extent_count = 1};
  units.choices[1] = {
      .step = 1, .layer = 8, .role = static_cast<std::int32_t>(UnitRole::pinned), .entry_count = 1};
  units.entries = {{.position = 4, .tier = 0, .weight = 0.125F}, {.position = 5, .tier = 2}, {.position = 9}};
  units.extents = {{.offset_bytes = std::int64_t{1} << 40, .length_bytes = 64}};
  units.requests = {{.step = 1, .layer = 8, .use = 2, .offset_bytes = 4096, .length_bytes = 8192}};
  return units;
}

/// A point that has something of everything that a record holds.
inline PointResult full_point() {
  PointData data("full", 3, 2, 2);
  data.set_layer_numbers({4, 8});
  data.set_head_numbers({1, 3});
  data.set_sequences(4, 2);
  data.set_tier_names({"dram", "cxl"});
  data.set_prefills(1);
  for (std::int64_t step = 0; step < 3; ++step) {
    data.set(Metric::latency_s, step, 0.1 + static_cast<double>(step));
    data.set(Metric::recall, step, 1, 3, 1.0 / 3.0);
    data.set_of_tier(Metric::tier_asked_bytes, step, 1, 8.0);
    data.set_of_tier(Metric::tier_hit_bytes, step, 1, 2.0);
  }
  data.set(Metric::mass, 0, 0, 0, std::numeric_limits<double>::quiet_NaN());  // broken, and told as such
  data.set(Metric::truth_kernel_s, 0, 0.25);
  data.set_of_prefill(Metric::prefill_s, 0, 2.0);
  data.set(Metric::updated_units, 2, 1, 1, 5.0);
  data.set_in_window(Metric::reused_within, 2, 1, 1, 4, 5.0);
  const std::size_t splits = data.add_figure({.name = "shy.splits",
                                              .unit = "splits",
                                              .long_name = "units divided",
                                              .formula = "count",
                                              .policy = "clustering 'shy'",
                                              .dims = Dims::step_layer,
                                              .adds_up = true});
  data.set_figure(splits, 1, std::vector{3.0, 4.0});
  data.set_units(test::two_units());
  return {.data = data,
          .resolved_config = "a: 1\nb: \"\\x01\"\n",
          .notes = {"assumed", ""},
          .keep_steps = true,
          .model_errors = {{.model = "analytic", .batches = 7, .median = 0.5, .total_time = -0.25}},
          .variant = "fu",
          .seed = -3};
}

}  // namespace kvr::test
