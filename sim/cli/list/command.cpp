#include "sim/cli/list/command.hpp"

#include <fmt/format.h>

#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/cli/list/param_cells.hpp"
#include "sim/cli/list/systems.hpp"
#include "sim/cli/list/validated_phones.hpp"
#include "sim/cli/list/validation.hpp"
#include "sim/cli/options/options.hpp"
#include "sim/cli/table.hpp"
#include "sim/config/text/grammar.hpp"
#include "sim/config/text/suggest.hpp"
#include "sim/interfaces/compute_model.hpp"
#include "sim/interfaces/flash_device.hpp"
#include "sim/results/metrics.hpp"
#include "sim/results/units/units_text.hpp"

namespace kvr {

namespace {

namespace po = boost::program_options;
using cli::Table;

/// In the place of a kind: what is composed of implementations of all kinds.
constexpr std::string_view kSystems = "systems";

template <class Named>
std::vector<std::string_view> names_of(const Named& map) {
  std::vector<std::string_view> names;
  for (const auto& [name, value] : map) {
    names.push_back(name);
  }
  return names;
}

[[noreturn]] void refuse(const std::string& name, std::string_view what,
                         const std::vector<std::string_view>& known) {
  throw InputError(fmt::format("no such {} ({}); {}", what, name, config::suggestion(name, known)));
}

void check_kind(const Catalogue& catalogue, const std::string& kind) {
  if (!catalogue.kinds().contains(kind)) {
    std::vector<std::string_view> known = names_of(catalogue.kinds());
    known.push_back(kSystems);
    refuse(kind, "kind", known);
  }
}

const Implementation& pick(const Catalogue::Kind& kind, const std::string& name, std::string_view what) {
  const auto found = kind.find(name);
  if (found == kind.end()) {
    refuse(name, what, names_of(kind));
  }
  return found->second;
}

Table kinds_table(const Catalogue& catalogue) {
  Table table{{"kind", "what it does", "implementations"}, {}};
  for (const auto& [kind, implementations] : catalogue.kinds()) {
    table.rows.push_back({kind, std::string(config::kind_doc(kind)),
                          fmt::format("{}", fmt::join(names_of(implementations), ", "))});
  }
  return table;
}

Table implementations_table(const Catalogue::Kind& kind) {
  Table table{{"name", "what it does"}, {}};
  for (const auto& [name, implementation] : kind) {
    table.rows.push_back({name, implementation.doc});
  }
  return table;
}

Table params_table(const Implementation& implementation) {
  Table table{{"parameter", "type", "unit", "default", "allowed", "meaning", "source"}, {}};
  for (const ParamSpec& spec : implementation.params) {
    table.rows.push_back({spec.name, cli::type_cell(spec), std::string(spec.info.unit),
                          cli::default_cell(spec), cli::allowed_cell(spec), std::string(spec.info.doc),
                          std::string(spec.info.source)});
  }
  return table;
}

std::string_view dims_text(FigureDims dims) {
  switch (dims) {
    case FigureDims::step:
      return "step";
    case FigureDims::step_layer:
      return "step, layer";
    case FigureDims::step_layer_head:
      return "step, layer, kv_head";
  }
  return "";
}

Table figures_table(const Implementation& implementation) {
  Table table{{"figure in results", "unit", "dimensions", "meaning", "formula"}, {}};
  for (const FigureInfo& figure : implementation.figures) {
    table.rows.push_back({fmt::format("{}.{}", implementation.name, figure.name), figure.unit,
                          std::string(dims_text(figure.dims)), figure.long_name, figure.formula});
  }
  return table;
}

std::string describe(const Implementation& implementation) {
  const std::string source =
      implementation.source.empty() ? "" : fmt::format("source: {}\n", implementation.source);
  const std::string head = fmt::format("{}: {}\n{}", implementation.name, implementation.doc, source);
  const std::string figures = implementation.figures.empty()
                                  ? ""
                                  : fmt::format("\n{}", cli::plain_table(figures_table(implementation)));
  return (implementation.params.empty()
              ? head + "no parameters\n"
              : fmt::format("{}\n{}", head, cli::plain_table(params_table(implementation)))) +
         figures;
}

std::string markdown_of(const Implementation& implementation) {
  const std::string source =
      implementation.source.empty() ? "" : fmt::format(" Source: {}.", implementation.source);
  const std::string head =
      fmt::format("### `{}`\n\n{}{}\n\n", implementation.name, implementation.doc, source);
  const std::string figures =
      implementation.figures.empty() ? "" : cli::markdown_table(figures_table(implementation)) + "\n";
  return (implementation.params.empty()
              ? head + "No parameters.\n\n"
              : fmt::format("{}{}\n", head, cli::markdown_table(params_table(implementation)))) +
         figures;
}

std::string markdown_of(const std::string& kind, const Catalogue::Kind& implementations) {
  std::string text = fmt::format("## {}: {}\n\n", kind, config::kind_doc(kind));
  for (const auto& [name, implementation] : implementations) {
    text += markdown_of(implementation);
  }
  return text;
}

std::string markdown(const Catalogue& catalogue, const std::string& kind, const std::string& name) {
  if (!name.empty()) {
    return markdown_of(pick(catalogue.kind(kind), name, kind));
  }
  if (!kind.empty()) {
    return markdown_of(kind, catalogue.kind(kind));
  }
  std::string text =
      "# What exists\n\nPrinted by `kvreplay list --markdown`; `kvreplay list KIND NAME` shows one.\n\n";
  text += cli::markdown_table(kinds_table(catalogue)) + "\n";
  for (const auto& [each, implementations] : catalogue.kinds()) {
    text += markdown_of(each, implementations);
  }
  return text;
}

std::string plain(const Catalogue& catalogue, const std::string& kind, const std::string& name) {
  if (!name.empty()) {
    return describe(pick(catalogue.kind(kind), name, kind));
  }
  return kind.empty() ? fmt::format("{}\nsystems composed of them: kvreplay list {} [NAME]\n",
                                    cli::plain_table(kinds_table(catalogue)), kSystems)
                      : cli::plain_table(implementations_table(catalogue.kind(kind)));
}

std::string validated(const std::string& kind, const std::string& name) {
  if (kind == FlashDevice::kKind) {
    return name.empty() ? cli::validation_markdown() : cli::validation_comment(name);
  }
  if (kind == ComputeModel::kKind && name.empty()) {
    return cli::validated_phones_markdown();
  }
  throw InputError(fmt::format(
      "--validated: is of devices and phones ({}); allowed: kvreplay list device [NAME] --validated, "
      "kvreplay list phone --validated",
      kind.empty() ? "no kind" : kind + (name.empty() ? "" : " " + name)));
}

cli::Syntax syntax() {
  cli::Syntax syntax("kvreplay list", "[KIND [NAME] | systems [NAME]] [options]",
                     {{"kind", ""}, {"name", ""}});
  syntax.options.add_options()("markdown", "tables in Markdown, parameters included")(
      "metrics", "what results hold, by formula, in Markdown")(
      "validated",
      "with KIND device or phone: errors of the shipped configurations against what was measured; with the "
      "NAME of a device, as the comment of its file");
  return syntax;
}

std::string text(const po::variables_map& given) {
  if (given.count("metrics") > 0) {
    return metrics_markdown() + units_markdown();
  }
  const std::string kind = cli::text_of(given, "kind");
  const std::string name = cli::text_of(given, "name");
  if (given.count("validated") > 0) {
    return validated(kind, name);
  }
  const bool in_markdown = given.count("markdown") > 0;
  if (kind == kSystems) {
    return in_markdown ? cli::systems_markdown(name) : cli::systems_text(name);
  }
  const Catalogue& catalogue = Catalogue::instance();
  if (!kind.empty()) {
    check_kind(catalogue, kind);
  }
  return in_markdown ? markdown(catalogue, kind, name) : plain(catalogue, kind, name);
}

}  // namespace

int run_list_command(std::span<const std::string> args, std::FILE* out) {
  if (const auto given = cli::parse(syntax(), args, out)) {
    fmt::print(out, "{}", text(*given));
  }
  return 0;
}

}  // namespace kvr
