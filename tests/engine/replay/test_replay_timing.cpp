// What a step costs, by hand: work and requests of the captured heads, repeated for the model that is timed.
#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "sim/base/registry.hpp"
#include "sim/interfaces/language_model.hpp"
#include "sim/interfaces/scorer.hpp"
#include "tests/engine/replay_fixture.hpp"
#include "tests/engine/splitting_clustering.hpp"

namespace kvr {
namespace {

constexpr double kScoreFlops = 1e9;
constexpr double kUpdateBytes = 5e8;

/// Ranks nothing and costs what a hand can multiply: entries 0, 1, ... are best.
class Costly final : public Scorer {
 public:
  static constexpr std::string_view kName = "test_costly";
  static constexpr std::string_view kDoc = "Costs round numbers, for tests.";
  static constexpr std::string_view kSource = "ours";
  using Params = NoParams;
  static ParamTable<Params> params() { return {}; }

  Costly(Params, const Context&) {}

  void update(std::span<const Change>, const Clustering&, const HeadView&, Work& work) override {
    work += {0.0, kUpdateBytes};
  }
  void score(const MatrixView<float>&, const Clustering&, const HeadView&, const MatrixRef<float>& scores,
             Work& work) override {
    for (std::int64_t query = 0; query < scores.rows; ++query) {
      std::ranges::fill(scores.row(query), 0.0F);
    }
    work += {kScoreFlops, 0.0};
  }
  std::int64_t dram_bytes() const override { return 0; }
};

const Registration<Scorer, Costly> registered;

/// 6 layers of 4 KV heads of 32 channels for 2 of 2 of 16: 2 copies of a head, twice the channels, and 3
/// query heads in a group instead of 2.
test::Setup borrowed() {
  test::Setup setup;
  setup.scorer = "test_costly";
  setup.sinks = 0;
  setup.recent = 0;
  setup.model =
      "{type: decoder, layers: 6, query_heads: 12, kv_heads: 4, head_dim: 32, hidden: 384, ffn: 1024, "
      "vocab: 5000}";
  return setup.with_budget(2);
}

std::unique_ptr<LanguageModel> borrowed_model() {
  return test::make<LanguageModel>("decoder", {.trace = {}},
                                   {{"layers", std::int64_t{6}},
                                    {"query_heads", std::int64_t{12}},
                                    {"kv_heads", std::int64_t{4}},
                                    {"head_dim", std::int64_t{32}},
                                    {"hidden", std::int64_t{384}},
                                    {"ffn", std::int64_t{1024}},
                                    {"vocab", std::int64_t{5000}}});
}

std::unique_ptr<ComputeModel> phone() {
  return test::make<ComputeModel>("roofline", {});
}

TEST_CASE("policy work is multiplied by heads, channels and, for scores, by the group") {
  const test::ReplayFixture fixture;
  const PointResult result = fixture.run(borrowed());
  const double score_s = phone()->time_s({2 * 2.0 * 2.0 * 1.5 * kScoreFlops, 0.0}, WeightFormat::f16);
  const double update_s = phone()->time_s({0.0, 2 * 2.0 * 2.0 * kUpdateBytes}, WeightFormat::f16);
  CHECK(result.data.at(Metric::policy_s, 7) == doctest::Approx(6.0 * (score_s + update_s)).epsilon(1e-9));
}

TEST_CASE("the rest of the compute time is the model's own operations, attention over what is attended to") {
  const test::ReplayFixture fixture;
  const PointResult result = fixture.run(borrowed());
  const auto model = borrowed_model();
  const auto soc = phone();
  constexpr WeightFormat kF16 = WeightFormat::f16;
  constexpr double kModelEntryBytes = 128.0;
  const Work attention = 4.0 * model->attention(3.0, kModelEntryBytes);  // 2 selected and the current entry
  const double layer_s = soc->time_s(model->query_projection(), kF16) +
                         soc->time_s(model->key_value_projection(), kF16) + soc->time_s(attention, kF16) +
                         soc->time_s(model->output_projection(), kF16) +
                         soc->time_s(model->feed_forward(), kF16);
  const double expected_s = 6.0 * layer_s + soc->time_s(model->output_head(), kF16);
  CHECK(result.data.at(Metric::compute_s, 7) - result.data.at(Metric::policy_s, 7) ==
        doctest::Approx(expected_s).epsilon(1e-6));
}

/// What the device takes for batches of requests of `kind` and a length, one batch after the other.
double device_s(const std::vector<std::vector<std::pair<IoKind, std::int64_t>>>& batches) {
  const auto device = test::make<FlashDevice>("analytic", {.host = phone()->host_cost(), .root_seed = 1});
  double now_s = 0.0;
  std::uint64_t id = 0;
  for (const auto& batch : batches) {
    std::vector<IoRequest> requests;
    for (const auto& [kind, bytes] : batch) {
      requests.push_back({id, kind, 0, static_cast<std::int64_t>(id) << 30U, bytes, now_s});
      ++id;
    }
    device->submit(requests);
    std::vector<IoDone> done;
    while (done.size() < requests.size()) {
      now_s = device->next_event_s();
      device->advance(now_s, done);
    }
  }
  return now_s;
}

TEST_CASE("every copy of a captured head sends requests of its own") {
  const test::ReplayFixture fixture;
  test::Setup setup = borrowed();
  setup.layout = "{type: token_order, chunk_tokens: 32}";
  setup.model = "{type: decoder, query_heads: 8, kv_heads: 4}";
  const PointResult result = fixture.run(setup);
  // 64 B an entry: a chunk is half a block, so the first entries of both heads share block 0 and the new
  // entry 65 of both heads, which opens the third chunk of each, block 2.
  const std::vector<std::pair<IoKind, std::int64_t>> reads(2, {IoKind::read, 4096});
  const std::vector<std::pair<IoKind, std::int64_t>> writes(2, {IoKind::write, 4096});
  const double expected_s = device_s({reads, writes, reads, writes});
  CHECK(result.data.at(Metric::io_s, 0) == doctest::Approx(expected_s).epsilon(1e-9));
}

TEST_CASE("the phone's threads share the requests of a batch") {
  const test::ReplayFixture fixture;
  test::Setup setup;
  // A host that takes 100 us a command, before a device that takes four commands at once.
  setup.device = "{type: queueing, hw_queues: 4, contention: 0}";
  setup.phone = "{type: roofline, host_per_command: 100us}";
  const PointResult one = fixture.run(setup);
  setup.phone = "{type: roofline, host_per_command: 100us, host_threads: 4}";
  const PointResult four = fixture.run(setup);
  // Two reads a layer: one thread submits them one after the other, four at once.
  REQUIRE(one.data.at(Metric::read_requests, 39, 0) == 2.0);
  CHECK(one.data.at(Metric::io_s, 39) > 1.3 * four.data.at(Metric::io_s, 39));
}

TEST_CASE("every captured number is the same at both fidelities that simulate, but for time and energy") {
  const test::ReplayFixture fixture;
  test::Setup setup;
  const PointResult formulas = fixture.run(setup);
  setup.device = "queueing";
  const PointResult events = fixture.run(setup);
  for (const Metric metric :
       {Metric::recall, Metric::read_bytes, Metric::read_requests, Metric::write_bytes}) {
    CHECK(std::ranges::equal(formulas.data.values(metric), events.data.values(metric)));
  }
  CHECK(test::total(events, Metric::io_s) ==
        doctest::Approx(test::total(formulas, Metric::io_s)).epsilon(0.25));
  CHECK(test::same_bits(fixture.run(setup), events));
}

TEST_CASE("an entry that joins a cached unit is in the cache, so a unit of everything is read once") {
  const test::ReplayFixture fixture;
  test::Setup setup;
  setup.clustering = "{type: kmeans, clusters: 1}";
  setup.replacement = "lru";
  setup.cache_bytes = 1 << 20;
  setup.sinks = 0;
  setup.recent = 0;
  const PointResult result = fixture.run(setup.with_budget(1000));
  CHECK(result.data.at(Metric::useful_read_bytes, 0, 0, 0) == 65.0 * test::kEntryBytes);
  for (std::int64_t step = 1; step < result.data.steps(); ++step) {
    CHECK(result.data.at(Metric::useful_read_bytes, step, 0, 0) == 0.0);
    CHECK(result.data.at(Metric::hit_units, step, 0, 0) == 1.0);
  }
  // After 40 steps all entries of the 4 heads are there, the last one included.
  CHECK(result.data.at(Metric::cache_bytes, 39) == 105.0 * test::kHeads * test::kEntryBytes);
}

TEST_CASE("a clustering hears of the units that a step loaded, and only of those") {
  const test::ReplayFixture fixture;
  test::Setup setup;
  setup.clustering = "{type: " + std::string(test::kSplitting) + ", max_members: 1000, buffer_every: 100}";
  // Entry 100 alone waits in its unit, which is split when it is loaded in the step after.
  const PointResult loaded = fixture.run(setup.with_budget(1000));
  CHECK(loaded.data.at(Metric::units, 35, 0, 0) == 6.0);
  CHECK(loaded.data.at(Metric::units, 36, 0, 0) == 7.0);
  CHECK(test::largest(fixture.run(setup.with_budget(0)), Metric::units) == 6.0);
}

}  // namespace
}  // namespace kvr
