#include "sim/results/compare/directions.hpp"

#include <algorithm>
#include <array>

namespace kvr::compare {
namespace {

using enum Better;

constexpr std::array kDirections{
    SummaryDirection{"recall_mean", "recall", higher},
    SummaryDirection{"mass_mean", "mass", higher},
    SummaryDirection{"relative_mass_mean", "relative_mass", higher},
    SummaryDirection{"output_error_mean", "error", lower},
    SummaryDirection{"retained_mean", "retained", higher},
    SummaryDirection{"needed_loaded_mean", "needed_loaded", higher},
    // More entries find more and cost more.
    SummaryDirection{"selected_mean", "selected", unknown},
    SummaryDirection{"latency_mean", "latency", lower},
    SummaryDirection{"latency_p50", "latency", lower},
    SummaryDirection{"latency_p95", "latency", lower},
    SummaryDirection{"latency_p99", "latency", lower},
    SummaryDirection{"time_to_first_token", "", lower},
    SummaryDirection{"tokens_per_s", "", higher},
    SummaryDirection{"compute_mean", "compute", lower},
    SummaryDirection{"policy_mean", "policy", lower},
    SummaryDirection{"exposed_io_mean", "exposed_io", lower},
    // What is hidden costs nothing, and may have become hidden or have gone.
    SummaryDirection{"hidden_io_mean", "hidden_io", unknown},
    SummaryDirection{"hit_rate", "", higher},
    SummaryDirection{"hit_rate_bytes", "", higher},
    SummaryDirection{"guess_precision", "guess", higher},
    SummaryDirection{"guess_coverage", "guess", higher},
    SummaryDirection{"prefetch_wait_mean", "prefetch_wait", lower},
    // What a trace and its units are like.
    SummaryDirection{"reuse_probability_1", "reuse_probability", unknown},
    SummaryDirection{"reuse_probability_2", "reuse_probability", unknown},
    SummaryDirection{"reuse_probability_4", "reuse_probability", unknown},
    SummaryDirection{"reuse_probability_8", "reuse_probability", unknown},
    SummaryDirection{"reuse_probability_16", "reuse_probability", unknown},
    SummaryDirection{"reads_per_step", "reads", lower},
    SummaryDirection{"bytes_per_step", "bytes", lower},
    SummaryDirection{"update_bytes_per_step", "update_bytes", lower},
    // Longer runs are read faster, and may be of entries that nobody needs.
    SummaryDirection{"contiguous_mean", "contiguous", unknown},
    SummaryDirection{"contiguous_max", "contiguous", unknown},
    SummaryDirection{"effective_bandwidth", "bandwidth", higher},
    SummaryDirection{"read_amplification", "amplification", lower},
    SummaryDirection{"write_bytes_per_step", "write_bytes", lower},
    SummaryDirection{"moved_bytes_per_step", "moved_bytes", lower},
    SummaryDirection{"write_amplification", "amplification", lower},
    SummaryDirection{"flash_space", "", lower},
    SummaryDirection{"cache_bytes_max", "cache", lower},
    SummaryDirection{"dram_total_max", "dram", lower},
    SummaryDirection{"energy_per_token", "energy", lower},
    SummaryDirection{"flash_energy_share", "", unknown},
    SummaryDirection{"policy_kernel_mean", "policy_kernel", lower},
};

const SummaryDirection* find(std::string_view summary) {
  const auto found = std::ranges::find(kDirections, summary, &SummaryDirection::name);
  return found == kDirections.end() ? nullptr : &*found;
}

}  // namespace

std::span<const SummaryDirection> summary_directions() {
  return kDirections;
}

Better better_of(std::string_view summary) {
  const SummaryDirection* row = find(summary);
  return row == nullptr ? unknown : row->better;
}

bool matches(std::string_view pattern, std::string_view text) {
  // Back to the last star with one character more under it, wherever what follows it does not fit.
  std::size_t at = 0;
  std::size_t in_text = 0;
  std::size_t star = std::string_view::npos;
  std::size_t under_star = 0;
  while (in_text < text.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = at++;
      under_star = in_text;
    } else if (at < pattern.size() && (pattern[at] == '?' || pattern[at] == text[in_text])) {
      ++at;
      ++in_text;
    } else if (star != std::string_view::npos) {
      at = star + 1;
      in_text = ++under_star;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', at) == std::string_view::npos;
}

bool means(std::string_view name, std::string_view summary) {
  if (find(name) != nullptr) {
    return name == summary;
  }
  const SummaryDirection* row = find(summary);
  return (row != nullptr && !name.empty() && row->family == name) || matches(name, summary);
}

std::vector<std::string_view> names_and_families() {
  std::vector<std::string_view> names;
  for (const SummaryDirection& row : kDirections) {
    for (const std::string_view name : {row.family, row.name}) {
      if (!name.empty() && std::ranges::find(names, name) == names.end()) {
        names.push_back(name);
      }
    }
  }
  return names;
}

bool means_any(std::string_view name, std::span<const std::string> summaries) {
  return std::ranges::any_of(summaries, [&](const std::string& summary) { return means(name, summary); });
}

}  // namespace kvr::compare
