#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/params.hpp"
#include "sim/base/registry.hpp"
#include "sim/config/stage_config.hpp"
#include "sim/config/tier_config.hpp"
#include "sim/config/workload.hpp"
#include "sim/interfaces/axis_value.hpp"

namespace kvr {

/// Keys and values apart, or both together.
struct CodecConfig {
  ComponentChoice keys = {};
  ComponentChoice values = {};
  std::optional<ComponentChoice> joint = {};
};

/// What a system says of itself: texts are empty, and the year is 0, where it does not.
struct SystemAbout {
  std::string source = {};
  std::int64_t year = 0;
  std::string faithful = {};
  std::string chosen = {};
  std::string left_out = {};
  std::string held_to = {};
};

struct SystemConfig {
  std::string name;
  SystemAbout about = {};
  bool heads_together = false;  ///< all KV heads of a layer decide as one
  bool slot_positions = false;  ///< keys are rotated by their place among those not removed
  ComponentChoice clustering;
  std::vector<StageConfig> stages;

  /// Of a layer's KV heads, how many decide together.
  std::int64_t set_size(std::int64_t kv_heads) const { return heads_together ? kv_heads : 1; }
  CodecConfig codec;
  bool on_flash = true;  ///< the last tier is the flash device; without it no layout has anything to do
  std::vector<TierConfig> tiers;             ///< memory below the first tier, fastest first
  std::vector<std::string> tier_names;       ///< of all, the first and the flash included
  double first_bandwidth_bytes_per_s = 0.0;  ///< by which attention reads the first tier; 0: the phone's
  ComponentChoice layout;
  ComponentChoice replacement;
  ComponentChoice schedule;
  std::int64_t dram_bytes = 0;            ///< that everything together may take; 0: not limited
  std::int64_t cache_capacity_bytes = 0;  ///< 0: all that `dram_bytes` leaves
  std::string cache_scope;                ///< what shares one capacity: model, layer, head
  VirtualMemory virtual_memory;           ///< none without flash

  /// Without it no cache has anything to do.
  bool has_lower_tier() const { return on_flash || !tiers.empty(); }
};

/// Neighbouring entries of every sequence whose attention is recorded apart; of no tokens: none.
struct RecordedSpan {
  std::int64_t first = 0;  ///< position
  std::int64_t tokens = 0;

  std::int64_t end() const { return first + tokens; }
};

/// Of which steps, layers and KV heads the units are recorded: steps from the first one replayed on, layers
/// and heads as numbered in the model, sequences in the order of workload.sequences.
struct UnitWindow {
  LayerSet steps = {};
  LayerSet layers = {};
  LayerSet heads = {};
  LayerSet sequences = {};
};

/// One point: everything a run needs, nothing left to default.
struct RunConfig {
  std::string point;
  std::string variant;          ///< the point's name without its seed
  std::vector<AxisValue> axes;  ///< those that vary for it, in order, seeds apart
  std::string name;
  std::string description;
  std::vector<SequenceConfig> sequences;  ///< that decode together, at least one
  std::int64_t copies = 1;                ///< of each of them
  std::vector<TurnConfig> turns;          ///< none: they decode `steps`
  bool charges_prefill = false;           ///< what is read in takes time and moves bytes
  ComponentChoice model;
  ComponentChoice phone;
  ComponentChoice device;
  SystemConfig system;
  std::int64_t seed = 0;
  std::int64_t threads = 0;
  std::int64_t steps = 0;          ///< 0: all
  double working_set_bytes = 0.0;  ///< 0: the space that the layouts occupy
  bool check_every_step = false;   ///< or at the end alone
  bool record_per_step = false;
  bool host_timing = false;
  RecordedSpan recorded_span;
  std::optional<UnitWindow> recorded_units = {};
  /// "file:line:column" of every value that somebody gave, by its dotted key.
  std::map<std::string, std::string, std::less<>> said_at;
  std::vector<std::filesystem::path> files;  ///< that were read to make it
  std::vector<std::filesystem::path> data;   ///< that its components will read, each once
  /// Keys given in the configuration itself or by --set, not by what it includes, which serves others too.
  std::set<std::string, std::less<>> given_here;
  std::vector<std::string> notes;  ///< which of those have no effect, a sentence each
  std::string resolved_yaml;  ///< canonical: every key in fixed order, with units; itself a configuration

  /// How an error about `key` begins: where it was given, or else the nearest that holds it, and its name.
  std::string place(std::string_view key) const;
  /// What an implementation found wrong with its own parameters ("key: what is wrong" each), with places;
  /// `component` is the dotted key of its choice.
  InputError placed(std::string_view component, const InputError& error) const;
};

/// Reads a configuration with its includes, lays `sets` (KEY=VALUE) on it and returns its points in order:
/// `points:` as written, and for each the product of `sweep:`, the last axis fastest. Throws InputError with
/// every problem found, SystemError when a file cannot be read for other reasons than its absence.
std::vector<RunConfig> load_config(const std::filesystem::path& file, std::span<const std::string> sets,
                                   const Catalogue& catalogue = Catalogue::instance());

/// A configuration as far as it can be read.
struct PartlyReadConfig {
  std::vector<RunConfig> points = {};      ///< those in which nothing is wrong, in order
  std::vector<std::string> problems = {};  ///< all others' and of the whole
  /// The traces of points in which something else is wrong, by where they are named.
  std::map<std::string, std::filesystem::path> other_traces = {};
  std::vector<std::filesystem::path> files = {};  ///< that were read
};

/// Like `load_config`, for who has more to check than the configuration: does not throw InputError.
PartlyReadConfig read_config(const std::filesystem::path& file, std::span<const std::string> sets,
                             const Catalogue& catalogue = Catalogue::instance());

/// Reads a file that describes one part alone, as those under configs/devices, configs/phones and
/// configs/systems: `part` is `device`, `phone`, `model` or `system`. Errors and `sets` are as for
/// `load_config`; of what comes back only that part, the names, the places and the text are set.
RunConfig load_part(const std::filesystem::path& file, std::string_view part,
                    std::span<const std::string> sets, const Catalogue& catalogue = Catalogue::instance());

}  // namespace kvr
