#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "sim/interfaces/purpose.hpp"

namespace kvr {

class PointData;

/// Over what a metric has one value.
enum class Dims { point, step, step_layer, step_layer_head, step_tier, step_layer_head_window, prefill };

/// The windows of Dims::step_layer_head_window: numbers of steps, ascending.
inline constexpr std::array<std::int64_t, 5> kWindows = {1, 2, 4, 8, 16};

enum class Origin {
  simulated,  ///< the same on every machine and with any number of threads
  host,       ///< measured on the machine that ran the replay; never the same twice, so kept in a group apart
};

enum class Metric : std::size_t {
  // One value per step, layer and head.
  recall,
  mass,
  relative_mass,
  output_error,
  selected_entries,
  attended_entries,
  estimated_entries,
  retained,
  retained_mass,
  retained_recall,
  needed_loaded,
  span_true_mass,
  span_mass,
  units,
  unit_variance,
  demanded_units,
  hit_units,
  demanded_bytes,
  hit_bytes,
  useful_read_bytes,
  guessed_bytes,
  rightly_guessed_bytes,
  reference_read_bytes,
  referenced_bytes,
  updated_units,
  // One value per step, layer, head and window.
  reused_within,
  // One value per step and layer.
  read_requests,
  read_bytes,
  update_read_bytes,
  prefetch_read_bytes,
  contiguous_mean_entries,
  contiguous_max_entries,
  write_bytes,
  appended_bytes,
  moved_bytes,
  outgrown_units,
  // One value per step.
  position,
  turn,
  // One value per prefill.
  prefill_tokens,
  prefill_s,
  prefill_compute_s,
  prefill_io_s,
  prefill_read_bytes,
  prefill_write_bytes,
  prefill_energy_j,
  // One value per step.
  latency_s,
  compute_s,
  policy_s,
  io_s,
  exposed_io_s,
  hidden_io_s,
  link_s,
  exposed_link_s,
  critical_compute_s,
  critical_flash_s,
  critical_link_s,
  critical_query_projection_s,
  critical_key_value_projection_s,
  critical_score_s,
  critical_read_s,
  critical_attention_s,
  critical_output_projection_s,
  critical_feed_forward_s,
  critical_update_s,
  critical_write_s,
  critical_output_head_s,
  critical_representative_read_s,
  critical_swap_in_s,
  critical_guess_s,
  critical_prefetch_s,
  critical_tier_read_s,
  critical_demotion_s,
  critical_placement_s,
  late_prefetches,
  prefetch_wait_s,
  cache_bytes,
  working_buffer_bytes,
  write_buffer_bytes,
  pinned_bytes,
  representative_bytes,
  metadata_bytes,
  flash_space_bytes,
  energy_j,
  flash_energy_j,
  dram_energy_j,
  host_io_energy_j,
  compute_energy_j,
  base_energy_j,
  // One value per step and tier of memory below the first.
  tier_asked_bytes,
  tier_hit_bytes,
  tier_up_bytes,
  tier_down_bytes,
  tier_held_bytes,
  // One value per step, measured on the host.
  score_kernel_s,
  update_kernel_s,
  attention_kernel_s,
  truth_kernel_s,
};

/// How much of the critical path operations of `purpose` are.
constexpr Metric critical_metric(Purpose purpose) {
  return static_cast<Metric>(static_cast<std::size_t>(Metric::critical_query_projection_s) +
                             static_cast<std::size_t>(purpose));
}

/// One row of the table of metrics; the datasets of a results file and the documentation follow from it.
/// `unit` is "1" for a ratio and "B" for bytes, `formula` is plain text.
struct MetricInfo {
  Metric id;
  std::string_view name;
  std::string_view unit;
  std::string_view long_name;
  std::string_view formula;
  Dims dims;
  Origin origin;
};

/// Every metric; the index is the value of the enumerator.
std::span<const MetricInfo> metric_table();
const MetricInfo& info(Metric metric);

/// Whether the metric, by definition, has no value in some steps: nothing may be
/// chosen or is read, or the run ends before.
/// Summaries leave these out and say so; a NaN in any other metric makes its summaries NaN.
constexpr bool may_lack_values(Metric metric) {
  switch (metric) {
    case Metric::recall:
    case Metric::retained_recall:
    case Metric::contiguous_mean_entries:
    case Metric::contiguous_max_entries:
    case Metric::reused_within:
      return true;
    default:
      return false;
  }
}

/// One number that sums up a point. NaN when what it needs was not recorded or when it would divide by zero.
struct SummaryInfo {
  std::string_view name;
  std::string_view unit;
  std::string_view long_name;
  std::string_view formula;
  std::string_view heading;  ///< short title for the terminal
  bool overview;             ///< shown when many points share one table
  Origin origin;
  double (*compute)(const PointData&);
};

std::span<const SummaryInfo> summary_table();

/// Both tables as Markdown, for the documentation.
std::string metrics_markdown();

}  // namespace kvr
