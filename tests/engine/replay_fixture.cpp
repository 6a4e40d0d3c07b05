#include "tests/engine/replay_fixture.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "sim/base/error.hpp"

namespace kvr::test {

Setup Setup::with_budget(std::int64_t entries) const {
  Setup setup = *this;
  setup.budget = fmt::format("{{type: fixed, entries: {}}}", entries);
  return setup;
}

Setup Setup::layer_by_layer() const {
  Setup setup = *this;
  setup.schedule = "dynakv";
  setup.cache_holds = "layer";
  setup.representatives = "flash";
  return setup;
}

std::string Setup::describe() const {
  return fmt::format("{} | {} | {} | {} | fold {} | {}", clustering, scorer, layout, replacement, fold,
                     budget);
}

trace::SynthOptions small_trace() {
  trace::SynthOptions options;
  options.layers = 2;
  options.kv_heads = 2;
  options.group = 2;
  options.head_dim = 16;
  options.prompt = 65;
  options.steps = 40;
  options.prompt_window = 3;
  options.clusters = 7;
  options.recent_tokens = 32;
  options.seed = 11;
  return options;
}

ReplayFixture::ReplayFixture(const trace::SynthOptions& options) : trace_path_(folder_ / "trace.h5") {
  trace::synthesise(options, trace_path_);
  reader_.emplace(trace_path_);
}

namespace {

std::string stages_of(const Setup& setup) {
  const std::string select = fmt::format(
      "{{scorer: {}, budget: {}, fold: {}, norm: {}, last_unit: {}, pins: {{sinks: {}, recent: {}}}}}",
      setup.scorer, setup.budget, setup.fold, setup.norm, setup.last_unit, setup.sinks, setup.recent);
  const bool both = setup.selects && !setup.stages_before.empty();
  return setup.stages_before + (both ? ", " : "") + (setup.selects ? select : "");
}

std::string codecs_of(const Setup& setup) {
  return setup.joint_codec ? fmt::format("joint: {}", setup.codec)
                           : fmt::format("k: {}, v: {}", setup.codec, setup.codec);
}

}  // namespace

RunConfig ReplayFixture::config(const Setup& setup) const {
  const std::filesystem::path file = folder_ / "config.yaml";
  write_text(
      file,
      fmt::format(
          R"(name: test
trace: {{path: {}, sequences: {}}}
model: {}
phone: {}
device: {}
system:
  name: system under test
  clustering: {}
  stages: [{}]
  tiers: {}
  codec: {{{}}}
  layout: {}
  replacement: {}
  cache: {{capacity: {}B, scope: {}, holds: {}{}}}
  schedule: {}
{}{}{}run: {{threads: {}, first_step: {}, steps: {}, check: {}}}
workload: {}
record: {}
)",
          trace_path_.string(), setup.sequences, setup.model, setup.phone, setup.device, setup.clustering,
          stages_of(setup), setup.tiers, codecs_of(setup), setup.layout, setup.replacement, setup.cache_bytes,
          setup.cache_scope, setup.cache_holds, setup.cache_holds == "all" ? "" : ", swap: " + setup.swap,
          setup.schedule, setup.dram_bytes > 0 ? fmt::format("  dram: {}B\n", setup.dram_bytes) : "",
          setup.heads_together ? "  heads: together\n" : "",
          setup.representatives.empty() ? "" : fmt::format("  representatives: {}\n", setup.representatives),
          setup.threads, setup.first_step, setup.steps, setup.check, setup.workload, setup.record));
  return load_config(file, {}).front();
}

PointResult ReplayFixture::run(const Setup& setup, const Progress& progress, Timeline* timeline) const {
  return replay(config(setup), *reader_, progress, timeline);
}

std::vector<PointResult> ReplayFixture::run_together(std::span<const Setup> setups, const Progress& progress,
                                                     Timeline* timeline) const {
  std::vector<RunConfig> points;
  for (const Setup& setup : setups) {
    points.push_back(config(setup));
  }
  const std::vector<const trace::Reader*> traces(points.front().sequences.size(), &*reader_);
  return replay_together(points, traces, progress, timeline);
}

std::string ReplayFixture::error_of(const Setup& setup) const {
  try {
    run(setup);
  } catch (const InputError& error) {
    const std::string folder = (trace_path_.parent_path() / "config.yaml").string();
    std::string text = error.what();
    for (std::size_t at = text.find(folder); at != std::string::npos; at = text.find(folder)) {
      text.replace(at, folder.size(), "config.yaml");
    }
    return text;
  }
  FAIL("no error from " << setup.describe());
  return "";
}

std::vector<Setup> all_setups() {
  std::vector<Setup> setups;
  for (const char* clustering :
       {"token", "{type: page, page_tokens: 8}", "{type: page, page_tokens: 8, buffered: true}",
        "{type: kmeans, entries_per_cluster: 7}"}) {
    for (const char* scorer : {"exact", "centroid", "{type: low_rank, rank: 2}"}) {
      for (const char* layout : {"token_order", "cluster_contiguous", "cluster_by_cluster", "dual_head"}) {
        for (const char* replacement : {"none", "lru"}) {
          for (const char* fold : {"none", "mean"}) {
            Setup setup;
            setup.clustering = clustering;
            setup.scorer = scorer;
            setup.layout = layout;
            setup.replacement = replacement;
            setup.fold = fold;
            setup.cache_bytes = 60 * kEntryBytes;
            setups.push_back(setup);
          }
        }
      }
    }
  }
  return setups;
}

std::span<const double> values(const PointResult& result, Metric metric) {
  return result.data.values(metric);
}

double total(const PointResult& result, Metric metric) {
  const auto all = values(result, metric);
  return std::accumulate(all.begin(), all.end(), 0.0);
}

double smallest(const PointResult& result, Metric metric) {
  return *std::ranges::min_element(values(result, metric));
}

double largest(const PointResult& result, Metric metric) {
  return *std::ranges::max_element(values(result, metric));
}

namespace {

bool same_bytes(std::span<const double> x, std::span<const double> y) {
  return x.size() == y.size() && (x.empty() || std::memcmp(x.data(), y.data(), x.size_bytes()) == 0);
}

bool same_figures(const PointResult& a, const PointResult& b) {
  return std::ranges::equal(a.data.figures(), b.data.figures(), [](const OwnFigure& x, const OwnFigure& y) {
    return x.name == y.name && same_bytes(x.values, y.values);
  });
}

}  // namespace

bool same_bits(const PointResult& a, const PointResult& b, Metric metric) {
  return same_bytes(values(a, metric), values(b, metric));
}

bool same_bits(const PointResult& a, const PointResult& b) {
  const bool metrics = std::ranges::all_of(metric_table(), [&](const MetricInfo& metric) {
    return metric.origin == Origin::host || same_bits(a, b, metric.id);
  });
  return metrics && same_figures(a, b);
}

}  // namespace kvr::test
