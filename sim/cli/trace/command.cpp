#include "sim/cli/trace/command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/program_options.hpp>
#include <filesystem>
#include <optional>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/base/hdf5.hpp"
#include "sim/cli/messages.hpp"
#include "sim/cli/options/options.hpp"
#include "sim/cli/options/subcommands.hpp"
#include "sim/cli/outputs.hpp"
#include "sim/cli/trace/stats_command.hpp"
#include "traces/checks/validate.hpp"
#include "traces/reader.hpp"
#include "traces/synth/synth.hpp"

namespace kvr {
namespace {

namespace po = boost::program_options;
using Args = std::span<const std::string>;

cli::Syntax syntax_of(const std::string& name) {
  return {"kvreplay trace " + name, "FILE [options]", {{"file", "trace"}}};
}

/// Empty where help was asked for, and printed.
std::optional<std::filesystem::path> parse_file(const cli::Syntax& syntax, Args args, std::FILE* out) {
  const auto given = cli::parse(syntax, args, out);
  return given ? std::optional<std::filesystem::path>(cli::text_of(*given, "file")) : std::nullopt;
}

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

void print_info(std::FILE* out, const std::filesystem::path& file) {
  const trace::Reader reader(file);
  const trace::Header& header = reader.header();
  print_row(out, "file", file.string());
  print_row(out, "file size", fmt::format("{} bytes", std::filesystem::file_size(file)));
  print_row(out, "model", header.model_name);
  print_geometry(out, header.geometry);
  print_row(out, "tokens",
            fmt::format("{} ({} prompt, {} decode steps)", header.seq_len, header.prefill_len,
                        header.seq_len - header.prefill_len));
  print_row(out, "queries",
            fmt::format("{} ({} in the prompt)", reader.query_positions().size(),
                        std::ssize(reader.query_positions()) - header.seq_len + header.prefill_len));
  if (reader.has_token_classes()) {
    std::vector<std::uint8_t> classes(static_cast<std::size_t>(header.seq_len));
    reader.read_token_classes(0, header.seq_len, classes);
    print_row(out, "token classes",
              fmt::format("{} special, {} punctuation", std::ranges::count(classes, 1),
                          std::ranges::count(classes, 2)));
  }
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
}

int run_info(Args args, std::FILE* out, bool) {
  if (const auto file = parse_file(syntax_of("info"), args, out)) {
    print_info(out, *file);
  }
  return 0;
}

int run_validate(Args args, std::FILE* out, bool) {
  const auto file = parse_file(syntax_of("validate"), args, out);
  if (!file) {
    return 0;
  }
  const std::vector<std::string> problems = trace::validate(*file);
  for (const std::string& problem : problems) {
    cli::say("{}\n", problem);  // which may be unwritable; the verdict stands all the same
  }
  if (problems.empty()) {
    fmt::print(out, "{}: valid\n", file->string());
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

int run_synth(Args args, std::FILE* out, bool) {
  cli::Syntax syntax = syntax_of("synth");
  trace::SynthOptions options;
  offer(syntax.options, trace::synth_counts(), options);
  offer(syntax.options, trace::synth_reals(), options);
  const auto file = parse_file(syntax, args, out);
  if (!file) {
    return 0;
  }
  cli::Outputs outputs;
  outputs.write("FILE", *file);
  outputs.check();
  trace::synthesise(options, *file);
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

int run_head(Args args, std::FILE* out, bool) {
  cli::Syntax syntax = syntax_of("head");
  HeadOptions options;
  syntax.options.add_options()("layer", po::value(&options.layer),
                               "model layer (default: the first captured one)")(
      "head", po::value(&options.head)->default_value(options.head), "row of the dataset's first dimension")(
      "field", po::value(&options.field)->default_value(options.field),
      "keys, values, queries or speculated_queries")(
      "begin", po::value(&options.begin)->default_value(options.begin), "first row along time")(
      "count", po::value(&options.count)->default_value(options.count),
      "rows to print, at most what there is");
  if (const auto file = parse_file(syntax, args, out)) {
    print_rows(out, trace::Reader(*file), options);
  }
  return 0;
}

}  // namespace

int run_trace_command(Args args, std::FILE* out, bool quiet) {
  constexpr std::array kSubcommands = {
      cli::Subcommand{"info", "geometry, lengths, origin and size of a trace", run_info},
      cli::Subcommand{"validate", "read all of it and say everything that is wrong", run_validate},
      cli::Subcommand{"synth", "write a labelled synthetic trace", run_synth},
      cli::Subcommand{"head", "print the first rows of one head", run_head},
      cli::Subcommand{"stats", "what a policy can hope for, by layer and head", run_trace_stats},
  };
  return cli::run_subcommand({"kvreplay trace", kSubcommands}, args, out, quiet);
}

}  // namespace kvr
