// What the engine does with ranks, seen through a scorer whose ranks are known.
#include <doctest/doctest.h>

#include "sim/base/registry.hpp"
#include "sim/interfaces/scorer.hpp"
#include "tests/engine/replay_fixture.hpp"

namespace kvr {
namespace {

/// Entry 0 is always best, then the newest before the older.
class FirstThenNewest final : public Scorer {
 public:
  static constexpr std::string_view kName = "test_first_then_newest";
  static constexpr std::string_view kDoc = "Ranks entry 0 first, then the newest, for tests.";
  static constexpr std::string_view kSource = "ours";
  using Params = NoParams;
  static ParamTable<Params> params() { return {}; }

  FirstThenNewest(Params, const Context&) {}

  void update(std::span<const Change>, const Clustering&, const HeadView&, Work&) override {}
  void score(const MatrixView<float>&, const Clustering&, const HeadView&, const MatrixRef<float>& scores,
             Work&) override {
    for (std::int64_t query = 0; query < scores.rows; ++query) {
      for (std::int64_t unit = 0; unit < scores.cols; ++unit) {
        scores.row(query)[static_cast<std::size_t>(unit)] = unit == 0 ? 1e6F : static_cast<float>(unit);
      }
    }
  }
  std::int64_t dram_bytes() const override { return 0; }
};

const Registration<Scorer, FirstThenNewest> registered;

test::Setup two_entries() {
  test::Setup setup;
  setup.scorer = "test_first_then_newest";
  setup.replacement = "lru";
  setup.cache_scope = "head";
  setup.sinks = 0;
  setup.recent = 0;
  return setup.with_budget(2);
}

TEST_CASE("of the units of one step the cache keeps the best-ranked, though all are equally recent") {
  const test::ReplayFixture fixture;
  test::Setup setup = two_entries();
  setup.cache_bytes = test::kHeads * test::kEntryBytes;  // one entry for each head
  const PointResult result = fixture.run(setup);
  // Steps demand entry 0 and the newest: 0 is a hit from the second step on, the newest never.
  CHECK(test::total(result, Metric::demanded_units) == 40.0 * 2.0 * test::kHeads);
  CHECK(test::total(result, Metric::hit_units) == 39.0 * test::kHeads);
  CHECK(test::largest(result, Metric::cache_bytes) == static_cast<double>(setup.cache_bytes));
}

TEST_CASE(
    "reads are what a hand counts: two single entries a step, a block each, one request where they meet") {
  const test::ReplayFixture fixture;
  test::Setup setup = two_entries();
  setup.replacement = "none";
  setup.layout = "{type: token_order, chunk_tokens: 64}";
  const PointResult result = fixture.run(setup);
  // 64 entries of 64 B fill a block; chunks of heads alternate: head h, tokens 0 to 63 lie in block h and
  // tokens 64 to 127 in block 2 + h. Step 0 reads entries 0 and 64 of both heads: blocks 0, 1, 2, 3.
  CHECK(result.data.at(Metric::read_requests, 0, 0) == 1.0);
  CHECK(result.data.at(Metric::read_bytes, 0, 0) == 4.0 * 4096.0);
  CHECK(result.data.at(Metric::contiguous_mean_entries, 0, 0) == 1.0);
  CHECK(result.data.at(Metric::working_buffer_bytes, 0) == 4.0 * test::kEntryBytes);
  CHECK(result.data.at(Metric::flash_space_bytes, 0) == 2.0 * 4.0 * 4096.0);
  CHECK(result.data.at(Metric::write_bytes, 0, 0) == 2.0 * 4096.0);
}

}  // namespace
}  // namespace kvr
