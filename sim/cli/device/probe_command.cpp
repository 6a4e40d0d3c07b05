// A file of the size limit is written once, then every job of the plan runs on it:
//
//   options -> plan -> say how long it will take
//   create and write the file, check that its storage is measured
//   for each pass, for each job that reads: warm up, measure; then the same for those that write
//   of each job keep the pass of the median rate; print the table; write the JSON, whole or not at all
#include "sim/cli/device/probe_command.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <optional>
#include <vector>

#include "models/flash/storage/direct_io.hpp"
#include "models/flash/storage/probe.hpp"
#include "models/flash/storage/storage_file.hpp"
#include "models/flash/storage/storage_host.hpp"
#include "sim/base/error.hpp"
#include "sim/base/files/new_file.hpp"
#include "sim/base/units.hpp"
#include "sim/cli/device/probe_report.hpp"
#include "sim/cli/messages.hpp"
#include "sim/cli/options/options.hpp"
#include "sim/cli/outputs.hpp"
#include "sim/cli/progress.hpp"
#include "sim/config/problem_list.hpp"

namespace kvr {

namespace {

namespace po = boost::program_options;

constexpr std::string_view kCommand = "kvreplay device probe";
constexpr std::int64_t kMiB = std::int64_t{1} << 20;
constexpr double kWarmUpShare =
    0.2;  ///< of the measured seconds, as ramp_time=3 runtime=20 of fio about does

struct ProbeOptions {
  std::filesystem::path path;
  std::filesystem::path out;
  std::int64_t file_bytes = 0;
  double seconds = 0.0;
  std::int64_t passes = 0;
  std::int64_t depth = 0;
  std::string engine;
  bool overwrite = false;
  bool keep = false;
};

cli::Syntax syntax() {
  cli::Syntax syntax(std::string(kCommand),
                     "PATH [options], where PATH is a file to create, or a folder to create one in",
                     {{"path", "path"}});
  syntax.options.add_options()("out,o", po::value<std::string>(),
                               "write the figures to this JSON file, in fio's layout")(
      "size-limit", po::value<std::string>()->default_value("8GiB"),
      "size of the file, all of it written first")("seconds", po::value<double>()->default_value(1.0, "1"),
                                                   "measured time of each job")(
      "passes", po::value<std::int64_t>()->default_value(3),
      "times that all jobs are run, one after another; the median counts")(
      "depth-limit", po::value<std::int64_t>()->default_value(32), "most requests outstanding")(
      "engine", po::value<std::string>()->default_value("auto"), "auto, io_uring or threads")(
      "overwrite", po::bool_switch(), "use an existing file or block device; its content is lost")(
      "keep", po::bool_switch(), "leave the file")(
      "quick", po::bool_switch(),
      "a 128 MiB file and one pass of 0.05 s for each job where nothing else is given: to try it out, not to "
      "fit");
  return syntax;
}

std::int64_t size_of(const std::string& text, std::vector<std::string>& problems) {
  const ParsedNumber parsed = parse_quantity(text, Quantity::bytes);
  const double mebibytes = parsed.value / static_cast<double>(kMiB);
  constexpr double kMost = 1e9;
  if (parsed.failure || mebibytes < 1.0 || mebibytes > kMost || mebibytes != std::floor(mebibytes)) {
    problems.push_back(fmt::format(
        "--size-limit: '{}'; allowed: whole MiB, e.g. 512MiB or 8GiB, at least 64MiB to be of use", text));
    return kMiB;
  }
  return static_cast<std::int64_t>(parsed.value);
}

void check_out(const ProbeOptions& options) {
  cli::Outputs outputs;
  outputs.write_unchecked("the file to measure", options.path);
  outputs.write("--out", options.out);
  outputs.check();
}

ProbeOptions read_options(const po::variables_map& values) {
  std::vector<std::string> problems;
  const bool quick = values["quick"].as<bool>();
  const auto given = [&values](const char* name) { return !values[name].defaulted(); };
  ProbeOptions options;
  options.path = cli::text_of(values, "path");
  options.out = cli::text_of(values, "out");
  options.file_bytes =
      quick && !given("size-limit") ? 128 * kMiB : size_of(cli::text_of(values, "size-limit"), problems);
  options.seconds = quick && !given("seconds") ? 0.05 : values["seconds"].as<double>();
  options.passes = quick && !given("passes") ? 1 : values["passes"].as<std::int64_t>();
  options.depth = values["depth-limit"].as<std::int64_t>();
  options.engine = cli::text_of(values, "engine");
  options.overwrite = values["overwrite"].as<bool>();
  options.keep = values["keep"].as<bool>();
  std::error_code ignored;
  if (std::filesystem::is_directory(options.path, ignored)) {
    options.path /= fmt::format("kvreplay-probe-{}", getpid());
  }
  for (std::string& problem : flash::check_storage_path(options.path, options.overwrite)) {
    problems.push_back(std::move(problem));
  }
  if (!(options.seconds > 0.0 && options.seconds <= 3600.0)) {
    problems.push_back(fmt::format("--seconds: {}; allowed: above 0, at most 3600", options.seconds));
  }
  if (options.passes < 1 || options.passes > 1000) {
    problems.push_back(fmt::format("--passes: {}; allowed: 1 to 1000", options.passes));
  }
  if (options.depth < 1 || options.depth > 1024) {
    problems.push_back(fmt::format("--depth-limit: {}; allowed: 1 to 1024", options.depth));
  }
  if (options.engine != "auto" && options.engine != "io_uring" && options.engine != "threads") {
    problems.push_back(fmt::format("--engine: '{}'; allowed: auto, io_uring, threads", options.engine));
  }
  ProblemList all;
  std::ranges::for_each(problems, [&](std::string& problem) { all.add(std::move(problem)); });
  if (values.count("out") > 0) {
    all.collect([&] { check_out(options); });
  }
  all.throw_if_any();
  return options;
}

void announce(const ProbeOptions& options, std::size_t jobs, bool quiet) {
  if (!quiet) {
    const double one_s = options.seconds * (1.0 + kWarmUpShare);
    const double all_s = one_s * static_cast<double>(jobs) * static_cast<double>(options.passes);
    cli::say("{}: {} jobs of {:.3g} s, {} of each, take {:.0f} s, after {} MiB are written\n", kCommand, jobs,
             one_s, options.passes, all_s, options.file_bytes / kMiB);
  }
}

/// Writes the whole file and checks that it is the storage that will be measured.
void prepare(flash::StorageFile& file, const ProbeOptions& options, ProbeReport& report, bool quiet) {
  const auto io = flash::make_direct_io(options.engine, {file.descriptor(), options.path.string(),
                                                         std::min<std::int64_t>(options.depth, 32), kMiB});
  ProgressBar bar("write", quiet);
  report.remarks = file.prepare(
      *io, [&bar](std::int64_t done, std::int64_t total) { bar.update(done / kMiB, total / kMiB); });
  report.engine = io->engine();
  if (!io->remark().empty()) {
    report.remarks.push_back(io->remark());
  }
}

void measure(const flash::StorageFile& file, const ProbeOptions& options,
             const std::vector<flash::ProbeJob>& plan, ProbeReport& report, bool quiet) {
  ProgressBar bar("probe", quiet);
  std::int64_t finished = 0;
  std::vector<std::vector<flash::ProbeRow>> passes(plan.size());
  for (const IoKind kind : {IoKind::read, IoKind::write}) {  // writes change the file
    for (std::int64_t pass = 0; pass < options.passes; ++pass) {
      for (std::size_t i = 0; i < plan.size(); ++i) {
        if (plan[i].kind == kind) {
          passes[i].push_back(flash::run_probe_job(file, report.engine,
                                                   flash::job_for_engine(plan[i], report.engine),
                                                   report.warm_up_s, options.seconds));
          bar.update(++finished, std::ssize(plan) * options.passes);
        }
      }
    }
  }
  std::ranges::transform(passes, std::back_inserter(report.rows), flash::middle_pass);
}

}  // namespace

int run_device_probe(std::span<const std::string> args, std::FILE* out, bool quiet) {
  const auto given = cli::parse(syntax(), args, out);
  if (!given) {
    return 0;
  }
  const ProbeOptions options = read_options(*given);
  const std::vector<flash::ProbeJob> plan = flash::probe_plan({options.file_bytes, options.depth});
  announce(options, plan.size(), quiet);

  flash::StorageFile file({options.path, options.file_bytes, options.overwrite, options.keep});
  ProbeReport report;
  report.path = options.path.string();
  report.passes = options.passes;
  report.warm_up_s = kWarmUpShare * options.seconds;
  report.host = flash::describe_storage_host(file.descriptor());
  prepare(file, options, report, quiet);
  measure(file, options, plan, report, quiet);
  std::optional<SystemError> unwritten;
  if (!options.out.empty()) {
    unwritten = cli::attempt_to_write([&] { write_new_file(options.out, probe_json(report)); });
  }
  fmt::print(out, "{}", probe_table(report.rows));
  for (const std::string& remark : report.remarks) {
    fmt::print(out, "\n{}\n", remark);
  }
  if (unwritten) {
    throw SystemError(*unwritten);
  }
  return 0;
}

}  // namespace kvr
