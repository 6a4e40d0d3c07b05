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
#include "sim/cli/calibrate/stored_rows.hpp"
#include "sim/cli/options/options.hpp"
#include "sim/cli/outputs.hpp"
#include "sim/cli/progress.hpp"
#include "sim/config/problem_list.hpp"
#include "sim/engine/heads/attention/rotary.hpp"
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
  BasisKind kind = BasisKind::keys;
  ResidualPlan residuals = {};
  kernels::DictionaryPlan dictionaries{.atoms = 256, .nonzeros = 8, .rounds = 10};
  std::int64_t seed = 1;
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
      "centred", "of keys less their mean: principal components")(
      "of", po::value<std::string>()->default_value("keys"),
      "keys: directions of keys, for the scorer low_rank; residuals: of keys before rotation and values "
      "beside "
      "earlier ones, for the codec delta; dictionaries: atoms of keys and of values, for the codec "
      "sparse_code")("stride", po::value<std::int64_t>(), "residuals: as the codec's (default 10)")(
      "growth", po::value<double>(), "residuals: as the codec's (default 0)")(
      "references", po::value<std::int64_t>(), "residuals: as the codec's (default 1)")(
      "sinks", po::value<std::int64_t>(), "residuals: as the codec's (default 8)")(
      "atoms", po::value<std::int64_t>(), "dictionaries: atoms of each (default 256)")(
      "nonzeros", po::value<std::int64_t>(), "dictionaries: atoms of a row while training (default 8)")(
      "rounds", po::value<std::int64_t>(), "dictionaries: of k-SVD (default 10)")(
      "seed", po::value<std::int64_t>(), "dictionaries: of the rows that it begins with (default 1)");
  return syntax;
}

BasisKind kind_of(const std::string& name, ProblemList& problems) {
  if (name == "residuals") {
    return BasisKind::residuals;
  }
  if (name == "dictionaries") {
    return BasisKind::dictionaries;
  }
  if (name != "keys") {
    problems.add(fmt::format("--of: is not a choice ({}); allowed: keys, residuals, dictionaries", name));
  }
  return BasisKind::keys;
}

/// Takes the value of an option that is of one kind alone into `value`.
template <class T>
void take(const po::variables_map& given, const char* name, bool of_kind, T least, T most, T& value,
          ProblemList& problems) {
  const auto found = cli::given_value<T>(given, name);
  if (!found) {
    return;
  }
  if (!of_kind) {
    problems.add(fmt::format("--{}: has no effect beside --of {}", name, cli::text_of(given, "of")));
  } else if (!(*found >= least && *found <= most)) {
    problems.add(fmt::format("--{}: {} is out of range; allowed: {} to {}", name, *found, least, most));
  } else {
    value = *found;
  }
}

/// What `--of` alone gives a meaning.
void parse_kind(const po::variables_map& given, Options& options, ProblemList& problems) {
  options.kind = kind_of(cli::text_of(given, "of"), problems);
  const bool residuals = options.kind == BasisKind::residuals;
  const bool dictionaries = options.kind == BasisKind::dictionaries;
  const auto take_count = [&](const char* name, bool of_kind, std::int64_t least, std::int64_t most,
                              std::int64_t& value) {
    take(given, name, of_kind, least, most, value, problems);
  };
  constexpr std::int64_t kMostEntries = 1'000'000'000;
  take_count("stride", residuals, 1, kMostEntries, options.residuals.grid.stride);
  take(given, "growth", residuals, 0.0, 1.0, options.residuals.grid.growth, problems);
  take_count("references", residuals, 1, 64, options.residuals.references);
  take_count("sinks", residuals, 0, kMostEntries, options.residuals.grid.sinks);
  take_count("atoms", dictionaries, 2, 1 << 16, options.dictionaries.atoms);
  take_count("nonzeros", dictionaries, 1, 1024, options.dictionaries.nonzeros);
  take_count("rounds", dictionaries, 1, 1000, options.dictionaries.rounds);
  take_count("seed", dictionaries, 0, kMostEntries, options.seed);
  if (options.centred && options.kind != BasisKind::keys) {
    problems.add(fmt::format("--centred: has no effect beside --of {}", cli::text_of(given, "of")));
  }
  if (dictionaries && options.rank) {
    problems.add("--rank: has no effect beside --of dictionaries; allowed: --atoms");
  }
  if (dictionaries && !given["heads"].defaulted()) {
    problems.add("--heads: has no effect beside --of dictionaries, which are of all heads of a layer");
  }
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
  parse_kind(*given, options, problems);
  if (options.rank && *options.rank < 1) {
    problems.add(fmt::format("--rank: {} is too few; allowed: 1 and more", *options.rank));
  }
  if (options.tokens && *options.tokens < 0) {
    problems.add(fmt::format("--tokens: {} is too few; allowed: 1 and more, or 0 for all", *options.tokens));
  }
  return options;
}

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
std::vector<CalibrationSource> open_sources(const Options& options, ProblemList& problems) {
  std::vector<CalibrationSource> sources;
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
    if (options.kind != BasisKind::keys && !can_turn(header.geometry)) {
      problems.add(fmt::format(
          "{}: its keys of {} channels with rope_scaling {} cannot be turned back to what they were before "
          "their rotary embedding; allowed: an even number of channels, and scaling none, linear or llama3",
          path, header.geometry.head_dim, header.geometry.rope_scaling));
    }
    sources.push_back({path, std::move(reader), tokens, sha256_of_file(path)});
  }
  return sources;
}

