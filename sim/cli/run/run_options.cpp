#include "sim/cli/run/run_options.hpp"

#include <fmt/format.h>

#include <boost/program_options.hpp>
#include <charconv>
#include <cstdio>
#include <string_view>

#include "sim/base/error.hpp"
#include "sim/cli/options/options.hpp"

namespace kvr::cli {
namespace {

namespace po = boost::program_options;

/// Beyond eight a sweep gains little (100 points of the shipped trace, docs/sweeps.md: 10.5 s of processor
/// time one by one, 8.0 s by four, 7.1 s by eight, 6.5 s all together), and a killed one loses more.
constexpr std::int64_t kTogether = 8;
constexpr std::int64_t kMostShards = 10'000;

Syntax syntax() {
  Syntax syntax("kvreplay run", "CONFIG.yaml [options]", {{"config", "configuration"}});
  syntax.options.add_options()("set", po::value<std::vector<std::string>>()->composing(),
                               "key=value, laid over the configuration; may be repeated")(
      "out,o", po::value<std::string>(),
      "write the results to this HDF5 file; finished points are kept in OUT.points until it is written, and "
      "a "
      "run that is started again takes them from there")(
      "jobs,j", po::value<std::int64_t>()->default_value(1),
      "so many points, or groups of them, are replayed at the same time, each in a process of its own")(
      "shard", po::value<std::string>(),
      "I/N: of the configuration's points every N-th from the I-th on; `kvreplay result merge` puts the N "
      "files together")(
      "store", po::value<std::string>(),
      "keep finished points in this folder for good, and take from it what it has, of any configuration")(
      "force", po::bool_switch(), "give up finished points of another configuration in OUT.points")(
      "json", po::bool_switch(), "print the summaries as JSON and not as a table")(
      "timeline", po::value<std::string>(), "write a Chrome trace of some steps to this JSON file")(
      "timeline-steps", po::value<std::string>(),
      "which of the replayed steps the timeline shows, FIRST-LAST; without it the first four, or all where "
      "there are fewer")(
      "together", po::value<std::int64_t>()->default_value(kTogether),
      "how many points that follow one another are replayed step by step side by side, where they take the "
      "same steps of one trace; shared work is done once, results are the same, and a killed run loses the "
      "points it was at");
  return syntax;
}

std::optional<std::int64_t> number_of(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

}  // namespace

std::optional<RunOptions> parse_run_options(std::span<const std::string> args) {
  const auto given = parse(syntax(), args, stdout);
  if (!given) {
    return std::nullopt;
  }
  return RunOptions{.config = text_of(*given, "config"),
                    .sets = texts_of(*given, "set"),
                    .out = given_value<std::string>(*given, "out"),
                    .timeline = given_value<std::string>(*given, "timeline"),
                    .timeline_steps = given_value<std::string>(*given, "timeline-steps"),
                    .store = given_value<std::string>(*given, "store"),
                    .shard = given_value<std::string>(*given, "shard"),
                    .together = (*given)["together"].as<std::int64_t>(),
                    .jobs = (*given)["jobs"].as<std::int64_t>(),
                    .force = (*given)["force"].as<bool>(),
                    .json = (*given)["json"].as<bool>()};
}

Shard shard_of(const RunOptions& options) {
  if (!options.shard) {
    return {};
  }
  const std::string_view text = *options.shard;
  const std::size_t slash = text.find('/');
  const auto index = number_of(text.substr(0, slash));
  const auto of = slash == std::string_view::npos ? std::nullopt : number_of(text.substr(slash + 1));
  if (!index || !of || *of < 1 || *of > kMostShards || *index < 1 || *index > *of) {
    throw InputError(
        fmt::format("--shard: '{}' is not I/N; allowed: 1/4 to 4/4, say, of up to {}", text, kMostShards));
  }
  return {*index - 1, *of};
}

}  // namespace kvr::cli
