#include "sim/cli/result/merge_command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <string>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/cli/messages.hpp"
#include "sim/cli/options/options.hpp"
#include "sim/cli/outputs.hpp"
#include "sim/cli/result/open_results.hpp"
#include "sim/config/problem_list.hpp"
#include "sim/results/merge.hpp"

namespace kvr {
namespace {

namespace po = boost::program_options;

struct Options {
  std::vector<std::string> files;
  std::string out;  ///< empty: not given
  Programs programs = Programs::same;
};

cli::Syntax syntax() {
  cli::Syntax syntax("kvreplay result merge", "FILE.h5... -o OUT.h5 [options]", {{"files", "results", true}});
  syntax.options.add_options()("out,o", po::value<std::string>(), "the file to write")(
      "any-program", "parts may come from programs that were built apart, of one commit");
  return syntax;
}

/// What can be opened; `problems`: why the rest cannot.
std::vector<ResultFile> open_parts(const Options& options, ProblemList& problems) {
  std::vector<ResultFile> parts;
  for (const std::string& file : options.files) {
    problems.collect([&] { parts.push_back(cli::open_results(file)); });
  }
  return parts;
}

std::vector<ResultFile> checked_parts(const Options& options) {
  ProblemList problems;
  cli::Outputs outputs;
  std::ranges::for_each(options.files, [&outputs](const std::string& file) { outputs.read(file); });
  if (options.out.empty()) {
    problems.add("--out: is not given; allowed: a new name or a regular file");
  } else {
    outputs.write("--out", options.out);
  }
  problems.collect([&outputs] { outputs.check(); });
  std::vector<ResultFile> parts = open_parts(options, problems);
  if (parts.size() == options.files.size()) {
    std::ranges::for_each(merge_problems(parts, options.programs),
                          [&problems](const std::string& problem) { problems.add(problem); });
  }
  problems.throw_if_any();
  return parts;
}

}  // namespace

int run_result_merge(std::span<const std::string> args, std::FILE* out, bool quiet) {
  const auto given = cli::parse(syntax(), args, out);
  if (!given) {
    return 0;
  }
  const Options options{.files = cli::texts_of(*given, "files"),
                        .out = cli::text_of(*given, "out"),
                        .programs = given->count("any-program") > 0 ? Programs::any : Programs::same};
  const std::vector<ResultFile> parts = checked_parts(options);
  merge_results(options.out, parts);
  std::size_t points = 0;
  std::ranges::for_each(parts, [&points](const ResultFile& part) { points += part.points().size(); });
  if (!quiet) {
    cli::say("{}: {} of {} points\n", options.out, points, parts.front().points_planned());
  }
  return 0;
}

}  // namespace kvr
