#include "sim/cli/bench/report.hpp"

#include <fmt/format.h>

#include <span>
#include <utility>

#include "sim/base/error.hpp"
#include "sim/base/new_file.hpp"
#include "sim/cli/bench/peers.hpp"
#include "sim/cli/table.hpp"
#include "sim/config/json_writer.hpp"
#include "sim/results/writer.hpp"

namespace kvr::bench {
namespace {

using config::JsonWriter;

std::string milliseconds(double seconds) {
  return fmt::format("{:.3g} ms", 1e3 * seconds);
}

/// By what binds the kernel.
std::string throughput(const KernelResult& result) {
  return result.is_memory_bound() ? fmt::format("{:.3g} GB/s", 1e-9 * result.bytes_per_s())
                                  : fmt::format("{:.3g} GFLOP/s", 1e-9 * result.flops_per_s());
}

std::string roofline(const KernelResult& result) {
  const double reading_rate = static_cast<double>(result.bytes) / result.reading.median_s;
  const std::string roof = result.is_memory_bound() ? fmt::format("{:.3g} GB/s", 1e-9 * reading_rate)
                                                    : fmt::format("{:.3g} GFLOP/s", 1e-9 * result.peak_flops);
  return fmt::format("{:.0f} % of {}", 100.0 * result.roofline_share(), roof);
}

std::string verdict(bool met) {
  return met ? "met" : "EXCEEDED";
}

std::string wall_limit(const ReplayResult& result) {
  return result.wall_limit_s > 0.0
             ? fmt::format("< {:.3g} s: {}", result.wall_limit_s, verdict(result.meets_wall_limit()))
             : "-";
}

std::string peak_limit(const ReplayResult& result) {
  return fmt::format("< {:.4g} MB: {}", 1e-6 * static_cast<double>(result.peak_limit_bytes),
                     verdict(result.meets_peak_limit()));
}

Provenance context() {
  Provenance provenance = describe_build_and_host();
  provenance.add("kernel_instruction_set", kernel_instruction_set());
  provenance.add("peer_library", eigen_build());
  return provenance;
}

void write_timing(JsonWriter& json, std::string_view name, const Timing& timing) {
  json.key(name).open('{');
  json.key("runs").integer(timing.runs);
  json.key("median_s").real(timing.median_s);
  json.key("min_s").real(timing.min_s);
  json.key("max_s").real(timing.max_s);
  json.close();
}

void write_replay(JsonWriter& json, const ReplayResult& result) {
  json.open('{');
  json.key("name").text(result.name);
  json.key("what").text(result.what);
  json.key("prompt_tokens").integer(result.prompt);
  json.key("steps").integer(result.steps);
  write_timing(json, "wall", result.wall);
  write_timing(json, "cpu", result.cpu);
  json.key("peak_bytes").integer(result.peak_bytes);
  if (result.wall_limit_s > 0.0) {
    json.key("wall_limit_s").real(result.wall_limit_s);
    json.key("wall_limit_met").truth(result.meets_wall_limit());
  }
  json.key("peak_limit_bytes").integer(result.peak_limit_bytes);
  json.key("peak_limit_met").truth(result.meets_peak_limit());
  json.close();
}

void write_kernel(JsonWriter& json, const KernelResult& result) {
  json.open('{');
  json.key("name").text(result.name);
  json.key("shape").text(result.shape);
  json.key("peer").text(result.peer);
  json.key("bytes").integer(result.bytes);
  json.key("flops").real(result.flops);
  write_timing(json, "cpu", result.kernel);
  write_timing(json, "peer_cpu", result.peer_timing);
  write_timing(json, "reading_as_many_bytes_cpu", result.reading);
  json.key("peak_flops_per_s").real(result.peak_flops);
  json.key("bytes_per_s").real(result.bytes_per_s());
  json.key("flops_per_s").real(result.flops_per_s());
  json.key("speedup_over_peer").real(result.peer_ratio());
  json.key("roof").text(result.is_memory_bound() ? "memory" : "compute");
  json.key("roofline_share").real(result.roofline_share());
  json.close();
}

void write_start_up(JsonWriter& json, const StartUp& result) {
  json.key("start_up").open('{');
  json.key("requests").integer(result.requests);
  json.key("wall_s").real(result.use.wall_s);
  json.key("wall_limit_s").real(result.wall_limit_s);
  json.key("peak_bytes").integer(result.use.peak_bytes);
  json.key("peak_limit_bytes").integer(result.peak_limit_bytes);
  json.close();
}

void write_device(JsonWriter& json, const DeviceResult& result) {
  json.open('{');
  json.key("name").text(result.name);
  json.key("what").text(result.what);
  json.key("requests").integer(result.requests);
  json.key("simulated_s").real(result.simulated_s);
  write_timing(json, "cpu", result.cpu);
  json.key("requests_per_s").real(result.requests_per_s());
  json.key("least_requests_per_s").real(result.least_per_s);
  json.key("least_met").truth(result.is_fast_enough());
  json.key("last_to_first").real(result.last_to_first);
  json.close();
}

void write_kernel_share(JsonWriter& json, std::string_view what, const PolicyCost& cost, double seconds) {
  json.key(fmt::format("{}_kernel_of_model", what)).open('{');
  json.key("seconds").real(seconds);
  json.key("share").real(cost.share(seconds));
  json.key("met").truth(cost.meets_kernel_share(seconds));
  json.close();
}

void write_policy(JsonWriter& json, const PolicyCost& cost) {
  json.key("policy").open('{');
  json.key("name").text(cost.name);
  json.key("what").text(cost.what);
  json.key("prompt_tokens").integer(cost.prompt);
  json.key("captured_layers").integer(cost.captured_layers);
  json.key("model_layers").integer(cost.model_layers);
  write_timing(json, "simulated_latency", cost.latency);
  write_timing(json, "score_kernel_of_captured", cost.score);
  write_timing(json, "update_kernel_of_captured", cost.update);
  write_timing(json, "truth_kernel", cost.truth);
  write_timing(json, "replay", cost.replay);
  write_timing(json, "replay_with_known_truth", cost.replay_with_known_truth);
  json.key("kernel_share_limit").real(cost.kernel_share_limit);
  write_kernel_share(json, "update", cost, cost.update_s());
  write_kernel_share(json, "score_and_update", cost, cost.score_s() + cost.update_s());
  json.key("speed_with_truth").real(cost.speed_with_truth());
  json.key("speed").real(cost.speed());
  json.key("speed_least").real(cost.speed_least);
  json.key("speed_met").truth(cost.meets_speed(cost.speed()));
  json.key("speed_of_all_layers").real(cost.speed_of_all_layers());
  json.key("speed_of_all_layers_met").truth(cost.meets_speed(cost.speed_of_all_layers()));
  json.close();
}

std::string json_text(const Report& report) {
  JsonWriter json;
  json.open('{').key("context").open('{');
  for (const auto& [name, value] : context().entries) {
    json.key(name).text(value);
  }
  json.close().key("replays").open('[');
  for (const ReplayResult& result : report.replays) {
    write_replay(json, result);
  }
  json.close();
  if (report.policy) {
    write_policy(json, *report.policy);
  }
  if (report.start_up) {
    write_start_up(json, *report.start_up);
  }
  json.key("devices").open('[');
  for (const DeviceResult& result : report.devices) {
    write_device(json, result);
  }
  json.close().key("kernels").open('[');
  for (const KernelResult& result : report.kernels) {
    write_kernel(json, result);
  }
  json.close().close();
  return std::move(json).take();
}

std::string replay_text(std::span<const ReplayResult> results) {
  if (results.empty()) {
    return "";
  }
  cli::Table table{{"replay", "prompt", "steps", "runs", "wall", "min-max", "limit", "CPU", "peak memory",
                    "limit", "what"},
                   {}};
  for (const ReplayResult& r : results) {
    table.rows.push_back(
        {r.name, fmt::format("{}", r.prompt), fmt::format("{}", r.steps), fmt::format("{}", r.wall.runs),
         fmt::format("{:.3g} s", r.wall.median_s), fmt::format("{:.3g}-{:.3g}", r.wall.min_s, r.wall.max_s),
         wall_limit(r), fmt::format("{:.3g} s", r.cpu.median_s),
         fmt::format("{:.4g} MB", 1e-6 * static_cast<double>(r.peak_bytes)), peak_limit(r), r.what});
  }
  return cli::plain_table(table) +
         "A process of its own each; wall and CPU are medians of the runs, memory the most of them.\n\n";
}

std::vector<std::string> step_row(std::string name, const Timing& timing) {
  return {std::move(name), milliseconds(timing.median_s),
          fmt::format("{:.3g}-{:.3g}", 1e3 * timing.min_s, 1e3 * timing.max_s)};
}

std::string speed_text(const PolicyCost& cost, double speed) {
  return fmt::format("{:.3g} x (at least {:.3g} x: {})", speed, cost.speed_least,
                     cost.meets_speed(speed) ? "met" : "MISSED");
}

std::string kernel_text(const PolicyCost& cost, double seconds) {
  return fmt::format("{} = {:.3g} % (< {:.3g} %: {})", milliseconds(seconds), 100.0 * cost.share(seconds),
                     100.0 * cost.kernel_share_limit, verdict(cost.meets_kernel_share(seconds)));
}

std::string policy_text(const PolicyCost& cost) {
  const std::string captured = fmt::format("{} of {} layers", cost.captured_layers, cost.model_layers);
  const cli::Table table{
      {"one step", "median", "min-max"},
      {step_row("simulated latency, the model", cost.latency), step_row("scoring, " + captured, cost.score),
       step_row("updating, " + captured, cost.update), step_row("exact attention, " + captured, cost.truth),
       step_row("replay with it", cost.replay),
       step_row("replay, known from a point beside", cost.replay_with_known_truth)}};
  return fmt::format(
      "{}: {}; {} tokens, {} steps, one thread\n{}"
      "Kernels of all {} heads on this host, as a share of the simulated latency: the clustering's own, "
      "updating,"
      "\n{}; with scoring and ranking, which every clustered system does, {}.\n"
      "Replayed faster than the phone would decode, once the exact attention is known:\n"
      "{} for the {} replayed; {} were all layers captured, by scaling the whole step;\n"
      "{:.3g} x for the {} with the exact attention. Wall-clock times: a busy machine lengthens them.\n\n",
      cost.name, cost.what, cost.prompt, cost.latency.runs, cli::plain_table(table), cost.heads,
      kernel_text(cost, cost.update_s()), kernel_text(cost, cost.score_s() + cost.update_s()),
      speed_text(cost, cost.speed()), captured, speed_text(cost, cost.speed_of_all_layers()),
      cost.speed_with_truth(), captured);
}

std::string start_up_text(const StartUp& r) {
  return fmt::format(
      "Start-up: a process that loads a device file and simulates {} reads takes {:.0f} ms (< {:.0f} ms: {}) "
      "and "
      "{:.3g} MB\n(< {:.3g} MB: {}).\n\n",
      r.requests, 1e3 * r.use.wall_s, 1e3 * r.wall_limit_s, verdict(r.use.wall_s < r.wall_limit_s),
      1e-6 * static_cast<double>(r.use.peak_bytes), 1e-6 * static_cast<double>(r.peak_limit_bytes),
      verdict(r.use.peak_bytes < r.peak_limit_bytes));
}

std::string device_text(std::span<const DeviceResult> results) {
  if (results.empty()) {
    return "";
  }
  cli::Table table{{"device", "runs", "requests a run", "median", "min-max", "requests/s", "asked for",
                    "last run over first", "what"},
                   {}};
  for (const DeviceResult& r : results) {
    table.rows.push_back(
        {r.name, fmt::format("{}", r.cpu.runs), fmt::format("{}", r.requests), milliseconds(r.cpu.median_s),
         fmt::format("{:.3g}-{:.3g}", 1e3 * r.cpu.min_s, 1e3 * r.cpu.max_s),
         fmt::format("{:.3g} M", 1e-6 * r.requests_per_s()),
         fmt::format("{:.3g} M: {}", 1e-6 * r.least_per_s, r.is_fast_enough() ? "met" : "MISSED"),
         fmt::format("{:.2f} x", r.last_to_first), r.what});
  }
  return cli::plain_table(table) +
         "CPU time of one thread; the runs follow each other in simulated time on one device.\n\n";
}

std::string kernel_text(std::span<const KernelResult> results) {
  if (results.empty()) {
    return "";
  }
  cli::Table table{
      {"kernel", "runs", "median", "min-max", "throughput", "roofline", "faster than", "peer", "shape"}, {}};
  for (const KernelResult& r : results) {
    table.rows.push_back({r.name, fmt::format("{}", r.kernel.runs), milliseconds(r.kernel.median_s),
                          fmt::format("{:.3g}-{:.3g}", 1e3 * r.kernel.min_s, 1e3 * r.kernel.max_s),
                          throughput(r), roofline(r), fmt::format("{:.2f} x", r.peer_ratio()), r.peer,
                          r.shape});
  }
  return cli::plain_table(table) +
         fmt::format(
             "CPU time of one thread, warm caches. The roof is the slower of reading as many bytes from one\n"
             "buffer and, where operations are counted, this core's peak of multiply-adds in registers.\n"
             "Kernels: {}. Peers: {}; -DKVREPLAY_MARCH=native builds them for this CPU.\n\n",
             kernel_instruction_set(), eigen_build());
}

std::string context_text() {
  std::string text;
  for (const auto& [name, value] : context().entries) {
    text += fmt::format("{}: {}\n", name, value);
  }
  return text;
}

}  // namespace

std::string report_text(const Report& report) {
  return replay_text(report.replays) + (report.policy ? policy_text(*report.policy) : "") +
         (report.start_up ? start_up_text(*report.start_up) : "") + device_text(report.devices) +
         kernel_text(report.kernels) + context_text();
}

void write_json(const Report& report, const std::filesystem::path& out) {
  write_new_file(out, json_text(report));
}

}  // namespace kvr::bench
