#include "sim/cli/trace/command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <filesystem>
#include <sstream>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/base/hdf5.hpp"
#include "sim/cli/outputs.hpp"
#include "sim/cli/trace/stats_command.hpp"
#include "traces/checks/validate.hpp"
#include "traces/reader.hpp"
#include "traces/synth/synth.hpp"

namespace kvr {
namespace {

namespace po = boost::program_options;
using Args = std::span<const std::string>;

constexpr const char* kUsage =
    "usage: kvreplay trace COMMAND ...\n"
    "  info FILE        geometry, lengths, origin and size of a trace\n"
    "  validate FILE    read all of it and say everything that is wrong\n"
    "  synth FILE       write a labelled synthetic trace\n"
    "  head FILE        print the first rows of one head\n"
    "  stats FILE       what a policy can hope for, by layer and head\n"
    "kvreplay trace COMMAND --help lists the options of a command.\n";

/// The options of one command, which takes one FILE.
class Command {
 public:
  explicit Command(const std::string& name) : name_(name), options_("options") {
    options_.add_options()("help,h", "print this text");
  }

  po::options_description& options() { return options_; }

  /// False if help was asked for, and printed.
  bool parse(Args args, std::FILE* out) {
    po::options_description all;
    all.add(options_);
    all.add_options()("file", po::value<std::vector<std::string>>());
    po::positional_options_description positional;
    positional.add("file", -1);
    const int style = po::command_line_style::default_style & ~po::command_line_style::allow_guessing;
    try {
      const std::vector<std::string> words(args.begin(), args.end());
      po::store(po::command_line_parser(words).options(all).positional(positional).style(style).run(),
                values_);
      if (values_.count("help") > 0) {
        print_help(out);
        return false;
      }
      po::notify(values_);
    } catch (const po::error& error) {
      throw InputError(fmt::format("trace {}: {}; see kvreplay trace {} --help", name_, error.what(), name_));
    }
    return true;
  }

  std::filesystem::path file() const {
    const std::size_t given =
        values_.count("file") == 0 ? 0 : values_["file"].as<std::vector<std::string>>().size();
    if (given != 1) {
      throw InputError(fmt::format("trace {}: {} files; expected one", name_, given));
    }
    return values_["file"].as<std::vector<std::string>>().front();
  }

 private:
  void print_help(std::FILE* out) const {
    std::ostringstream text;
    text << options_;
    fmt::print(out, "usage: kvreplay trace {} FILE [options]\n{}", name_, text.str());
  }

