#include "sim/cli/device/curve_command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "sim/base/files/new_file.hpp"
#include "sim/cli/device/curve.hpp"
#include "sim/cli/device/curve_output.hpp"
#include "sim/cli/options/options.hpp"
#include "sim/cli/outputs.hpp"
#include "sim/cli/progress.hpp"
#include "sim/config/problem_list.hpp"
#include "sim/config/values.hpp"

namespace kvr {
namespace {

namespace po = boost::program_options;

constexpr std::int64_t kMaxThreads = 1024;
constexpr std::int64_t kMaxDepth = 65536;
constexpr std::int64_t kMaxRequests = 100'000'000;
constexpr double kLargest = 9e15;  // whole numbers that a double holds

cli::Syntax syntax() {
  cli::Syntax syntax("kvreplay device curve", "DEVICE [options]", {{"device", "device"}});
  const auto text = [](const char* standard) { return po::value<std::string>()->default_value(standard); };
  syntax.options.add_options()("size", text("4KiB,8KiB,16KiB,24KiB,32KiB,64KiB,128KiB,256KiB,512KiB,1MiB"),
                               "sizes of a request, a list")(
      "depth", text("1,2,4,8,16,32"),
      "requests that every thread keeps outstanding (per thread, as fio's iodepth), a list")(
      "range", text("64GiB"), "flash over which requests are spread, a list")(
      "threads", text("1"), "threads that submit, a list")("write", "writes; otherwise reads")(
      "sequential", "one stream that wraps at the range; otherwise uniformly random")(
      "hot", "the part is hot: device.heat=hot")("type", text("queueing"),
                                                 "fidelity of the device model: queueing or analytic")(
      "phone", po::value<std::string>(),
      "NAME or FILE of the phone whose processor submits; otherwise the host that the device was fitted "
      "with")("set", po::value<std::vector<std::string>>()->composing(),
              "device.KEY=VALUE or phone.KEY=VALUE; may be repeated")(
      "requests", po::value<std::string>(),
      "requests that count at each point, after a warm-up of a tenth; otherwise 100 for each outstanding "
      "one, at least 4000")("seed", text("1"), "root of every random stream")(
      "json", "print JSON instead of tables")("out,o", po::value<std::string>(),
                                              "write FILE.h5 (HDF5) or FILE.svg (a picture) too");
  return syntax;
}

/// The values of an option that is a list.
std::vector<std::int64_t> read_list(const po::variables_map& given, const char* option, const ParamDoc& info,
                                    config::Problems& problems) {
  const config::Mark mark{fmt::format("--{}", option)};
  const ParamSpec spec{option, ValueType::integer, std::int64_t{0}, info};
  std::vector<std::int64_t> values;
  std::string_view rest = given[option].as<std::string>();
  for (bool more = true; more;) {
    const std::size_t comma = rest.find(',');
    const config::Node node = config::scalar_node("", std::string(rest.substr(0, comma)), mark);
    if (const auto value = config::read_value(node, spec, "", problems)) {
      const auto number = std::get<std::int64_t>(*value);
      if (std::ranges::find(values, number) != values.end()) {
        problems.add(mark, "", fmt::format("is given twice ({}); allowed: once", node.text));
      }
      values.push_back(number);
    }
    more = comma != std::string_view::npos;
    rest = more ? rest.substr(comma + 1) : "";
  }
  return values;
}

std::int64_t read_one(const po::variables_map& given, const char* option, const ParamDoc& info,
                      config::Problems& problems) {
  const auto values = read_list(given, option, info, problems);
  if (values.size() > 1) {
    problems.add({fmt::format("--{}", option)}, "",
                 fmt::format("is a list ({}); allowed: one number", given[option].as<std::string>()));
  }
  return values.empty() ? 0 : values.front();
}

/// Holds what could be read; the rest is in `problems`.
cli::CurvePlan read_plan(const po::variables_map& given, config::Problems& problems) {
  const ParamDoc bytes{.doc = "", .quantity = Quantity::bytes, .min = 1, .max = kLargest};
  cli::CurvePlan plan;
  plan.sizes_bytes = read_list(given, "size", bytes, problems);
  plan.ranges_bytes = read_list(given, "range", bytes, problems);
  plan.depths = read_list(given, "depth", {.doc = "", .min = 1, .max = kMaxDepth}, problems);
  plan.threads = read_list(given, "threads", {.doc = "", .min = 1, .max = kMaxThreads}, problems);
  plan.kind = given.count("write") > 0 ? IoKind::write : IoKind::read;
  plan.sequential = given.count("sequential") > 0;
  plan.seed =
      static_cast<std::uint64_t>(read_one(given, "seed", {.doc = "", .min = 0, .max = kLargest}, problems));
  if (given.count("requests") > 0) {
    plan.requests = read_one(given, "requests", {.doc = "", .min = 1, .max = kMaxRequests}, problems);
  }
  return plan;
}

cli::DeviceRequest device_request(const po::variables_map& given) {
  return {.device = cli::text_of(given, "device"),
          .type = cli::text_of(given, "type"),
          .hot = given.count("hot") > 0,
          .phone = cli::text_of(given, "phone"),
          .sets = cli::texts_of(given, "set")};
}

/// The device `file` performs a batch as a whole before it takes the next, so it cannot keep a depth.
void refuse_file(const std::string& type, ProblemList& problems) {
  if (type == "file") {
    problems.add(
        "--type: file serves a batch at a time and keeps no queue depth; allowed: analytic, queueing; "
        "'kvreplay device probe' measures a real part");
  }
}

/// `inputs`: the files of device and phone.
void check_out(const std::filesystem::path& out, std::span<const std::filesystem::path> inputs,
               ProblemList& problems) {
  cli::Outputs outputs;
  outputs.write("--out", out);
  for (const std::filesystem::path& input : inputs) {
    outputs.read(input);
  }
  problems.collect([&] { outputs.check(); });
  if (!out.empty() && out.extension() != ".h5" && out.extension() != ".svg") {
    problems.add(fmt::format("--out: {} has no known extension; allowed: .h5, .svg", out.string()));
  }
}

/// What was asked for, checked.
struct Order {
  cli::CurvePlan plan;
  cli::DeviceChoice choice;
  std::filesystem::path out;  ///< empty: none
};

/// Throws InputError with everything that is wrong.
Order read_order(const po::variables_map& given) {
  ProblemList problems;
  config::Problems of_options;
  const cli::CurvePlan plan = read_plan(given, of_options);
  problems.collect([&] { of_options.throw_if_any(); });
  cli::DeviceChoice choice;
  const cli::DeviceRequest request = device_request(given);
  refuse_file(request.type, problems);
  if (request.type != "file") {
    problems.collect([&] {
      choice = cli::choose_device(request);
      refuse_file(choice.config.device.type, problems);
      for (std::string& problem : cli::check(plan, choice.params)) {
        problems.add(std::move(problem));
      }
    });
  }
  const std::filesystem::path out = cli::text_of(given, "out");
  if (given.count("out") > 0) {
    check_out(out, choice.files, problems);
  }
  problems.throw_if_any();
  return {plan, std::move(choice), out};
}

void write_out(const std::filesystem::path& out, const cli::DeviceChoice& choice, const cli::Curve& curve) {
  if (out.extension() == ".h5") {
    cli::write_curve_hdf5(out, choice, curve);
  } else if (out.extension() == ".svg") {
    write_new_file(out, cli::curve_svg(choice, curve));
  }
}

}  // namespace

int run_device_curve(std::span<const std::string> args, std::FILE* out, bool quiet) {
  const auto given = cli::parse(syntax(), args, out);
  if (!given) {
    return 0;
  }
  const Order order = read_order(*given);
  ProgressBar bar(order.choice.params.name, quiet);
  const cli::Curve curve = cli::measure_curve(
      order.choice, order.plan, [&bar](std::int64_t done, std::int64_t total) { bar.update(done, total); });
  const auto unwritten = cli::attempt_to_write([&] { write_out(order.out, order.choice, curve); });
  fmt::print(out, "{}",
             given->count("json") > 0 ? cli::curve_json(order.choice, curve)
                                      : cli::curve_table(order.choice, curve));
  if (unwritten) {
    throw SystemError(*unwritten);
  }
  return 0;
}

}  // namespace kvr
