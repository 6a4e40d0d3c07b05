#include "sim/results/metrics.hpp"

#include <fmt/format.h>

#include <array>

#include "sim/base/error.hpp"

namespace kvr {
namespace {

using enum Dims;
using enum Origin;

constexpr MetricInfo critical(Metric id, std::string_view name, std::string_view long_name,
                              std::string_view formula) {
  return {id, name, "s", long_name, formula, step, simulated};
}

// Candidates are all entries, removed ones included, but the pinned ones (sinks, recent window, the current
// entry); where no stage selects, all but the current one. What concerns one query head is averaged over the
// query heads that share the KV head.
constexpr std::array kMetrics{
    MetricInfo{Metric::recall, "recall", "1", "share of the truly best candidates that were attended to",
               "|attended and best| / |best|; best: the candidates with the largest true scores, as many as "
               "the budget allows and are not removed; NaN where that is none",
               step_layer_head, simulated},
    MetricInfo{Metric::mass, "mass", "1", "true attention mass of the attended entries",
               "sum of the true softmax over the attended entries", step_layer_head, simulated},
    MetricInfo{Metric::relative_mass, "relative_mass", "1",
               "attention mass relative to the best choice within the budget",
               "mass / sum of the true softmax over the pinned entries and the best candidates, as many as "
               "the budget allows or, where they are more, as are pending; 1 where that sum is 0",
               step_layer_head, simulated},
    MetricInfo{Metric::output_error, "output_error", "1",
               "local error of the attention output under exact inputs",
               "||o_attended - o|| / ||o||; o: over all entries, o_attended: over the attended ones as the "
               "codec stores them",
               step_layer_head, simulated},
    MetricInfo{Metric::selected_entries, "selected_entries", "entries", "entries chosen by the policy",
               "candidates in the selected units + pending candidates, unless these are free",
               step_layer_head, simulated},
    MetricInfo{Metric::attended_entries, "attended_entries", "entries", "entries attention ran over",
               "selected entries + pinned entries", step_layer_head, simulated},
    MetricInfo{Metric::estimated_entries, "estimated_entries", "entries",
               "entries not read that summaries of their units stand for",
               "count; they are part of o_attended, and of no recall or mass; only where a stage estimates",
               step_layer_head, simulated},
    MetricInfo{Metric::retained, "retained", "1", "share of all entries that no stage has removed",
               "entries not removed / all entries", step_layer_head, simulated},
    MetricInfo{Metric::retained_mass, "retained_mass", "1", "true attention mass of what is not removed",
               "sum of the true softmax over the entries not removed", step_layer_head, simulated},
    MetricInfo{Metric::retained_recall, "retained_recall", "1",
               "share of the truly best candidates that are not removed",
               "|not removed and best| / |best|, best as for recall; NaN where that is none", step_layer_head,
               simulated},
    MetricInfo{Metric::needed_loaded, "needed_loaded", "1",
               "share of the entries that attention needs that was attended to",
               "|attended and needed| / |needed|; needed: the fewest entries with 95 % of the true softmax",
               step_layer_head, simulated},
    MetricInfo{Metric::span_true_mass, "span_true_mass", "1", "true attention mass of record.span",
               "sum of the true softmax over the entries of the span that exist; only where there is a span",
               step_layer_head, simulated},
    MetricInfo{Metric::span_mass, "span_mass", "1", "true attention mass of record.span that was attended to",
               "sum of the true softmax over the attended entries of the span; only where there is a span",
               step_layer_head, simulated},
    MetricInfo{Metric::units, "units", "units", "units the clustering keeps", "count of those with entries",
               step_layer_head, simulated},
    MetricInfo{Metric::unit_variance, "unit_variance", "1", "mean variance of the units' keys",
               "mean over the units of: sum of ||key - mean key||^2 over the members / members; pending "
               "entries are no members",
               step_layer_head, simulated},
    MetricInfo{Metric::demanded_units, "demanded_units", "units", "units needed in DRAM for attention",
               "hits + misses", step_layer_head, simulated},
    MetricInfo{Metric::hit_units, "hit_units", "units", "demanded units that were in DRAM already", "hits",
               step_layer_head, simulated},
    MetricInfo{Metric::demanded_bytes, "demanded_bytes", "B", "stored size of the demanded entries",
               "hit bytes + missed bytes", step_layer_head, simulated},
    MetricInfo{Metric::hit_bytes, "hit_bytes", "B", "demanded bytes that were in DRAM already", "hit bytes",
               step_layer_head, simulated},
    MetricInfo{Metric::useful_read_bytes, "useful_read_bytes", "B",
               "bytes read from the flash that attention needed",
               "stored size of the missed entries that no memory below the first tier has", step_layer_head,
               simulated},

    MetricInfo{Metric::guessed_bytes, "guessed_bytes", "B", "bytes of entries read before they were demanded",
               "stored size of the guessed entries that were not in DRAM", step_layer_head, simulated},
    MetricInfo{Metric::rightly_guessed_bytes, "rightly_guessed_bytes", "B",
               "bytes of entries read before they were demanded, and then demanded",
               "part of guessed_bytes and of useful_read_bytes", step_layer_head, simulated},
    MetricInfo{Metric::reference_read_bytes, "reference_read_bytes", "B",
               "bytes of entries read for no other reason than that what is read refers to them",
               "stored size, each entry once a step; nothing where no codec refers", step_layer_head,
               simulated},
    MetricInfo{Metric::referenced_bytes, "referenced_bytes", "B",
               "records of removed entries that are kept because others refer to them",
               "stored size at the end of the step; nothing where no codec refers", step_layer_head,
               simulated},

    MetricInfo{Metric::updated_units, "updated_units", "units",
               "units that an entry was appended to, and both parts of splits", "count", step_layer_head,
               simulated},
    MetricInfo{Metric::reused_within, "reused_within", "units",
               "updated units that are demanded in the next steps, as many as the window has",
               "count, at the step of the update; NaN where the run ends before the window does",
               step_layer_head_window, simulated},

    MetricInfo{Metric::read_requests, "read_requests", "requests", "read requests sent to the flash",
               "count, after neighbours were merged", step_layer, simulated},
    MetricInfo{Metric::read_bytes, "read_bytes", "B", "bytes read from the flash",
               "sum of request lengths, whole blocks", step_layer, simulated},
    MetricInfo{Metric::update_read_bytes, "update_read_bytes", "B",
               "part of read_bytes that updates of the units cause",
               "sum of request lengths, whole blocks: units that the clustering asks to load, and moved "
               "entries that are not in DRAM",
               step_layer, simulated},
    MetricInfo{Metric::prefetch_read_bytes, "prefetch_read_bytes", "B",
               "part of read_bytes that is read before its layer asks",
               "sum of request lengths, whole blocks", step_layer, simulated},
    MetricInfo{Metric::contiguous_mean_entries, "contiguous_mean_entries", "entries",
               "mean length of a contiguous run of needed entries",
               "entries read, needed or guessed / contiguous runs they lie in; NaN where nothing is read",
               step_layer, simulated},
    MetricInfo{Metric::contiguous_max_entries, "contiguous_max_entries", "entries",
               "longest contiguous run of needed entries", "maximum over the runs; NaN where nothing is read",
               step_layer, simulated},
    MetricInfo{Metric::write_bytes, "write_bytes", "B", "bytes written to the flash",
               "sum of request lengths, whole blocks: entries, moved ones included, and what the schedule "
               "keeps beside them",
               step_layer, simulated},
    MetricInfo{Metric::appended_bytes, "appended_bytes", "B", "bytes of entries written for the first time",
               "payload that the layout put on flash; later than its step where it waits in a write buffer",
               step_layer, simulated},
    MetricInfo{Metric::moved_bytes, "moved_bytes", "B", "bytes of entries written again elsewhere",
               "payload moved by the layout", step_layer, simulated},
    MetricInfo{Metric::outgrown_units, "outgrown_units", "units", "units that outgrew the room they had",
               "count; the layout moves them or gives them more room elsewhere", step_layer, simulated},

    MetricInfo{Metric::position, "position", "tokens", "position of the step's token in the sequence",
               "entries before it; of several sequences, the first that takes part in the step", step,
               simulated},
    MetricInfo{Metric::turn, "turn", "1", "turn that the step is of", "number in workload.turns", step,
               simulated},
    MetricInfo{Metric::prefill_tokens, "prefill_tokens", "tokens", "tokens that are read in",
               "over all sequences that read in together", prefill, simulated},
    MetricInfo{Metric::prefill_s, "prefill_s", "s", "time to read them in",
               "makespan of all layers' reads of what was there before, computing and writes", prefill,
               simulated},
    MetricInfo{Metric::prefill_compute_s, "prefill_compute_s", "s", "time the processor is busy meanwhile",
               "sum of compute durations, policies included", prefill, simulated},
    MetricInfo{Metric::prefill_io_s, "prefill_io_s", "s", "time the flash is busy meanwhile",
               "length of the union of its operations", prefill, simulated},
    MetricInfo{Metric::prefill_read_bytes, "prefill_read_bytes", "B", "bytes read meanwhile",
               "sum of request lengths, whole blocks", prefill, simulated},
    MetricInfo{Metric::prefill_write_bytes, "prefill_write_bytes", "B", "bytes written meanwhile",
               "sum of request lengths, whole blocks", prefill, simulated},
    MetricInfo{Metric::prefill_energy_j, "prefill_energy_j", "J", "energy of the phone meanwhile",
               "as energy_j of a step", prefill, simulated},
    MetricInfo{Metric::latency_s, "latency_s", "s", "time of the decode step",
               "makespan of the step's operations on compute, flash and links", step, simulated},
    MetricInfo{Metric::compute_s, "compute_s", "s", "time the processor is busy",
               "sum of compute durations, policy included", step, simulated},
    MetricInfo{Metric::policy_s, "policy_s", "s", "part of the compute time that the policy takes",
               "scoring + updating of clusters and summaries on the phone; ranking is not charged", step,
               simulated},
    MetricInfo{Metric::io_s, "io_s", "s", "time the flash is busy",
               "time with at least one request outstanding", step, simulated},
    MetricInfo{Metric::exposed_io_s, "exposed_io_s", "s", "I/O time that nothing hides",
               "time with the flash busy and the processor idle", step, simulated},
    MetricInfo{Metric::hidden_io_s, "hidden_io_s", "s", "I/O time under computation", "io_s - exposed_io_s",
               step, simulated},
    MetricInfo{Metric::link_s, "link_s", "s", "time the links of tiers are busy",
               "time with at least one transfer under way; where there are such tiers", step, simulated},
    MetricInfo{Metric::exposed_link_s, "exposed_link_s", "s", "time of the links that nothing hides",
               "time with a link busy, the processor idle and the flash idle; where there are such tiers",
               step, simulated},
    MetricInfo{
        Metric::critical_compute_s, "critical_compute_s", "s", "on the critical path: computing",
        "sum of compute durations on the critical path: the operation that ends last, what it began upon "
        "(the last that it depends on or, if later, the one before it on its resource), and so on back "
        "to the step's begin; critical_compute_s + critical_flash_s + critical_link_s = latency_s",
        step, simulated},
    MetricInfo{Metric::critical_flash_s, "critical_flash_s", "s", "on the critical path: the flash",
               "sum of flash durations on the critical path", step, simulated},
    MetricInfo{Metric::critical_link_s, "critical_link_s", "s", "on the critical path: the links of tiers",
               "sum of transfer durations on the critical path; where there are such tiers", step, simulated},
    critical(Metric::critical_query_projection_s, "critical_query_projection_s",
             "on the critical path: Q projections", "part of critical_compute_s"),
    critical(Metric::critical_key_value_projection_s, "critical_key_value_projection_s",
             "on the critical path: K/V projections", "part of critical_compute_s"),
    critical(Metric::critical_score_s, "critical_score_s", "on the critical path: scoring",
             "part of critical_compute_s"),
    critical(Metric::critical_read_s, "critical_read_s",
             "on the critical path: reading the entries that attention misses", "part of critical_flash_s"),
    critical(Metric::critical_attention_s, "critical_attention_s", "on the critical path: attention",
             "part of critical_compute_s"),
    critical(Metric::critical_output_projection_s, "critical_output_projection_s",
             "on the critical path: output projections", "part of critical_compute_s"),
    critical(Metric::critical_feed_forward_s, "critical_feed_forward_s", "on the critical path: feed forward",
             "part of critical_compute_s"),
    critical(Metric::critical_update_s, "critical_update_s",
             "on the critical path: updating clusters and summaries", "part of critical_compute_s"),
    critical(Metric::critical_write_s, "critical_write_s",
             "on the critical path: writing, and reading for updates of the units",
             "part of critical_flash_s"),
    critical(Metric::critical_output_head_s, "critical_output_head_s",
             "on the critical path: the output head", "part of critical_compute_s"),
    critical(Metric::critical_representative_read_s, "critical_representative_read_s",
             "on the critical path: reading representatives", "part of critical_flash_s"),
    critical(Metric::critical_swap_in_s, "critical_swap_in_s",
             "on the critical path: what was on flash while other layers computed",
             "part of critical_flash_s"),
    critical(Metric::critical_guess_s, "critical_guess_s",
             "on the critical path: guessing what later layers need", "part of critical_compute_s"),
    critical(Metric::critical_prefetch_s, "critical_prefetch_s",
             "on the critical path: reads before their layer asks",
             "part of critical_flash_s and critical_link_s"),
    critical(Metric::critical_tier_read_s, "critical_tier_read_s",
             "on the critical path: entries that come up from tiers", "part of critical_link_s"),
    critical(Metric::critical_demotion_s, "critical_demotion_s",
             "on the critical path: evicted entries that go down to tiers", "part of critical_link_s"),
    critical(Metric::critical_placement_s, "critical_placement_s",
             "on the critical path: entries that a stage moves to the tier where they belong",
             "part of critical_link_s"),
    MetricInfo{Metric::late_prefetches, "late_prefetches", "reads", "prefetches that came late",
               "count of those upon whose end an operation began that waited for nothing else any more", step,
               simulated},
    MetricInfo{
        Metric::prefetch_wait_s, "prefetch_wait_s", "s", "time that operations waited for prefetches alone",
        "sum over late_prefetches of: end - the end of the last of the rest that was waited for, at most "
        "the prefetch's duration; the processor may do something else meanwhile",
        step, simulated},
    MetricInfo{
        Metric::cache_bytes, "cache_bytes", "B", "DRAM of the entry cache at the end of the step",
        "sum over the resident units; if the schedule swaps layers, of the two neighbouring layers that "
        "hold most, and of the others what has no place on flash",
        step, simulated},
    MetricInfo{Metric::working_buffer_bytes, "working_buffer_bytes", "B", "DRAM into which a layer reads",
               "stored size of what the layer that reads most brings in, wrong guesses included; as much "
               "again for each "
               "layer that is read ahead",
               step, simulated},
    MetricInfo{Metric::write_buffer_bytes, "write_buffer_bytes", "B",
               "DRAM of entries that wait to be written to flash",
               "stored size, without those that are pinned or cached; of a codec's tail also what it takes "
               "more as captured",
               step, simulated},
    MetricInfo{Metric::pinned_bytes, "pinned_bytes", "B",
               "DRAM of entries that are always visible: sinks, recent window, current and pending ones",
               "stored size, sum over layers and heads", step, simulated},
    MetricInfo{Metric::representative_bytes, "representative_bytes", "B",
               "DRAM of what the scorer keeps about the units",
               "sum over the units; if the schedule keeps them on flash, of the layer that has most", step,
               simulated},
    MetricInfo{
        Metric::metadata_bytes, "metadata_bytes", "B",
        "DRAM of lists and statistics of the clustering, of what codecs with state keep, and of a layout's "
        "index of records",
        "sum over layers and heads", step, simulated},
    MetricInfo{Metric::flash_space_bytes, "flash_space_bytes", "B", "flash reserved, holes included",
               "sum over layers, of entries and of what the schedule keeps beside them", step, simulated},
    MetricInfo{Metric::energy_j, "energy_j", "J", "energy of the decode step",
               "flash_energy_j + dram_energy_j + host_io_energy_j + compute_energy_j + base_energy_j", step,
               simulated},
    MetricInfo{Metric::flash_energy_j, "flash_energy_j", "J", "energy of the flash device",
               "idle power * latency_s + commands * command energy + read energy * 8 * bytes sensed, whole "
               "pages + mapping misses * mapping read energy + write energies * 8 * bytes programmed",
               step, simulated},
    MetricInfo{Metric::dram_energy_j, "dram_energy_j", "J", "energy of DRAM",
               "DRAM energy * 8 * (2 * bytes read from flash + bytes written to flash + bytes that computing "
               "moves) + background power * latency_s",
               step, simulated},
    MetricInfo{Metric::host_io_energy_j, "host_io_energy_j", "J",
               "energy of the core that submits storage commands",
               "processor time of the step's commands * power of that core", step, simulated},
    MetricInfo{Metric::compute_energy_j, "compute_energy_j", "J", "energy of the cores that compute",
               "compute_s * power of those cores", step, simulated},
    MetricInfo{Metric::base_energy_j, "base_energy_j", "J", "energy of the rest of the phone",
               "base power * latency_s", step, simulated},

    MetricInfo{Metric::tier_asked_bytes, "tier_asked_bytes", "B", "demanded bytes that no tier above has",
               "stored size of what attention needs and is looked for in the tier", step_tier, simulated},
    MetricInfo{Metric::tier_hit_bytes, "tier_hit_bytes", "B", "of those, what the tier has",
               "stored size; a last tier has everything", step_tier, simulated},
    MetricInfo{Metric::tier_up_bytes, "tier_up_bytes", "B", "bytes that the tier's link moves up",
               "stored size of what attention and updates read from the tier or, through it, from flash",
               step_tier, simulated},
    MetricInfo{
        Metric::tier_down_bytes, "tier_down_bytes", "B", "bytes that the tier's link moves down",
        "stored size of what the tier above has evicted to an exclusive tier and of new entries that a "
        "last tier takes",
        step_tier, simulated},
    MetricInfo{Metric::tier_held_bytes, "tier_held_bytes", "B", "bytes of entries that the tier holds",
               "stored size at the end of the step; 0 of a last tier, which has everything", step_tier,
               simulated},

    MetricInfo{Metric::score_kernel_s, "score_kernel_s", "s", "scoring and selecting, measured",
               "wall-clock time, sum over layers and heads", step, host},
    MetricInfo{Metric::update_kernel_s, "update_kernel_s", "s", "updating clusters and summaries, measured",
               "wall-clock time, sum over layers and heads", step, host},
    MetricInfo{Metric::attention_kernel_s, "attention_kernel_s", "s",
               "attention over the attended entries, measured", "wall-clock time, sum over layers and heads",
               step, host},
    MetricInfo{Metric::truth_kernel_s, "truth_kernel_s", "s", "attention over all entries, measured",
               "wall-clock time, sum over layers and heads; about 0 where a point beside has computed it",
               step, host},
};

std::string_view dims_text(Dims dims) {
  switch (dims) {
    case point:
      return "point";
    case step:
      return "point, step";
    case step_layer:
      return "point, step, layer";
    case step_layer_head:
      return "point, step, layer, kv_head";
    case step_tier:
      return "point, step, tier";
    case step_layer_head_window:
      return "point, step, layer, kv_head, window";
    case prefill:
      return "point, prefill";
  }
  KVR_CHECK(false, "dims {}", static_cast<int>(dims));
}

/// A bar would end the table's cell.
std::string cell(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    escaped += c == '|' ? "\\|" : std::string(1, c);
  }
  return escaped;
}

std::string_view place(Origin origin) {
  return origin == host ? "/host/" : "";
}

}  // namespace

