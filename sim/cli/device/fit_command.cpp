#include "sim/cli/device/fit_command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <cmath>
#include <filesystem>
#include <optional>
#include <vector>

#include "models/flash/fit/device_fit.hpp"
#include "models/flash/fit/fio/file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/files/new_file.hpp"
#include "sim/base/units.hpp"
#include "sim/cli/device/choice.hpp"
#include "sim/cli/device/fit_report.hpp"
#include "sim/cli/messages.hpp"
#include "sim/cli/options/options.hpp"
#include "sim/cli/outputs.hpp"
#include "sim/cli/progress.hpp"
#include "sim/config/problem_list.hpp"

namespace kvr {
namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;
using flash::fit::FitOptions;
using flash::fit::FitResult;

constexpr std::string_view kCommand = "kvreplay device fit";
/// Exit code of a fit that is written but not accepted.
constexpr int kNotAccepted = 1;

struct Options {
  std::vector<std::string> files;
  std::optional<std::string> out;
  std::string base = "ufs40";
  std::string name;
  std::string link;
  std::string range;
  bool force = false;
  std::int64_t holdout = 3;
  std::int64_t seed = 1;
};

cli::Syntax syntax_into(Options& options) {
  cli::Syntax syntax(std::string(kCommand), "FIO.json... -o DEVICE.yaml [options]",
                     {{.name = "file", .what = "file", .many = true}});
  syntax.options.add_options()("out,o", po::value<std::string>(), "write the device to this YAML file")(
      "base", po::value(&options.base)->default_value(options.base),
      "NAME or FILE of the device whose values stand where the rows show none")(
      "holdout", po::value(&options.holdout)->default_value(options.holdout),
      "hold every so-many-th of the reads of one queue out of the fit, to test it; 0: none")(
      "link", po::value(&options.link),
      "bandwidth of the link, e.g. 4200MB/s; faster rows came from a cache")(
      "range", po::value(&options.range),
      "size of the file or device that was read, e.g. 500GB, for rows that state no size or a share of it")(
      "force", po::bool_switch(&options.force), "exit 0 where the fit is not accepted, too; without, 1")(
      "name", po::value(&options.name), "what results call the device; otherwise the name of the YAML file")(
      "seed", po::value(&options.seed)->default_value(options.seed), "root of every random stream");
  return syntax;
}

/// What is read before minutes of work could go for nothing.
struct Input {
  std::vector<flash::fit::Row> rows;
  FitOptions fit;
};

double read_link(const Options& options) {
  const ParsedNumber link = parse_quantity(options.link, Quantity::bytes_per_second);
  if (link.failure || link.value < bounds::kSlowest || link.value > bounds::kFastest) {
    throw InputError(fmt::format("--link {}: no bandwidth; allowed: a number above 0 and one of {}, {} to {}",
                                 options.link, unit_names(Quantity::bytes_per_second),
                                 format_quantity(bounds::kSlowest, Quantity::bytes_per_second),
                                 format_quantity(bounds::kFastest, Quantity::bytes_per_second)));
  }
  return link.value;
}

std::int64_t read_range(const Options& options) {
  constexpr double kLargest = 1e18;
  const ParsedNumber range = parse_quantity(options.range, Quantity::bytes);
  if (range.failure || range.value < 1.0 || range.value > kLargest) {
    throw InputError(fmt::format("--range {}: no size; allowed: a whole number and one of {}, 1B to {}",
                                 options.range, unit_names(Quantity::bytes),
                                 format_quantity(kLargest, Quantity::bytes)));
  }
  return std::llround(range.value);
}

Input read_input(const Options& options) {
  ProblemList problems;
  Input input;
  const fs::path out = options.out.value_or("");
  cli::Outputs outputs;
  if (options.out) {
    outputs.write("--out", out);
  } else {
    problems.add(fmt::format("{}: --out is missing; allowed: a YAML file to write", kCommand));
  }
  std::ranges::for_each(options.files, [&](const std::string& file) { outputs.read(file); });
  if (options.holdout < 0 || options.holdout == 1) {
    problems.add(
        fmt::format("--holdout {}: nothing would be fitted; allowed: 0, or from 2 on", options.holdout));
  }
  if (options.seed < 0) {
    problems.add(fmt::format("--seed {}: is out of range; allowed: 0 and more", options.seed));
  }
  flash::fit::FioReading reading;
  if (!options.link.empty()) {
    problems.collect([&] { input.fit.link_bytes_per_s = reading.link_bytes_per_s = read_link(options); });
  }
  if (!options.range.empty()) {
    problems.collect([&] { reading.whole_bytes = read_range(options); });
  }
  problems.collect([&] {
    cli::DeviceRequest request;
    request.device = options.base;
    const cli::DeviceChoice choice = cli::choose_device(request);
    input.fit.base = choice.params;
    std::ranges::for_each(choice.files, [&](const fs::path& file) { outputs.read(file); });
  });
  problems.collect([&] {
    const std::vector<fs::path> files(options.files.begin(), options.files.end());
    input.rows = flash::fit::read_fio_files(files, reading);
  });
  problems.collect([&] { outputs.check(); });
  problems.throw_if_any();
  input.fit.base.name = options.name.empty() ? out.stem().string() : options.name;
  input.fit.holdout = options.holdout;
  input.fit.seed = static_cast<std::uint64_t>(options.seed);
  return input;
}

}  // namespace

int run_device_fit(std::span<const std::string> args, std::FILE* out, bool quiet) {
  Options options;
  const auto given = cli::parse(syntax_into(options), args, out);
  if (!given) {
    return 0;
  }
  options.files = cli::texts_of(*given, "file");
  options.out = cli::given_value<std::string>(*given, "out");
  Input input = read_input(options);
  const std::string out_file = options.out.value_or("");  // which read_input has asked for
  FitResult result;
  {
    ProgressBar bar("simulations", quiet);
    input.fit.progress = [&](std::int64_t done, std::int64_t total) { bar.update(done, total); };
    result = flash::fit::fit_device(std::move(input.rows), input.fit);
  }
  const cli::FitReport report{result, options.base, fmt::format("{} {}", kCommand, fmt::join(args, " "))};
  const auto unwritten = cli::attempt_to_write([&] { write_new_file(out_file, cli::fit_yaml(report)); });
  fmt::print(out, "{}", cli::fit_tables(report));
  std::fflush(out);  // the remarks come last where both go to one place
  const std::string doubt = cli::fit_doubt(report);
  for (const std::string& remark : {doubt, cli::fit_untested(report)}) {
    if (!remark.empty()) {
      cli::say("{}: {}\n", out_file, remark);
    }
  }
  if (unwritten) {
    throw SystemError(*unwritten);
  }
  return doubt.empty() || options.force ? 0 : kNotAccepted;
}

}  // namespace kvr
