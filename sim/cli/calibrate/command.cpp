#include "sim/cli/calibrate/command.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <filesystem>
#include <numeric>
#include <optional>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/base/sha256.hpp"
#include "sim/calibration/basis_file.hpp"
#include "sim/cli/options/options.hpp"
#include "sim/cli/outputs.hpp"
#include "sim/cli/progress.hpp"
#include "sim/config/problem_list.hpp"
#include "sim/kernels/principal_directions.hpp"
#include "traces/checks/validate.hpp"
#include "traces/reader.hpp"

namespace kvr {
namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;

constexpr std::int64_t kBlock = 1024;  // rows that are read at once

struct Options {
  std::vector<std::string> traces;
  fs::path out;
  bool together = true;
  bool centred = false;
  std::optional<std::int64_t> rank;    ///< of a set of heads; all directions where not given
  std::optional<std::int64_t> tokens;  ///< of each trace, from its beginning; its prompt where not given
};

cli::Syntax syntax() {
  cli::Syntax syntax("kvreplay calibrate", "TRACE.h5... -o FILE.h5 [options]", {{"traces", "trace", true}});
  syntax.options.add_options()("out,o", po::value<std::string>(), "the calibration to write")(
      "heads", po::value<std::string>()->default_value("together"),
      "together: one basis for all KV heads of a layer side by side; each: one for each")(
      "rank", po::value<std::int64_t>(),
      "directions that are kept (default: all; those of fewer are the first)")(
      "tokens", po::value<std::int64_t>(),
      "tokens of each trace, from its beginning (default: its prompt); 0: all")(
      "centred", "of keys less their mean: principal components");
  return syntax;
}

/// Empty when only help was asked for; `problems`: what is wrong with single options.
std::optional<Options> parse(std::span<const std::string> args, std::FILE* out, ProblemList& problems) {
  const auto given = cli::parse(syntax(), args, out);
  if (!given) {
    return std::nullopt;
  }
  const std::string heads = cli::text_of(*given, "heads");
  if (given->count("out") == 0) {
    problems.add("--out: is missing; required: a file to write");
  }
  if (heads != "together" && heads != "each") {
    problems.add(fmt::format("--heads: is not a choice ({}); allowed: together, each", heads));
  }
  Options options{.traces = cli::texts_of(*given, "traces"),
                  .out = cli::text_of(*given, "out"),
                  .together = heads == "together",
                  .centred = given->count("centred") > 0,
                  .rank = cli::given_value<std::int64_t>(*given, "rank"),
                  .tokens = cli::given_value<std::int64_t>(*given, "tokens")};
  if (options.rank && *options.rank < 1) {
    problems.add(fmt::format("--rank: {} is too few; allowed: 1 and more", *options.rank));
  }
  if (options.tokens && *options.tokens < 0) {
    problems.add(fmt::format("--tokens: {} is too few; allowed: 1 and more, or 0 for all", *options.tokens));
  }
  return options;
}

/// A trace that keys are taken from.
struct Source {
  std::string path;
  trace::Reader reader;
  std::int64_t tokens;
  std::string hash;
};

/// What must be the same for keys to be of one model.
bool same_model(const trace::Header& a, const trace::Header& b) {
  return a.model_name == b.model_name && a.geometry == b.geometry && a.captured_layers == b.captured_layers &&
         a.captured_kv_heads == b.captured_kv_heads;
}

std::int64_t tokens_of(const trace::Header& header, const Options& options) {
  if (!options.tokens) {
    return header.prefill_len;
  }
  return *options.tokens == 0 ? header.seq_len : *options.tokens;
}

/// Those that can be read; `problems`: what is wrong with all of them.
std::vector<Source> open_sources(const Options& options, ProblemList& problems) {
  std::vector<Source> sources;
  for (const std::string& path : options.traces) {
    const std::vector<std::string> invalid = trace::validate(path);
    std::ranges::for_each(invalid, [&](const std::string& problem) { problems.add(problem); });
    if (!invalid.empty()) {
      continue;
    }
    trace::Reader reader(path);
    const trace::Header& header = reader.header();
    const std::int64_t tokens = tokens_of(header, options);
    if (tokens > header.seq_len) {
      problems.add(fmt::format("--tokens: {} is too many; {} has {}", tokens, path, header.seq_len));
    }
    if (!sources.empty() && !same_model(header, sources.front().reader.header())) {
      problems.add(fmt::format(
          "{}: is of another model, or has other layers or heads of it, than {}; allowed: traces of one",
          path, sources.front().path));
    }
    sources.push_back({path, std::move(reader), tokens, sha256_of_file(path)});
  }
  return sources;
}

void check_rank(const Options& options, const trace::Header& header, ProblemList& problems) {
  const std::int64_t most = header.geometry.head_dim * (options.together ? header.kv_heads_captured() : 1);
  if (options.rank && *options.rank > most) {
    problems.add(
        fmt::format("--rank: {} is too many; allowed: 1 to {}, the channels of a row", *options.rank, most));
  }
}

/// The heads that have one basis, of one layer; rows side by side.
class HeadSet {
 public:
  HeadSet(std::int64_t layer, std::int64_t first, std::int64_t heads, std::int64_t head_dim)
      : layer_(layer), first_(first), heads_(heads), head_dim_(head_dim), products_(heads * head_dim) {}