std::span<const MetricInfo> metric_table() {
  return kMetrics;
}

const MetricInfo& info(Metric metric) {
  return kMetrics.at(static_cast<std::size_t>(metric));
}

std::string metrics_markdown() {
  std::string text =
      "# What results hold\n\nPrinted by `kvreplay list --metrics`. Quality metrics are means over the query "
      "heads "
      "of a group, per step under exact inputs: local errors, not accuracy. Where the timed model is larger "
      "than "
      "the captured streams, bytes and requests count every layer and head of the model that replays the "
      "captured "
      "one; entries, units and quality are those of the captured head. Policies and devices add figures of "
      "their own, `POLICY.FIGURE`, of what is captured: `kvreplay list KIND NAME` shows them.\n\n";
  text += "| dataset | dimensions | unit | meaning | formula |\n|---|---|---|---|---|\n";
  for (const MetricInfo& metric : metric_table()) {
    text += fmt::format("| `{}{}` | {} | {} | {} | {} |\n", place(metric.origin), metric.name,
                        dims_text(metric.dims), metric.unit, cell(metric.long_name), cell(metric.formula));
  }
  text += "\n| summary | unit | meaning | formula |\n|---|---|---|---|\n";
  for (const SummaryInfo& summary : summary_table()) {
    text += fmt::format("| `{}{}` | {} | {} | {} |\n", place(summary.origin), summary.name, summary.unit,
                        cell(summary.long_name), cell(summary.formula));
  }
  return text;
}

}  // namespace kvr
