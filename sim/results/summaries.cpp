// The table of summaries: what stands for a point, from its metrics.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "sim/results/metrics.hpp"
#include "sim/results/point_data.hpp"
#include "sim/results/statistics.hpp"

namespace kvr {
namespace {

using enum Origin;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// The values that summaries are of: none if arithmetic failed somewhere.
std::span<const double> sound(const PointData& data, Metric metric) {
  return data.broken(metric) ? std::span<const double>() : data.values(metric);
}

/// [steps]: the metric summed over layers and heads.
std::vector<double> per_step(const PointData& data, Metric metric) {
  std::vector<double> sums;
  const std::span<const double> values = sound(data, metric);
  const auto row = static_cast<std::size_t>(data.row_size(metric));
  for (std::size_t begin = 0; begin < values.size(); begin += row) {
    sums.push_back(sum(values.subspan(begin, row)));
  }
  return sums;
}

/// [steps]: the sum of some metrics of Dims::step; NaN in a step that lacks one of them. Empty if one is
/// broken.
std::vector<double> added(const PointData& data, std::initializer_list<Metric> metrics) {
  if (std::ranges::any_of(metrics, [&](Metric metric) { return data.broken(metric); })) {
    return {};
  }
  std::vector<double> totals(static_cast<std::size_t>(data.steps()), 0.0);
  for (const Metric metric : metrics) {
    for (std::size_t step = 0; step < totals.size(); ++step) {
      totals[step] += data.at(metric, static_cast<std::int64_t>(step));
    }
  }
  return totals;
}

double ratio(double numerator, double denominator) {
  return denominator == 0.0 ? kNan : numerator / denominator;
}

template <Metric metric>
double mean_of(const PointData& data) {
  return mean(sound(data, metric));
}

template <Metric metric>
double max_of(const PointData& data) {
  return maximum(sound(data, metric));
}

template <Metric metric>
double step_mean_of(const PointData& data) {
  return mean(per_step(data, metric));
}

template <Metric metric, int percent>
double percentile_of(const PointData& data) {
  return quantile(sound(data, metric), percent / 100.0);
}

template <Metric numerator, Metric denominator>
double ratio_of_sums(const PointData& data) {
  return ratio(sum(sound(data, numerator)), sum(sound(data, denominator)));
}

/// Over the steps for which is known what was demanded in the window, of so many steps.
template <std::int64_t steps>
double reuse_probability(const PointData& data) {
  constexpr auto kWindow = static_cast<std::size_t>(std::ranges::find(kWindows, steps) - kWindows.begin());
  static_assert(kWindow < kWindows.size());
  const std::span<const double> updated = data.values(Metric::updated_units);
  const std::span<const double> all = data.values(Metric::reused_within);
  std::vector<double> reused;
  double known = 0.0;
  for (std::size_t i = kWindow; i < all.size(); i += kWindows.size()) {
    reused.push_back(all[i]);
    known += std::isnan(all[i]) ? 0.0 : updated[i / kWindows.size()];
  }
  return ratio(sum(reused), known);
}

/// NaN where nothing was guessed, so that it does not stand beside systems that guess nothing.
template <double (*of)(const PointData&)>
double where_guessed(const PointData& data) {
  return sum(sound(data, Metric::guessed_bytes)) > 0.0 ? of(data) : kNan;
}

double guess_coverage(const PointData& data) {
  const double missed = sum(sound(data, Metric::demanded_bytes)) - sum(sound(data, Metric::hit_bytes));
  return ratio(sum(sound(data, Metric::rightly_guessed_bytes)), missed);
}

double tokens_per_second(const PointData& data) {
  return ratio(data.tokens_per_step(), mean(sound(data, Metric::latency_s)));
}

double time_to_first_token(const PointData& data) {
  const std::span<const double> prefills = sound(data, Metric::prefill_s);
  const std::span<const double> latencies = sound(data, Metric::latency_s);
  return prefills.empty() || latencies.empty()
             ? kNan
             : sum(prefills.first(static_cast<std::size_t>(data.prefills_before_steps()))) +
                   latencies.front();
}

double energy_per_token(const PointData& data) {
  return mean(sound(data, Metric::energy_j)) / data.tokens_per_step();
}

double dram_total_max(const PointData& data) {
  return maximum(added(data, {Metric::cache_bytes, Metric::working_buffer_bytes, Metric::write_buffer_bytes,
                              Metric::pinned_bytes, Metric::representative_bytes, Metric::metadata_bytes}));
}

double policy_kernel_mean(const PointData& data) {
  return mean(added(data, {Metric::score_kernel_s, Metric::update_kernel_s}));
}

// mean: over steps, layers and heads; per-step sums run over layers and heads. Only where a metric may lack
// values are NaN values left out.
constexpr std::array kSummaries{
    SummaryInfo{"recall_mean", "1", "mean recall", "mean of recall", "recall", true, simulated,
                mean_of<Metric::recall>},
    SummaryInfo{"mass_mean", "1", "mean attention mass of the attended entries", "mean of mass",
                "attention mass", true, simulated, mean_of<Metric::mass>},
    SummaryInfo{"relative_mass_mean", "1", "mean attention mass relative to the best choice",
                "mean of relative_mass", "relative mass", false, simulated, mean_of<Metric::relative_mass>},
    SummaryInfo{"output_error_mean", "1", "mean local error of the attention output", "mean of output_error",
                "output error", true, simulated, mean_of<Metric::output_error>},
    SummaryInfo{"retained_mean", "1", "mean share of entries that are not removed", "mean of retained",
                "retained", false, simulated, mean_of<Metric::retained>},
    SummaryInfo{"needed_loaded_mean", "1",
                "mean share of the entries that attention needs that was attended to",
                "mean of needed_loaded", "needed loaded", false, simulated, mean_of<Metric::needed_loaded>},
    SummaryInfo{"selected_mean", "entries", "mean number of selected entries", "mean of selected_entries",
                "selected", false, simulated, mean_of<Metric::selected_entries>},
    SummaryInfo{"latency_mean", "s", "mean time of a step", "mean of latency_s", "latency mean", false,
                simulated, mean_of<Metric::latency_s>},
    SummaryInfo{"latency_p50", "s", "median time of a step",
                "0.50 quantile of latency_s, linear interpolation", "latency p50", true, simulated,
                percentile_of<Metric::latency_s, 50>},
    SummaryInfo{"latency_p95", "s", "95th percentile of the time of a step",
                "0.95 quantile of latency_s, linear interpolation", "latency p95", true, simulated,
                percentile_of<Metric::latency_s, 95>},
    SummaryInfo{"latency_p99", "s", "99th percentile of the time of a step",
                "0.99 quantile of latency_s, linear interpolation", "latency p99", false, simulated,
                percentile_of<Metric::latency_s, 99>},
    SummaryInfo{"time_to_first_token", "s", "time to the first token",
                "prefill_s of all that is read in before step 0 + latency_s of step 0", "first token", false,
                simulated, time_to_first_token},
    SummaryInfo{"tokens_per_s", "tokens/s", "decode rate", "tokens of all steps / sum of latency_s",
                "tokens/s", false, simulated, tokens_per_second},
    SummaryInfo{"compute_mean", "s", "mean compute time of a step", "mean of compute_s", "compute", false,
                simulated, mean_of<Metric::compute_s>},
    SummaryInfo{"policy_mean", "s", "mean policy time of a step", "mean of policy_s", "policy", false,
                simulated, mean_of<Metric::policy_s>},
    SummaryInfo{"exposed_io_mean", "s", "mean exposed I/O time of a step", "mean of exposed_io_s",
                "exposed I/O", true, simulated, mean_of<Metric::exposed_io_s>},
    SummaryInfo{"hidden_io_mean", "s", "mean hidden I/O time of a step", "mean of hidden_io_s", "hidden I/O",
                false, simulated, mean_of<Metric::hidden_io_s>},
    SummaryInfo{"hit_rate", "1", "share of the demanded units found in DRAM",
                "sum of hit_units / sum of demanded_units", "hit rate", true, simulated,
                ratio_of_sums<Metric::hit_units, Metric::demanded_units>},
    SummaryInfo{"hit_rate_bytes", "1", "share of the demanded bytes found in DRAM",
                "sum of hit_bytes / sum of demanded_bytes", "hit rate, bytes", false, simulated,
                ratio_of_sums<Metric::hit_bytes, Metric::demanded_bytes>},
    SummaryInfo{"guess_precision", "1", "share of the bytes read ahead that were demanded",
                "sum of rightly_guessed_bytes / sum of guessed_bytes", "guesses right", false, simulated,
                ratio_of_sums<Metric::rightly_guessed_bytes, Metric::guessed_bytes>},
    SummaryInfo{"guess_coverage", "1", "share of the missed bytes that were read ahead",
                "sum of rightly_guessed_bytes / (sum of demanded_bytes - sum of hit_bytes); NaN where "
                "nothing is guessed",
                "misses guessed", false, simulated, where_guessed<guess_coverage>},
    SummaryInfo{"prefetch_wait_mean", "s", "mean time of a step that operations wait for reads ahead",
                "mean of prefetch_wait_s; NaN where nothing is guessed", "prefetch wait", false, simulated,
                where_guessed<mean_of<Metric::prefetch_wait_s>>},
    SummaryInfo{"reuse_probability_1", "1", "share of the updated units that are demanded in the next step",
                "sum of reused_within in a window of 1 / sum of updated_units over all steps but the last",
                "reuse within 1", false, simulated, reuse_probability<1>},
    SummaryInfo{"reuse_probability_2", "1",
                "share of the updated units that are demanded in the next 2 steps",
                "sum of reused_within in a window of 2 / sum of updated_units over all steps but the last 2",
                "reuse within 2", false, simulated, reuse_probability<2>},
    SummaryInfo{"reuse_probability_4", "1",
                "share of the updated units that are demanded in the next 4 steps",
                "sum of reused_within in a window of 4 / sum of updated_units over all steps but the last 4",
                "reuse within 4", false, simulated, reuse_probability<4>},
    SummaryInfo{"reuse_probability_8", "1",
                "share of the updated units that are demanded in the next 8 steps",
                "sum of reused_within in a window of 8 / sum of updated_units over all steps but the last 8",
                "reuse within 8", false, simulated, reuse_probability<8>},
    SummaryInfo{
        "reuse_probability_16", "1", "share of the updated units that are demanded in the next 16 steps",
        "sum of reused_within in a window of 16 / sum of updated_units over all steps but the last 16",
        "reuse within 16", false, simulated, reuse_probability<16>},
    SummaryInfo{"reads_per_step", "requests", "read requests per step",
                "mean over steps of the step's sum of read_requests", "reads/step", false, simulated,
                step_mean_of<Metric::read_requests>},
    SummaryInfo{"bytes_per_step", "B", "bytes read per step",
                "mean over steps of the step's sum of read_bytes", "read/step", true, simulated,
                step_mean_of<Metric::read_bytes>},
    SummaryInfo{"update_bytes_per_step", "B", "bytes read per step for updates of the units",
                "mean over steps of the step's sum of update_read_bytes", "update read/step", false,
                simulated, step_mean_of<Metric::update_read_bytes>},
    SummaryInfo{"contiguous_mean", "entries", "mean length of a contiguous run",
                "mean of contiguous_mean_entries over the steps and layers that read needed entries",
                "run mean", false, simulated, mean_of<Metric::contiguous_mean_entries>},
    SummaryInfo{"contiguous_max", "entries", "longest contiguous run", "maximum of contiguous_max_entries",
                "run max", false, simulated, max_of<Metric::contiguous_max_entries>},
    SummaryInfo{"effective_bandwidth", "B/s", "useful bytes per second of busy flash",
                "sum of useful_read_bytes / sum of io_s", "bandwidth", true, simulated,
                ratio_of_sums<Metric::useful_read_bytes, Metric::io_s>},
    SummaryInfo{"read_amplification", "B/B", "bytes read per byte needed",
                "sum of read_bytes / sum of useful_read_bytes", "read amplification", false, simulated,
                ratio_of_sums<Metric::read_bytes, Metric::useful_read_bytes>},
    SummaryInfo{"write_bytes_per_step", "B", "bytes written per step",
                "mean over steps of the step's sum of write_bytes", "written/step", false, simulated,
                step_mean_of<Metric::write_bytes>},
    SummaryInfo{"moved_bytes_per_step", "B", "bytes moved by the layout per step",
                "mean over steps of the step's sum of moved_bytes", "moved/step", false, simulated,
                step_mean_of<Metric::moved_bytes>},
    SummaryInfo{"write_amplification", "B/B", "bytes written per byte of new entries",
                "sum of write_bytes / sum of appended_bytes", "write amplification", false, simulated,
                ratio_of_sums<Metric::write_bytes, Metric::appended_bytes>},
    SummaryInfo{"flash_space", "B", "largest flash space reserved", "maximum of flash_space_bytes",
                "flash space", false, simulated, max_of<Metric::flash_space_bytes>},
    SummaryInfo{"cache_bytes_max", "B", "largest entry cache", "maximum of cache_bytes", "cache", false,
                simulated, max_of<Metric::cache_bytes>},
    SummaryInfo{"dram_total_max", "B", "largest DRAM need",
                "maximum over steps of cache_bytes + working_buffer_bytes + write_buffer_bytes + "
                "pinned_bytes + representative_bytes + metadata_bytes",
                "DRAM", true, simulated, dram_total_max},
    SummaryInfo{"energy_per_token", "J", "mean energy of a token", "sum of energy_j / tokens of all steps",
                "energy/token", true, simulated, energy_per_token},
    SummaryInfo{"flash_energy_share", "1", "share of the energy that the flash device takes",
                "sum of flash_energy_j / sum of energy_j", "flash energy", false, simulated,
                ratio_of_sums<Metric::flash_energy_j, Metric::energy_j>},
    SummaryInfo{"policy_kernel_mean", "s", "policy kernels per step, measured on the host",
                "mean over steps of score_kernel_s + update_kernel_s", "policy kernels (host)", false, host,
                policy_kernel_mean},
};

}  // namespace

std::span<const SummaryInfo> summary_table() {
  return kSummaries;
}

}  // namespace kvr
