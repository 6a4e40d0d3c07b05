#include "sim/cli/inspect/command.hpp"

#include <fmt/format.h>

#include <boost/program_options.hpp>

#include "sim/cli/inspect/decision.hpp"
#include "sim/cli/options/options.hpp"
#include "sim/cli/result/open_results.hpp"

namespace kvr {

namespace po = boost::program_options;

int run_inspect_command(std::span<const std::string> args, std::FILE* out) {
  cli::Syntax syntax("kvreplay inspect", "RESULT.h5 --step N --layer L --head H [options]",
                     {{"file", "file of results with record.units"}});
  syntax.options.add_options()("point", po::value<std::string>(),
                               "of this point; where the file has one, of that")(
      "step", po::value<std::int64_t>(), "step, from the first one replayed")(
      "layer", po::value<std::int64_t>(), "layer, as numbered in the model")(
      "head", po::value<std::int64_t>(), "KV head, as numbered in the model")(
      "sequence", po::value<std::int64_t>(), "sequence of a batch, from 0 on")(
      "stage", po::value<std::string>(),
      "what this stage of the system chose alone; its name, or its place from 0 on")(
      "json", "print JSON, with every entry and extent");
  const auto given = cli::parse(syntax, args, out);
  if (!given) {
    return 0;
  }
  const auto number = [&given](const char* name) { return cli::given_value<std::int64_t>(*given, name); };
  const ResultFile file = cli::open_results(cli::text_of(*given, "file"));
  const cli::Decision decision = cli::find_decision(file, {.point = cli::text_of(*given, "point"),
                                                           .step = number("step"),
                                                           .layer = number("layer"),
                                                           .head = number("head"),
                                                           .sequence = number("sequence"),
                                                           .stage = cli::text_of(*given, "stage")});
  fmt::print(out, "{}",
             given->count("json") > 0 ? cli::decision_json(decision) : cli::decision_text(decision));
  return 0;
}

}  // namespace kvr