  std::string name_;
  po::options_description options_;
  po::variables_map values_;
};

void print_row(std::FILE* out, const char* name, const std::string& value) {
  constexpr std::size_t kMostBytes = 4000;
  fmt::print(out, "{:<18}{}\n", name, hdf5::shown(value, kMostBytes));
}

void print_geometry(std::FILE* out, const trace::Geometry& geometry) {
  print_row(out, "layers", fmt::format("{}", geometry.layers));
  print_row(out, "query heads", fmt::format("{} ({} per KV head)", geometry.query_heads, geometry.group()));
  print_row(out, "KV heads", fmt::format("{}", geometry.kv_heads));
  print_row(out, "head dim", fmt::format("{}", geometry.head_dim));
  print_row(out, "hidden, FFN", fmt::format("{}, {}", geometry.hidden_size, geometry.ffn_size));
  print_row(out, "vocabulary", fmt::format("{}", geometry.vocab_size));
  print_row(out, "rope",
            fmt::format("theta {}, {}, scaling {}", geometry.rope_theta, geometry.rope_layout,
                        geometry.rope_scaling));
  print_row(out, "attention scale", fmt::format("{:.9g}", geometry.attention_scale));
}

void print_capture(std::FILE* out, const trace::Header& header) {
  print_row(out, "mode", header.capture_mode);
  print_row(out, "seed", fmt::format("{}", header.seed));
  print_row(out, "captured with", header.capture_tool + " " + header.capture_version);
  print_row(out, "weights sha256", header.weights_sha256);
  print_row(out, "text", header.text_source);
  print_row(out, "licence", header.licence);
}

std::vector<std::string> datasets_of(const trace::Reader& reader, std::int64_t layer) {
  using trace::Field;
  std::vector<std::string> names;
  for (const Field field : {Field::keys, Field::values, Field::queries, Field::speculated_queries}) {
    if (reader.has(field, layer)) {
      names.emplace_back(name_of(field));
    }
  }
  if (reader.has_prompt_attention_sums(layer)) {
    names.emplace_back("prompt_attention_sums");
  }
  if (reader.has_wo_v_norm(layer)) {
    names.emplace_back("wo_v_norm");
  }
  return names;
}

int run_info(Args args, std::FILE* out) {
  Command command("info");
  if (!command.parse(args, out)) {
    return 0;
  }
  const trace::Reader reader(command.file());
  const trace::Header& header = reader.header();
  print_row(out, "file", command.file().string());
  print_row(out, "file size", fmt::format("{} bytes", std::filesystem::file_size(command.file())));
  print_row(out, "model", header.model_name);
  print_geometry(out, header.geometry);
  print_row(out, "tokens",
            fmt::format("{} ({} prompt, {} decode steps)", header.seq_len, header.prefill_len,
                        header.seq_len - header.prefill_len));
  print_row(out, "queries",
            fmt::format("{} ({} in the prompt)", reader.query_positions().size(),
                        std::ssize(reader.query_positions()) - header.seq_len + header.prefill_len));
  if (reader.turns() > 0) {
    print_row(out, "turns", std::to_string(reader.turns()));
  }
  print_row(out, "captured layers", fmt::format("{}", fmt::join(header.captured_layers, " ")));
  print_row(out, "captured KV heads", fmt::format("{}", fmt::join(header.captured_kv_heads, " ")));
  print_capture(out, header);
  for (std::size_t layer = 0; layer < header.captured_layers.size(); ++layer) {
    const std::vector<std::string> names = datasets_of(reader, static_cast<std::int64_t>(layer));
    print_row(out, fmt::format("layer {}", header.captured_layers[layer]).c_str(),
              fmt::format("{}", fmt::join(names, ", ")));
  }
  return 0;
}

int run_validate(Args args, std::FILE* out, std::FILE* err) {
  Command command("validate");
  if (!command.parse(args, out)) {
    return 0;
  }
  const std::vector<std::string> problems = trace::validate(command.file());
  for (const std::string& problem : problems) {
    std::fputs((problem + "\n").c_str(), err);  // which may be unwritable; the verdict stands all the same
  }
  if (problems.empty()) {
    fmt::print(out, "{}: valid\n", command.file().string());
  }
  return problems.empty() ? 0 : 2;
}

/// Adds an option whose default is what `options` holds and which is stored there.
template <class Value>
void offer(po::options_description& description, std::span<const trace::SynthOption<Value>> table,
           trace::SynthOptions& options) {
  for (const trace::SynthOption<Value>& option : table) {
    Value& target = options.*option.member;
    const std::string standard = fmt::format("{}", target);
    description.add_options()(option.name, po::value<Value>(&target)->default_value(target, standard),
                              option.help);
  }
}

int run_synth(Args args, std::FILE* out) {
  Command command("synth");
  trace::SynthOptions options;
  offer(command.options(), trace::synth_counts(), options);
  offer(command.options(), trace::synth_reals(), options);
  if (!command.parse(args, out)) {
    return 0;
  }
  cli::Outputs outputs;
  outputs.write("FILE", command.file());
  outputs.check();
  trace::synthesise(options, command.file());
  return 0;
}

struct HeadOptions {
  std::int64_t layer = -1;
  std::int64_t head = 0;
  std::int64_t begin = 0;
  std::int64_t count = 4;
  std::string field = "keys";
};

/// The place of model layer `layer` among the captured ones; -1 is the first captured one.
std::int64_t captured_index(const trace::Header& header, std::int64_t layer) {
  const auto& layers = header.captured_layers;
  const auto found = layer == -1 ? layers.begin() : std::find(layers.begin(), layers.end(), layer);
  if (found == layers.end()) {
    throw InputError(
        fmt::format("trace head: --layer {}; expected one of {}", layer, hdf5::list_text(layers)));
  }
  return found - layers.begin();
}

void check_range(const char* option, std::int64_t value, std::int64_t end) {
  if (end == 0) {
    throw InputError(fmt::format("trace head: --{} {}; there is none", option, value));
  }
  if (value < 0 || value >= end) {
    const std::string expected = end > 0 ? fmt::format("expected 0 to {}", end - 1) : "there is none";
    throw InputError(fmt::format("trace head: --{} {}; {}", option, value, expected));
  }
}

void print_rows(std::FILE* out, const trace::Reader& reader, const HeadOptions& options) {
  const trace::Field field = trace::field_of(options.field);
  const std::int64_t layer = captured_index(reader.header(), options.layer);
  if (!reader.has(field, layer)) {
    throw InputError(fmt::format("trace head: layer {} has no {}",
                                 reader.header().captured_layers[static_cast<std::size_t>(layer)],
                                 options.field));
  }
  check_range("head", options.head, reader.heads(field));
  check_range("begin", options.begin, reader.rows(field));
  if (options.count < 0) {
    throw InputError(fmt::format("trace head: --count {}; expected at least 0", options.count));
  }
  const std::int64_t end = options.begin + std::min(options.count, reader.rows(field) - options.begin);
  trace::Window window(reader, field, layer, options.head);
  for (std::int64_t i = options.begin; i < end; ++i) {
    const std::int64_t position = is_query(field) ? reader.query_positions()[static_cast<std::size_t>(i)] : i;
    fmt::print(out, "{}", position);
    for (const Half value : window.row(i)) {
      fmt::print(out, " {}", to_float(value));
    }
    fmt::print(out, "\n");
  }
}

int run_head(Args args, std::FILE* out) {
  Command command("head");
  HeadOptions options;
  command.options().add_options()("layer", po::value(&options.layer),
                                  "model layer (default: the first captured one)")(
      "head", po::value(&options.head)->default_value(options.head), "row of the dataset's first dimension")(
      "field", po::value(&options.field)->default_value(options.field),
      "keys, values, queries or speculated_queries")(
      "begin", po::value(&options.begin)->default_value(options.begin), "first row along time")(
      "count", po::value(&options.count)->default_value(options.count),
      "rows to print, at most what there is");
  if (!command.parse(args, out)) {
    return 0;
  }
  print_rows(out, trace::Reader(command.file()), options);
  return 0;
}

}  // namespace

int run_trace_command(Args args, std::FILE* out, std::FILE* err, bool quiet) {
  if (args.empty()) {
    throw InputError("trace: no command; expected info, validate, synth, head or stats");
  }
  const std::string& name = args.front();
  const Args rest = args.subspan(1);
  if (name == "--help" || name == "-h") {
    fmt::print(out, "{}", kUsage);
    return 0;
  }
  if (name == "info") {
    return run_info(rest, out);
  }
  if (name == "validate") {
    return run_validate(rest, out, err);
  }
  if (name == "synth") {
    return run_synth(rest, out);
  }
  if (name == "head") {
    return run_head(rest, out);
  }
  if (name == "stats") {
    return run_trace_stats(rest, out, quiet);
  }
  throw InputError(
      fmt::format("trace: no command '{}'; expected info, validate, synth, head or stats", name));
}

}  // namespace kvr