  void take(const Source& source) {
    for (std::int64_t begin = 0; begin < source.tokens; begin += kBlock) {
      take(source.reader, begin, std::min(begin + kBlock, source.tokens));
    }
  }

  KeyBasis basis(std::int64_t rank, bool centred) const {
    const kernels::PrincipalDirections found = products_.directions(rank, centred);
    if (std::accumulate(found.energy.begin(), found.energy.end(), 0.0) <= 0.0) {
      throw InputError(
          fmt::format("captured layer {}, head {}: all keys are {}, so that they have no direction", layer_,
                      first_, centred ? "the same" : "zero"));
    }
    KeyBasis basis{.width = heads_ * head_dim_,
                   .rank = rank,
                   .basis = std::vector<Half>(found.basis.size()),
                   .energy = std::vector<float>(found.energy.begin(), found.energy.end())};
    to_half(found.basis, basis.basis);
    return basis;
  }

 private:
  void take(const trace::Reader& reader, std::int64_t begin, std::int64_t end) {
    const std::int64_t count = end - begin;
    std::vector<Half> halves(static_cast<std::size_t>(count * head_dim_));
    std::vector<float> rows(static_cast<std::size_t>(count * heads_ * head_dim_));
    for (std::int64_t head = 0; head < heads_; ++head) {
      reader.read(trace::Field::keys, layer_, first_ + head, begin, end, halves);
      to_float(matrix_view<Half>(halves.data(), count, head_dim_),
               {rows.data() + head * head_dim_, count, head_dim_, heads_ * head_dim_});
    }
    products_.add(matrix_view<float>(rows.data(), count, heads_ * head_dim_));
  }

  std::int64_t layer_;
  std::int64_t first_;
  std::int64_t heads_;
  std::int64_t head_dim_;
  kernels::RowProducts products_;
};

BasisFile calibrate(const std::vector<Source>& sources, const Options& options, bool quiet) {
  const trace::Header& header = sources.front().reader.header();
  const std::int64_t of_set = options.together ? header.kv_heads_captured() : 1;
  const std::int64_t rank = options.rank.value_or(of_set * header.geometry.head_dim);
  std::vector<std::string> hashes;
  std::ranges::transform(sources, std::back_inserter(hashes), &Source::hash);
  BasisFile file{.model = header.model_name,
                 .source = fmt::format("{}", fmt::join(hashes, "\n")),
                 .rows = std::transform_reduce(sources.begin(), sources.end(), std::int64_t{0}, std::plus{},
                                               [](const Source& source) { return source.tokens; }),
                 .together = options.together,
                 .centred = options.centred,
                 .kv_heads = header.captured_kv_heads,
                 .layers = header.captured_layers,
                 .bases = {}};
  ProgressBar bar("calibrate", quiet);
  for (std::int64_t layer = 0; layer < std::ssize(header.captured_layers); ++layer) {
    std::vector<KeyBasis>& sets = file.bases.emplace_back();
    for (std::int64_t first = 0; first < header.kv_heads_captured(); first += of_set) {
      HeadSet set(layer, first, of_set, header.geometry.head_dim);
      std::ranges::for_each(sources, [&](const Source& source) { set.take(source); });
      sets.push_back(set.basis(rank, options.centred));
    }
    bar.update(layer + 1, std::ssize(header.captured_layers));
  }
  return file;
}

double energy_of(const KeyBasis& basis) {
  return std::accumulate(basis.energy.begin(), basis.energy.end(), 0.0);
}

void print(std::FILE* out, const BasisFile& file) {
  fmt::print(out, "{}: {} entries, {} directions\n", file.model, file.rows, file.bases.front().front().rank);
  fmt::print(out, "layer  energy kept\n");
  for (std::size_t layer = 0; layer < file.layers.size(); ++layer) {
    std::vector<std::string> sets;
    for (const KeyBasis& basis : file.bases[layer]) {
      sets.push_back(fmt::format("{:.2f} %", 100.0 * energy_of(basis)));
    }
    fmt::print(out, "{:5}  {}\n", file.layers[layer], fmt::join(sets, "  "));
  }
}

}  // namespace

int run_calibrate_command(std::span<const std::string> args, std::FILE* out, bool quiet) {
  ProblemList problems;
  const std::optional<Options> options = parse(args, out, problems);
  if (!options) {
    return 0;
  }
  problems.collect([&] {
    cli::Outputs outputs;
    if (!options->out.empty()) {
      outputs.write("--out", options->out);
    }
    std::ranges::for_each(options->traces, [&](const std::string& path) { outputs.read(path); });
    outputs.check();
  });
  const std::vector<Source> sources = open_sources(*options, problems);
  if (!sources.empty()) {
    check_rank(*options, sources.front().reader.header(), problems);
  }
  problems.throw_if_any();
  const BasisFile file = calibrate(sources, *options, quiet);
  const auto failed = cli::attempt_to_write([&] { file.write(options->out); });
  print(out, file);
  if (failed) {
    throw *failed;
  }
  return 0;
}

}  // namespace kvr
