#include "sim/cli/bench/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <span>

#include "sim/base/error.hpp"
#include "sim/base/files/new_file.hpp"
#include "sim/base/json.hpp"
#include "sim/cli/bench/peers.hpp"
#include "sim/cli/table.hpp"
#include "sim/results/writer.hpp"

namespace kvr::bench {
namespace {

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

Json timing_json(const Timing& timing) {
  return {
      {"runs", timing.runs}, {"median_s", timing.median_s}, {"min_s", timing.min_s}, {"max_s", timing.max_s}};
}

Json replay_json(const ReplayResult& result) {
  Json json = {{"name", result.name},
               {"what", result.what},
               {"prompt_tokens", result.prompt},
               {"steps", result.steps},
               {"wall", timing_json(result.wall)},
               {"cpu", timing_json(result.cpu)},
               {"peak_bytes", result.peak_bytes}};
  if (result.wall_limit_s > 0.0) {
    json["wall_limit_s"] = result.wall_limit_s;
    json["wall_limit_met"] = result.meets_wall_limit();
  }
  json["peak_limit_bytes"] = result.peak_limit_bytes;
  json["peak_limit_met"] = result.meets_peak_limit();
  return json;
}

Json sweep_run_json(const SweepRun& run) {
  return {{"what", run.what},
          {"points", run.points},
          {"steps", run.steps},
          {"cpu", timing_json(run.cpu)},
          {"wall", timing_json(run.wall)}};
}

Json sweep_json(const SweepCost& cost) {
  Json json = {{"usual", sweep_run_json(cost.usual)},
               {"two_jobs", sweep_run_json(cost.two_jobs)},
               {"one_by_one", sweep_run_json(cost.one_by_one)},
               {"unwritten", sweep_run_json(cost.unwritten)},
               {"growing", Json::array()},
               {"own_cpu", timing_json(cost.own)},
               {"exact_pass_cpu", timing_json(cost.exact)},
               {"overhead", cost.overhead()},
               {"overhead_most", SweepCost::kOverheadMost},
               {"overhead_met", cost.meets_overhead()},
               {"speedup_of_two_jobs", cost.speedup()},
               {"speedup_least", SweepCost::kSpeedupLeast},
               {"speedup_met", cost.meets_speedup()},
               {"one_by_one_over_usual", cost.sharing()},
               {"record_cpu_s", cost.record_s()},
               {"growth_per_point", cost.growth()},
               {"growth_most", SweepCost::kGrowthMost},
               {"growth_met", cost.meets_growth()}};
  std::ranges::transform(cost.growing, std::back_inserter(json["growing"]), sweep_run_json);
  return json;
}

Json kernel_json(const KernelResult& result) {
  return {{"name", result.name},
          {"shape", result.shape},
          {"peer", result.peer},
          {"bytes", result.bytes},
          {"flops", result.flops},
          {"cpu", timing_json(result.kernel)},
          {"peer_cpu", timing_json(result.peer_timing)},
          {"reading_as_many_bytes_cpu", timing_json(result.reading)},
          {"peak_flops_per_s", result.peak_flops},
          {"bytes_per_s", result.bytes_per_s()},
          {"flops_per_s", result.flops_per_s()},
          {"speedup_over_peer", result.peer_ratio()},
          {"roof", result.is_memory_bound() ? "memory" : "compute"},
          {"roofline_share", result.roofline_share()}};
}

Json start_up_json(const StartUp& result) {
  return {{"requests", result.requests},
          {"wall_s", result.use.wall_s},
          {"wall_limit_s", result.wall_limit_s},
          {"peak_bytes", result.use.peak_bytes},
          {"peak_limit_bytes", result.peak_limit_bytes}};
}

Json device_json(const DeviceResult& result) {
  return {{"name", result.name},
          {"what", result.what},
          {"requests", result.requests},
          {"simulated_s", result.simulated_s},
          {"cpu", timing_json(result.cpu)},
          {"requests_per_s", result.requests_per_s()},
          {"least_requests_per_s", result.least_per_s},
          {"least_met", result.is_fast_enough()},
          {"last_to_first", result.last_to_first}};
}

Json kernel_share_json(const PolicyCost& cost, double seconds) {
  return {{"seconds", seconds}, {"share", cost.share(seconds)}, {"met", cost.meets_kernel_share(seconds)}};
}

Json policy_json(const PolicyCost& cost) {
  return {{"name", cost.name},
          {"what", cost.what},
          {"prompt_tokens", cost.prompt},
          {"captured_layers", cost.captured_layers},
          {"model_layers", cost.model_layers},
          {"simulated_latency", timing_json(cost.latency)},
          {"score_kernel_of_captured", timing_json(cost.score)},
          {"update_kernel_of_captured", timing_json(cost.update)},
          {"truth_kernel", timing_json(cost.truth)},
          {"replay", timing_json(cost.replay)},
          {"replay_with_known_truth", timing_json(cost.replay_with_known_truth)},
          {"kernel_share_limit", cost.kernel_share_limit},
          {"update_kernel_of_model", kernel_share_json(cost, cost.update_s())},
          {"score_and_update_kernel_of_model", kernel_share_json(cost, cost.score_s() + cost.update_s())},
          {"speed_with_truth", cost.speed_with_truth()},
          {"speed", cost.speed()},
          {"speed_least", cost.speed_least},
          {"speed_met", cost.meets_speed(cost.speed())},
          {"speed_of_all_layers", cost.speed_of_all_layers()},
          {"speed_of_all_layers_met", cost.meets_speed(cost.speed_of_all_layers())}};
}

template <class Result>
Json list_json(const std::vector<Result>& results, Json (*one)(const Result&)) {
  Json list = Json::array();
  std::ranges::transform(results, std::back_inserter(list), one);
  return list;
}

Json report_json(const Report& report) {
  Json json;
  for (const auto& [name, value] : context().entries) {
    json["context"][name] = value;
  }
  json["replays"] = list_json(report.replays, replay_json);
  if (report.sweep) {
    json["sweep"] = sweep_json(*report.sweep);
  }
  if (report.policy) {
    json["policy"] = policy_json(*report.policy);
  }
  if (report.start_up) {
    json["start_up"] = start_up_json(*report.start_up);
  }
  json["devices"] = list_json(report.devices, device_json);
  json["kernels"] = list_json(report.kernels, kernel_json);
  return json;
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

std::string seconds_range(const Timing& timing) {
  return fmt::format("{:.3g}-{:.3g} s", timing.min_s, timing.max_s);
}

std::vector<std::string> sweep_row(const SweepRun& run) {
  return {run.what,
          fmt::format("{}", run.points),
          fmt::format("{}", run.steps),
          fmt::format("{}", run.cpu.runs),
          fmt::format("{:.3g} s", run.cpu.median_s),
          seconds_range(run.cpu),
          milliseconds(run.cpu_per_point_s()),
          fmt::format("{:.3g} s", run.wall.median_s),
          seconds_range(run.wall)};
}

/// A peer: no process of its own, so CPU time alone.
std::vector<std::string> sweep_row(const SweepRun& like, std::string what, std::int64_t points,
                                   const Timing& cpu) {
  return {std::move(what),
          fmt::format("{}", points),
          fmt::format("{}", like.steps),
          fmt::format("{}", cpu.runs),
          fmt::format("{:.3g} s", cpu.median_s),
          seconds_range(cpu),
          milliseconds(cpu.median_s / static_cast<double>(points)),
          "-",
          "-"};
}

std::string sweep_text(const SweepCost& cost) {
  cli::Table table{
      {"sweep", "points", "steps", "runs", "CPU", "min-max", "for each point", "wall", "min-max"}, {}};
  for (const SweepRun* run : {&cost.usual, &cost.two_jobs, &cost.one_by_one, &cost.unwritten}) {
    table.rows.push_back(sweep_row(*run));
  }
  table.rows.push_back(sweep_row(cost.usual, "peer: the points' own time", cost.usual.points, cost.own));
  table.rows.push_back(sweep_row(cost.usual, "peer: one pass of exact attention", 1, cost.exact));
  for (const SweepRun& run : cost.growing) {
    table.rows.push_back(sweep_row(run));
  }
  return fmt::format(
      "{}As usual it takes {:.3g} x its points' own time and one pass of the exact attention (at most {:.3g} "
      "x: "
      "{}).\n"
      "Two processes end it {:.3g} x as soon (at least {:.3g} x: {}), by wall-clock time: needs two idle "
      "cores.\n"
      "One by one, without sharing the exact attention, it takes {:.3g} x as long.\n"
      "A point's record and results take {}.\n"
      "A point of {} takes {:.3g} x what one of {} takes (at most {:.3g} x: {}).\n"
      "The points' own time is what one adds to a replay beside one like it, which finds the attention "
      "known.\n\n",
      cli::plain_table(table), cost.overhead(), SweepCost::kOverheadMost, verdict(cost.meets_overhead()),
      cost.speedup(), SweepCost::kSpeedupLeast, cost.meets_speedup() ? "met" : "MISSED", cost.sharing(),
      milliseconds(cost.record_s()), cost.growing.back().points, cost.growth(), cost.growing.front().points,
      SweepCost::kGrowthMost, verdict(cost.meets_growth()));
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
  return replay_text(report.replays) + (report.sweep ? sweep_text(*report.sweep) : "") +
         (report.policy ? policy_text(*report.policy) : "") +
         (report.start_up ? start_up_text(*report.start_up) : "") + device_text(report.devices) +
         kernel_text(report.kernels) + context_text();
}

void write_json(const Report& report, const std::filesystem::path& out) {
  write_new_file(out, json_text(report_json(report)));
}

}  // namespace kvr::bench
