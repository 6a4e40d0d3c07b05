#include "tests/extremes/small_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>

#include "sim/base/convert.hpp"
#include "sim/base/half.hpp"
#include "sim/base/rng.hpp"
#include "sim/engine/replay.hpp"
#include "sim/results/metrics.hpp"
#include "traces/reader.hpp"
#include "traces/writer.hpp"

namespace kvr::test {

namespace {

trace::Header header(std::int64_t steps) {
  trace::Header header;
  header.geometry = {.layers = 1,
                     .query_heads = 2 * kHeads,
                     .kv_heads = kHeads,
                     .head_dim = kChannels,
                     .hidden_size = 32,
                     .ffn_size = 64,
                     .vocab_size = 100,
                     .rope_theta = 10000.0,
                     .attention_scale = 0.35,
                     .rope_scaling = "none",
                     .rope_layout = "half"};
  header.model_name = "none";
  header.prefill_len = kPrompt;
  header.seq_len = kPrompt + steps;
  header.captured_layers = {0};
  header.captured_kv_heads = {0, 1};
  header.capture_tool = "test";
  header.capture_version = "1";
  header.capture_mode = "synthetic";
  header.weights_sha256 = "none";
  header.text_source = "none";
  header.licence = "none";
  return header;
}

void write_trace(const std::filesystem::path& path, const Row& row, std::int64_t steps) {
  std::vector<std::int64_t> positions;
  for (std::int64_t position = kPrompt - kWindow; position < kPrompt + steps; ++position) {
    positions.push_back(position);
  }
  trace::Writer writer(path, header(steps), positions);
  writer.append_tokens(std::vector<std::int32_t>(static_cast<std::size_t>(kPrompt + steps), 1));
  writer.append_token_classes(std::vector<std::uint8_t>(static_cast<std::size_t>(kPrompt + steps), 0));
  for (const trace::Field field : {trace::Field::keys, trace::Field::values, trace::Field::queries}) {
    const std::int64_t heads = trace::is_query(field) ? 2 * kHeads : kHeads;
    for (std::int64_t at = trace::is_query(field) ? positions.front() : 0; at < kPrompt + steps; ++at) {
      std::vector<float> rows(static_cast<std::size_t>(heads * kChannels));
      for (std::int64_t head = 0; head < heads; ++head) {
        row(field, at, head,
            std::span(rows).subspan(static_cast<std::size_t>(head * kChannels),
                                    static_cast<std::size_t>(kChannels)));
      }
      std::vector<Half> halves(rows.size());
      to_half(rows, halves);
      writer.append(field, 0, halves);
    }
  }
  // As if every entry had got as much attention as it gave.
  writer.append_prompt_attention_sums(
      0, std::vector<float>(static_cast<std::size_t>(2 * kHeads * kPrompt), 1.0F));
  writer.finish();
}

constexpr std::string_view kConfig =
    "name: small\n"
    "trace: {path: trace.h5}\n"
    "phone: roofline\n"
    "device: queueing\n"
    "system:\n"
    "  clustering: {type: adaptive, entries_per_cluster: 4, threshold: quantile, multiple: 0.5, "
    "buffer_entries: 2}\n"
    "  stages:\n"
    "    - {scorer: centroid, budget: {type: fixed, entries: 6}, norm: softmax, pins: {sinks: 1, recent: "
    "2}}\n"
    "  codec: {k: int8, v: int4}\n"
    "  layout: dual_head\n"
    "  replacement: lru\n"
    "  cache: {capacity: 400B, holds: layer}\n"
    "  representatives: flash\n"
    "  schedule: dynakv\n"
    "run: {check: every_step}\n";

}  // namespace

void ordinary_row(trace::Field field, std::int64_t position, std::int64_t head, std::span<float> row) {
  Rng rng = Rng::stream(7, trace::name_of(field), static_cast<std::uint64_t>(position * 16 + head));
  const float side = position % 3 == 0 ? 2.0F : -2.0F;
  for (float& x : row) {
    x = side + static_cast<float>(rng.normal());
  }
}

SmallRun::SmallRun(const Row& row, std::int64_t steps) {
  write_trace(folder_ / "trace.h5", row, steps);
  std::ofstream(folder_ / "c.yaml") << kConfig;
}

RunConfig SmallRun::config(const std::vector<std::string>& sets) const {
  return load_config(folder_ / "c.yaml", sets).front();
}

PointResult SmallRun::run(const std::vector<std::string>& sets) const {
  const RunConfig chosen = config(sets);
  const trace::Reader trace(chosen.sequences.front().trace_path);
  const trace::Reader* const traces[] = {&trace};
  check_point(chosen, traces);
  return replay(chosen, trace, {}, nullptr);
}

bool same_bits(const PointResult& a, const PointResult& b) {
  return std::ranges::all_of(metric_table(), [&](const MetricInfo& metric) {
    const auto x = a.data.values(metric.id);
    const auto y = b.data.values(metric.id);
    return metric.origin == Origin::host ||
           (x.size() == y.size() && (x.empty() || std::memcmp(x.data(), y.data(), x.size_bytes()) == 0));
  });
}

std::string not_finite(const PointResult& result) {
  std::string names;
  for (const MetricInfo& metric : metric_table()) {
    const auto values = result.data.values(metric.id);
    if (!may_lack_values(metric.id) &&
        !std::ranges::all_of(values, [](double x) { return std::isfinite(x); })) {
      names += fmt::format("{} ", metric.name);
    }
  }
  return names;
}

}  // namespace kvr::test
