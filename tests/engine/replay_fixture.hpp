#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/config/resolve.hpp"
#include "sim/engine/replay.hpp"
#include "tests/engine/support.hpp"
#include "traces/reader.hpp"
#include "traces/synth/synth.hpp"

namespace kvr::test {

/// What a configuration says where tests differ; YAML where a field is a text.
struct Setup {
  std::string clustering = "token";
  std::string scorer = "exact";
  std::string layout = "token_order";
  std::string replacement = "none";
  std::string fold = "mean";
  std::string norm = "none";
  std::string last_unit = "cut";
  std::string budget = "{type: fixed, entries: 10}";
  std::string codec = "fp16";
  bool joint_codec = false;  ///< one for keys and values together
  std::string model = "{type: decoder}";
  std::string phone = "roofline";
  std::string device = "analytic";
  std::string check = "end";
  std::string cache_scope = "model";
  std::string cache_holds = "all";
  std::string swap = "area";
  std::string representatives = "";
  std::string schedule = "serial";
  std::string stages_before = "";  ///< elements of the list, flow maps
  bool heads_together = false;
  bool selects = true;  ///< false: `stages_before` are all there are
  std::string tiers = "[]";
  std::string workload = "{}";
  std::string record = "{}";
  std::int64_t cache_bytes = 0;
  std::int64_t dram_bytes = 0;
  std::int64_t sinks = 2;
  std::int64_t recent = 5;
  std::int64_t threads = 1;
  std::int64_t sequences = 1;
  std::int64_t first_step = 0;
  std::int64_t steps = 0;

  /// With the cached entries and the representatives of one layer at a time in DRAM, under DynaKV's schedule.
  Setup layer_by_layer() const;
  Setup with_budget(std::int64_t entries) const;
  /// One line, for messages.
  std::string describe() const;
};

/// 2 layers, 2 KV heads, 2 query heads each, 16 channels, 65 prompt tokens, 40 steps: odd on purpose.
trace::SynthOptions small_trace();
constexpr std::int64_t kHeads = 4;        ///< layers times KV heads of small_trace
constexpr std::int64_t kEntryBytes = 64;  ///< K and V of 16 channels in fp16

/// A synthetic trace on disk and what replays make of it.
class ReplayFixture {
 public:
  explicit ReplayFixture(const trace::SynthOptions& options = small_trace());

  /// The configuration as the command line would load it.
  RunConfig config(const Setup& setup) const;
  PointResult run(const Setup& setup, const Progress& progress = {}, Timeline* timeline = nullptr) const;
  /// All of them side by side.
  std::vector<PointResult> run_together(std::span<const Setup> setups, const Progress& progress = {},
                                        Timeline* timeline = nullptr) const;
  /// What `run` reports as wrong with the input; fails the test where it reports nothing.
  /// The configuration is called config.yaml in it, without its folder.
  std::string error_of(const Setup& setup) const;
  const std::filesystem::path& trace_path() const { return trace_path_; }

 private:
  TemporaryFolder folder_;
  std::filesystem::path trace_path_;
  std::optional<trace::Reader> reader_;
};

/// Every combination of clustering, scorer, layout, replacement and fold that the shipped policies offer;
/// caches hold a part of the entries.
std::vector<Setup> all_setups();

std::span<const double> values(const PointResult& result, Metric metric);
double total(const PointResult& result, Metric metric);
double smallest(const PointResult& result, Metric metric);
double largest(const PointResult& result, Metric metric);
/// Whether every simulated metric and every figure of policies' own of both has the same bits.
bool same_bits(const PointResult& a, const PointResult& b);
bool same_bits(const PointResult& a, const PointResult& b, Metric metric);

}  // namespace kvr::test
