// Summaries of three systems on a fixed synthetic trace, as they were when last looked at. After a change
// that is meant to move them: KVR_UPDATE_GOLDEN=1 test_engine, and read the difference.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/engine/replay_fixture.hpp"

namespace kvr {
namespace {

constexpr double kTolerance = 1e-9;

const std::filesystem::path& golden_file() {
  static const std::filesystem::path file =
      std::filesystem::path(KVR_SOURCE_DIR) / "tests" / "golden" / "engine.csv";
  return file;
}

/// Entries in token order; k-means in token order; k-means, contiguous, with a cache.
std::vector<std::pair<std::string, test::Setup>> systems() {
  test::Setup entries;
  entries.budget = "{type: fraction, share: 0.1}";
  entries.sinks = 4;
  entries.recent = 32;
  entries.model =
      "{type: decoder, layers: 28, query_heads: 12, kv_heads: 2, head_dim: 128, hidden: 1536, ffn: 8960, "
      "vocab: 151936, weight_format: q4_0, head_format: q4_0}";
  entries.phone = "{type: roofline, q4_0_bandwidth: 43GB/s, compute_power: 4.2W}";
  test::Setup clusters = entries;
  clusters.clustering = "{type: kmeans, entries_per_cluster: 16}";
  clusters.scorer = "centroid";
  test::Setup cached = clusters;
  cached.layout = "cluster_contiguous";
  cached.replacement = "lru";
  cached.cache_bytes = 1 << 20;
  return {{"entries", entries}, {"clusters", clusters}, {"clusters cached", cached}};
}

using Rows = std::vector<std::pair<std::string, double>>;

Rows summaries() {
  trace::SynthOptions options = test::small_trace();
  options.layers = 3;
  options.head_dim = 32;
  options.prompt = 300;
  options.steps = 24;
  const test::ReplayFixture fixture(options);
  Rows rows;
  for (const auto& [name, setup] : systems()) {
    const PointResult result = fixture.run(setup);
    for (const SummaryInfo& summary : summary_table()) {
      if (summary.origin == Origin::simulated) {
        rows.emplace_back(fmt::format("{},{}", name, summary.name), summary.compute(result.data));
      }
    }
  }
  return rows;
}

void write_golden(const Rows& rows) {
  std::ofstream file(golden_file());
  file << "system,summary,value\n";
  for (const auto& [name, value] : rows) {
    file << fmt::format("{},{:.17g}\n", name, value);
  }
  REQUIRE(file.good());
}

Rows read_golden() {
  std::ifstream file(golden_file());
  Rows rows;
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    const std::size_t comma = line.rfind(',');
    rows.emplace_back(line.substr(0, comma), std::stod(line.substr(comma + 1)));
  }
  return rows;
}

TEST_CASE("three systems on a fixed trace come to the stored summaries") {
  const Rows rows = summaries();
  if (const char* update = std::getenv("KVR_UPDATE_GOLDEN");
      update != nullptr && std::string(update) == "1") {
    write_golden(rows);
  }
  const Rows golden = read_golden();
  REQUIRE(golden.size() == rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CAPTURE(rows[i].first);
    CHECK(rows[i].first == golden[i].first);
    const double now = rows[i].second;
    const double then = golden[i].second;
    const bool is_same =
        std::isnan(then) ? std::isnan(now) : std::abs(now - then) <= kTolerance * std::abs(then);
    CHECK_MESSAGE(is_same, now << " instead of " << then);
  }
}

}  // namespace
}  // namespace kvr
