#include "sim/cli/bench/command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/program_options.hpp>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/cli/bench/report.hpp"
#include "sim/cli/options/options.hpp"
#include "sim/cli/outputs.hpp"
#include "sim/config/text/suggest.hpp"

namespace kvr {
namespace {

namespace po = boost::program_options;

constexpr std::array<std::string_view, 6> kSections = {"replay", "scale",   "sweep",
                                                       "policy", "devices", "kernels"};

struct Options {
  std::vector<std::string> only;
  std::optional<std::string> json;
  std::string source = ".";
  bool brief = false;

  bool wants(std::string_view section) const {
    return only.empty() || std::ranges::find(only, section) != only.end();
  }
};

cli::Syntax syntax_into(Options& options) {
  cli::Syntax syntax("kvreplay bench", "[--only SECTION]... [--json FILE] [--brief]", {});
  syntax.options.add_options()(
      "only", po::value(&options.only)->composing(),
      "replay, scale, sweep, policy, devices or kernels; may be repeated; all where it is not given")(
      "json", po::value<std::string>(), "write the results to this JSON file as well")(
      "source", po::value(&options.source)->default_value(options.source),
      "the folder of kvreplay's sources, which has configs/bench")(
      "brief", po::bool_switch(&options.brief),
      "of the section sweep: few points, steps and runs, to see that it runs; its figures say little");
  return syntax;
}

/// Minutes of measuring must not end in a wrong word.
void check(const Options& options) {
  if (options.brief && !options.wants("sweep")) {
    throw InputError("bench: --brief: is of the section sweep, which is not measured");
  }
  for (const std::string& section : options.only) {
    if (std::ranges::find(kSections, section) == kSections.end()) {
      throw InputError(fmt::format("bench: --only {}: no such section; {}", section,
                                   config::suggestion(section, kSections)));
    }
  }
  if (options.wants("replay") || options.wants("scale") || options.wants("sweep") ||
      options.wants("policy")) {
    bench::check_source(options.source);
  }
  if (options.json) {
    cli::Outputs outputs;
    outputs.write("--json", *options.json);
    for (const std::filesystem::path& input : bench::inputs(options.source)) {
      outputs.read(input);
    }
    outputs.check();
  }
}

/// Replays come first: what this process holds would count towards the memory of those it starts.
bench::Report measure(const Options& options) {
  bench::Report report;
  if (options.wants("replay")) {
    report.replays.push_back(bench::measure_sample(options.source));
  }
  if (options.wants("scale")) {
    report.replays.push_back(bench::measure_scale(options.source));
  }
  if (options.wants("sweep")) {
    report.sweep =
        bench::measure_sweep(options.source, options.brief ? bench::SweepSize::brief() : bench::SweepSize());
  }
  if (options.wants("policy")) {
    report.policy = bench::measure_policy_cost(options.source);
  }
  if (options.wants("devices")) {
    report.start_up = bench::measure_start_up();
    report.devices = bench::measure_devices();
  }
  if (options.wants("kernels")) {
    report.kernels = bench::measure_kernels();
  }
  return report;
}

}  // namespace

int run_bench_command(std::span<const std::string> args) {
  Options options;
  const auto given = cli::parse(syntax_into(options), args, stdout);
  if (!given) {
    return 0;
  }
  options.json = cli::given_value<std::string>(*given, "json");
  check(options);
  const bench::Report report = measure(options);
  fmt::print("{}", bench::report_text(report));
  if (options.json) {
    bench::write_json(report, *options.json);
  }
  return 0;
}

}  // namespace kvr
