#include "sim/config/resolve.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "sim/base/error.hpp"
#include "sim/base/param_text.hpp"
#include "sim/config/given_here.hpp"
#include "sim/config/layers.hpp"
#include "sim/config/points/axis_values.hpp"
#include "sim/config/points/compose.hpp"
#include "sim/config/resolved.hpp"
#include "sim/config/tiers.hpp"

namespace kvr {

namespace config {

namespace {

const Resolved& child(const Resolved& node, std::string_view part) {
  if (node.kind == NodeKind::list) {
    return node.children.at(static_cast<std::size_t>(std::stoul(std::string(part))));
  }
  const auto found = std::ranges::find(node.children, part, &Resolved::key);
  KVR_CHECK(found != node.children.end(), "'{}' is not in the grammar", part);
  return *found;
}

template <class T>
T get(const Resolved& root, std::string_view path) {
  return std::get<T>(root.at(path).value);
}

std::string text(const Resolved& root, std::string_view path) {
  return get<std::string>(root, path);
}

std::int64_t integer(const Resolved& root, std::string_view path) {
  return get<std::int64_t>(root, path);
}

ComponentChoice component(const Resolved& root, std::string_view path) {
  return component_of(root.at(path));
}

/// The place of `text` among the choices of its own key, which are in the order of the enumeration.
template <class Enum>
Enum choice(const Resolved& root, std::string_view path) {
  const Resolved& node = root.at(path);
  const auto choices = choices_of(node.spec.info);
  const auto found = std::ranges::find(choices, std::get<std::string>(node.value));
  KVR_CHECK(found != choices.end(), "'{}' is no choice", std::get<std::string>(node.value));
  return static_cast<Enum>(found - choices.begin());
}

PinnedEntries pinned(const Resolved& root, const std::string& which) {
  return {integer(root, "pins." + which), get<double>(root, "pins." + which + "_share")};
}

LayerSet numbers(const Resolved& root, std::string_view path) {
  const std::optional<LayerSet> set = parse_layers(text(root, path));
  KVR_CHECK(set.has_value(), "'{}' was checked and is no list of numbers", text(root, path));
  return *set;
}

StageConfig stage(const Resolved& root) {
  const auto when = words_of(text(root, "when"));
  return {.name = text(root, "name"),
          .take = text(root, "take"),
          .recheck = get<double>(root, "recheck"),
          .at_prompt_end = std::ranges::find(when, "prefill_end") != when.end(),
          .at_layer_end = std::ranges::find(when, "layer_end") != when.end(),
          .at_step = std::ranges::find(when, "step") != when.end(),
          .every = integer(root, "every"),
          .overflow = {integer(root, "overflow.entries"), text(root, "overflow.tier"),
                       integer(root, "overflow.bytes")},
          .effect = choice<Effect>(root, "effect"),
          .tier = text(root, "tier"),
          .layers = numbers(root, "layers"),
          .units = choice<StageUnits>(root, "units"),
          .queries = choice<Queries>(root, "queries"),
          .lead_layers = integer(root, "lead.layers"),
          .lead_steps = integer(root, "lead.steps"),
          .fold = choice<Fold>(root, "fold"),
          .norm = choice<Norm>(root, "norm"),
          .last_unit = choice<LastUnit>(root, "last_unit"),
          .scorer = component(root, "scorer"),
          .budget = component(root, "budget"),
          .estimate = component(root, "estimate"),
          .scope = choice<Scope>(root, "scope"),
          .across_batch = text(root, "across") == "batch",
          .sinks = pinned(root, "sinks"),
          .recent = pinned(root, "recent"),
          .counts_pending = text(root, "pins.pending") == "counted"};
}

CodecConfig codec(const Resolved& root) {
  if (root.children.size() == 1) {
    return {.joint = component(root, "joint")};
  }
  return {.keys = component(root, "k"), .values = component(root, "v")};
}

VirtualMemory virtual_memory(const Resolved& root) {
  const Resolved& tiers = root.at("tiers");
  if (!ends_in_flash(tiers)) {
    return {};
  }
  const bool swaps = text(root, "cache.holds") == "layer";
  const CacheSwap swap = text(root, "cache.swap") == "area" ? CacheSwap::area : CacheSwap::in_place;
  return {text(root, "representatives") == tier_names(tiers).back(), swaps ? swap : CacheSwap::none};
}

SystemAbout about(const Resolved& root) {
  return {.source = text(root, "source"),
          .year = integer(root, "year"),
          .faithful = text(root, "faithful"),
          .chosen = text(root, "chosen"),
          .left_out = text(root, "left_out"),
          .held_to = text(root, "held_to")};
}

SystemConfig system(const Resolved& root) {
  SystemConfig config{.name = text(root, "name"),
                      .about = about(root.at("about")),
                      .heads_together = text(root, "heads") == "together",
                      .slot_positions = text(root, "positions") == "slot",
                      .clustering = component(root, "clustering"),
                      .stages = {},
                      .codec = codec(root.at("codec")),
                      .on_flash = ends_in_flash(root.at("tiers")),
                      .tiers = memory_below_first(root.at("tiers")),
                      .tier_names = tier_names(root.at("tiers")),
                      .first_bandwidth_bytes_per_s = first_bandwidth(root.at("tiers")),
                      .layout = component(root, "layout"),
                      .replacement = component(root, "replacement"),
                      .schedule = component(root, "schedule"),
                      .dram_bytes = integer(root, "dram"),
                      .cache_capacity_bytes = integer(root, "cache.capacity"),
                      .cache_scope = text(root, "cache.scope"),
                      .virtual_memory = virtual_memory(root)};
  std::ranges::transform(root.at("stages").children, std::back_inserter(config.stages), stage);
  return config;
}

/// As `workload.sequences` says; where it says nothing, the one that `trace` and `run` do.
std::vector<SequenceConfig> sequences(const Resolved& root) {
  const SequenceConfig plain{text(root, "trace.path"), integer(root, "run.first_step"), "trace.path",
                             "run.first_step"};
  std::vector<SequenceConfig> sequences;
  for (const Resolved& given : root.at("workload.sequences").children) {
    const std::string key = fmt::format("workload.sequences.{}.", sequences.size());
    SequenceConfig& one = sequences.emplace_back(plain);
    const std::int64_t offset = integer(given, "offset");
    constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
    one.first_step = offset > kMost - one.first_step ? kMost : one.first_step + offset;  // past every end
    one.first_step_key = key + "offset";
    if (!text(given, "trace").empty()) {
      one.trace_path = text(given, "trace");
      one.trace_key = key + "trace";
    }
  }
  return sequences.empty() ? std::vector{plain} : sequences;
}

std::vector<TurnConfig> turns(const Resolved& root) {
  std::vector<TurnConfig> turns;
  for (const Resolved& given : root.at("workload.turns").children) {
    const bool drops = get<bool>(given, "drop");
    const std::int64_t prefill = integer(given, "prefill");
    const std::int64_t from = integer(given, "fork");
    turns.push_back({.act = drops         ? TurnAct::drop
                            : from >= 0   ? TurnAct::fork
                            : prefill > 0 ? TurnAct::prefill
                                          : TurnAct::decode,
                     .tokens = prefill + integer(given, "decode"),
                     .from = from,
                     .sequences = numbers(given, "sequences"),
                     .key = fmt::format("workload.turns.{}", turns.size())});
  }
  return turns;
}

/// Files that parameters of components name.
void collect_data(const Resolved& node, std::vector<std::filesystem::path>& data) {
  if (node.spec.info.is_path) {
    const std::filesystem::path path = std::get<std::string>(node.value);
    if (!path.empty() && std::ranges::find(data, path) == data.end()) {
      data.push_back(path);
    }
  }
  for (const Resolved& child : node.children) {
    collect_data(child, data);
  }
}

/// Nothing where no units are recorded.
std::optional<UnitWindow> unit_window(const Resolved& record) {
  const auto units = std::ranges::find(record.children, "units", &Resolved::key);
  if (units == record.children.end()) {
    return std::nullopt;
  }
  return UnitWindow{numbers(*units, "steps"), numbers(*units, "layers"), numbers(*units, "heads"),
                    numbers(*units, "sequences")};
}

RunConfig run_config(const ResolvedPoint& point, const GivenHere& given_here) {
  const Resolved& root = point.root;
  RunConfig config{.point = point.name,
                   .variant = point.variant,
                   .axes = axis_values(point.root, point.coordinates),
                   .name = text(root, "name"),
                   .description = text(root, "description"),
                   .sequences = sequences(root),
                   .copies = integer(root, "trace.sequences"),
                   .turns = turns(root),
                   .charges_prefill = text(root, "workload.prefill") == "charged",
                   .model = component(root, "model"),
                   .phone = component(root, "phone"),
                   .device = component(root, "device"),
                   .system = system(root.at("system")),
                   .seed = integer(root, "run.seed"),
                   .threads = integer(root, "run.threads"),
                   .steps = integer(root, "run.steps"),
                   .working_set_bytes = get<double>(root, "run.working_set"),
                   .check_every_step = text(root, "run.check") == "every_step",
                   .record_per_step = get<bool>(root, "record.per_step"),
                   .host_timing = get<bool>(root, "record.host_timing"),
                   .recorded_span = {integer(root, "record.span.first"), integer(root, "record.span.tokens")},
                   .recorded_units = unit_window(root.at("record")),
                   .said_at = places_of(root),
                   .files = point.files,
                   .data = {},
                   .given_here = {},
                   .notes = {},
                   .resolved_yaml = dump_yaml(root)};
  collect_data(root, config.data);
  given_here.look_at(root_grammar(), root, "", config);
  return config;
}

/// The next of all points, checked against the catalogue; nothing is missed where a file cannot be read.
ResolvedPoint resolve_point(const Points& points, std::size_t index, const Catalogue& catalogue,
                            Problems& problems) {
  PointTree tree = points.make(index, problems);
  Problems found;
  Resolved root = check(tree.root, catalogue, found);
  problems.add_beside(found, tree.unread);
  return {.name = std::move(tree.name),
          .variant = std::move(tree.variant),
          .root = std::move(root),
          .files = points.files(),
          .coordinates = std::move(tree.coordinates),
          .is_whole = tree.unread.empty()};
}

/// Adds the trace of a point in which something is wrong, unless that is among it.
void note_trace(const Resolved& root, std::map<std::string, std::filesystem::path>& traces) {
  const auto trace = std::ranges::find(root.children, "trace", &Resolved::key);
  if (trace == root.children.end()) {
    return;
  }
  const auto path = std::ranges::find(trace->children, "path", &Resolved::key);
  const auto* text = path == trace->children.end() ? nullptr : std::get_if<std::string>(&path->value);
  if (text != nullptr && !text->empty()) {
    traces.emplace(fmt::format("{}: trace.path", to_string(path->mark)), *text);
  }
}

/// What may stand in a file that describes `part` alone.
Field part_grammar(std::string_view part) {
  Field grammar{.name = "", .shape = Shape::table, .doc = ""};
  for (const std::string_view key : {std::string_view("name"), std::string_view("description"), part}) {
    const Field* field = root_grammar().find(key);
    KVR_CHECK(field != nullptr, "'{}' is not in the grammar", key);
    grammar.fields.push_back(*field);
  }
  return grammar;
}

}  // namespace

ComponentChoice component_of(const Resolved& node) {
  ComponentChoice choice;
  for (const Resolved& param : node.children) {
    if (param.key == "type") {
      choice.type = std::get<std::string>(param.value);
    } else {
      choice.values.emplace(param.key, param.value);
    }
  }
  return choice;
}

const Resolved& Resolved::at(std::string_view path) const {
  const Resolved* node = this;
  for (const std::string& part : split_path(path)) {
    node = &child(*node, part);
  }
  return *node;
}

std::vector<ResolvedPoint> resolve_points(const std::filesystem::path& file,
                                          std::span<const std::string> sets, const Catalogue& catalogue) {
  Problems problems;
  std::vector<ResolvedPoint> resolved;
  const Points points = compose(file, sets, catalogue, problems);
  for (std::size_t i = 0; i < points.size(); ++i) {
    resolved.push_back(resolve_point(points, i, catalogue, problems));
  }
  problems.throw_if_any();
  return resolved;
}

}  // namespace config

std::string RunConfig::place(std::string_view key) const {
  for (std::string_view holder = key; !holder.empty();) {
    if (const auto found = said_at.find(holder); found != said_at.end()) {
      return fmt::format("{}: {}", found->second, key);
    }
    const std::size_t dot = holder.rfind('.');
    holder = dot == std::string_view::npos ? "" : holder.substr(0, dot);
  }
  return std::string(key);
}

InputError RunConfig::placed(std::string_view component, const InputError& error) const {
  std::vector<std::string> problems;
  for (const std::string_view problem : error.problems()) {
    const std::size_t colon = std::min(problem.find(": "), problem.size());
    const std::string key = fmt::format("{}.{}", component, problem.substr(0, colon));
    problems.push_back(fmt::format("{}{}", place(key), problem.substr(colon)));
  }
  return InputError(std::move(problems));
}

PartlyReadConfig read_config(const std::filesystem::path& file, std::span<const std::string> sets,
                             const Catalogue& catalogue) {
  const config::GivenHere given_here(file, catalogue);
  PartlyReadConfig read;
  config::Problems problems;
  const config::Points points = config::compose(file, sets, catalogue, problems);
  for (std::size_t i = 0; i < points.size(); ++i) {
    config::Problems own;
    const config::ResolvedPoint point = config::resolve_point(points, i, catalogue, own);
    if (own.none() && point.is_whole) {
      read.points.push_back(config::run_config(point, given_here));
    } else {
      config::note_trace(point.root, read.other_traces);
    }
    problems.add(own);
  }
  read.problems = problems.messages();
  read.files = points.files();
  return read;
}

std::vector<RunConfig> load_config(const std::filesystem::path& file, std::span<const std::string> sets,
                                   const Catalogue& catalogue) {
  PartlyReadConfig read = read_config(file, sets, catalogue);
  if (!read.problems.empty()) {
    throw InputError(std::move(read.problems));
  }
  return std::move(read.points);
}

RunConfig load_part(const std::filesystem::path& file, std::string_view part,
                    std::span<const std::string> sets, const Catalogue& catalogue) {
  config::Problems problems;
  const config::Points points = config::compose(file, sets, catalogue, problems);
  if (points.size() == 0) {
    problems.throw_if_any();
  }
  if (points.size() != 1) {
    throw InputError(fmt::format("{}: makes {} points; allowed: one, without points, sweep and zip",
                                 file.string(), points.size()));
  }
  const config::PointTree tree = points.make(0, problems);
  const config::Resolved root = config::check(tree.root, config::part_grammar(part), catalogue, problems);
  problems.throw_if_any();
  RunConfig config;
  config.point = tree.name;
  config.name = config::text(root, "name");
  config.description = config::text(root, "description");
  if (part == "system") {
    config.system = config::system(root.at(part));
  } else {
    (part == "device"  ? config.device
     : part == "phone" ? config.phone
                       : config.model) = config::component(root, part);
  }
  config.said_at = config::places_of(root);
  config.files = points.files();
  config.resolved_yaml = config::dump_yaml(root);
  return config;
}

}  // namespace kvr