void check_rank(const Options& options, const trace::Header& header, ProblemList& problems) {
  const std::int64_t planes = options.kind == BasisKind::residuals ? 2 : 1;
  const std::int64_t most =
      planes * header.geometry.head_dim * (options.together ? header.kv_heads_captured() : 1);
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

  void take(const CalibrationSource& source) {
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

/// Of one captured layer.
std::vector<KeyBasis> layer_bases(const std::vector<CalibrationSource>& sources, std::int64_t layer,
                                  const Options& options) {
  if (options.kind == BasisKind::dictionaries) {
    return layer_dictionaries(sources, layer, options.dictionaries, static_cast<std::uint64_t>(options.seed));
  }
  const trace::Header& header = sources.front().reader.header();
  const std::int64_t heads = header.kv_heads_captured();
  const std::int64_t of_set = options.together ? heads : 1;
  std::vector<KeyBasis> sets;
  for (std::int64_t first = 0; first < heads; first += of_set) {
    if (options.kind == BasisKind::residuals) {
      const std::int64_t rank = options.rank.value_or(2 * of_set * header.geometry.head_dim);
      sets.push_back(residual_basis(sources, layer, first, of_set, rank, options.residuals));
      continue;
    }
    HeadSet set(layer, first, of_set, header.geometry.head_dim);
    std::ranges::for_each(sources, [&](const CalibrationSource& source) { set.take(source); });
    sets.push_back(set.basis(options.rank.value_or(of_set * header.geometry.head_dim), options.centred));
  }
  return sets;
}

BasisFile calibrate(const std::vector<CalibrationSource>& sources, const Options& options, bool quiet) {
  const trace::Header& header = sources.front().reader.header();
  std::vector<std::string> hashes;
  std::ranges::transform(sources, std::back_inserter(hashes), &CalibrationSource::hash);
  BasisFile file{.kind = options.kind,
                 .model = header.model_name,
                 .source = fmt::format("{}", fmt::join(hashes, "\n")),
                 .rows = std::transform_reduce(sources.begin(), sources.end(), std::int64_t{0}, std::plus{},
                                               [](const CalibrationSource& source) { return source.tokens; }),
                 .together = options.together && options.kind != BasisKind::dictionaries,
                 .centred = options.centred,
                 .kv_heads = header.captured_kv_heads,
                 .layers = header.captured_layers,
                 .bases = {}};
  ProgressBar bar("calibrate", quiet);
  for (std::int64_t layer = 0; layer < std::ssize(header.captured_layers); ++layer) {
    file.bases.push_back(layer_bases(sources, layer, options));
    bar.update(layer + 1, std::ssize(header.captured_layers));
  }
  return file;
}

double energy_of(const KeyBasis& basis) {
  return std::accumulate(basis.energy.begin(), basis.energy.end(), 0.0);
}

void print(std::FILE* out, const BasisFile& file) {
  if (file.kind == BasisKind::dictionaries) {
    fmt::print(out, "{}: {} entries, {} atoms of keys and of values in each of {} layers\n", file.model,
               file.rows, file.bases.front().front().rank, file.layers.size());
    return;
  }
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
  const std::vector<CalibrationSource> sources = open_sources(*options, problems);
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
