// How often units are selected together, against plain counting.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/base/rng.hpp"
#include "sim/engine/heads/prompt/co_retrieval.hpp"
#include "sim/engine/heads/prompt/prompt_queries.hpp"
#include "sim/engine/walk/trace_walk.hpp"
#include "tests/engine/replay_fixture.hpp"

namespace kvr {
namespace {

using Counts = std::map<std::pair<UnitId, UnitId>, std::int64_t>;

std::vector<CoRetrieval> listed(const Counts& counts) {
  std::vector<CoRetrieval> pairs;
  for (const auto& [units, count] : counts) {
    pairs.push_back({units.first, units.second, count});
  }
  return pairs;
}

std::vector<UnitChoice> choices(std::span<const UnitId> units) {
  std::vector<UnitChoice> result;
  for (const UnitId unit : units) {
    result.push_back({unit, 0, 1});
  }
  return result;
}

TEST_CASE("co-retrieval: pairs of every selection are counted once, lower unit first") {
  CoRetrievalCount count;
  count.add(choices(std::vector<UnitId>{3, 1, 2}));
  count.add(choices(std::vector<UnitId>{1, 3}));
  count.add(choices(std::vector<UnitId>{5}));
  CHECK(count.pairs() == std::vector<CoRetrieval>{{1, 2, 1}, {1, 3, 2}, {2, 3, 1}});
  count.add(choices(std::vector<UnitId>{0, 3}));
  CHECK(count.pairs() == std::vector<CoRetrieval>{{0, 3, 1}, {1, 2, 1}, {1, 3, 2}, {2, 3, 1}});
}

TEST_CASE("co-retrieval: as a map counts, over 200 random runs, some of which merge often") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    CoRetrievalCount count;
    Counts expected;
    const int queries = seed % 50 == 0 ? 80 : 10;
    const std::uint64_t units = seed % 50 == 0 ? 300 : 20;
    for (int query = 0; query < queries; ++query) {
      std::vector<UnitId> selected;
      for (UnitId unit = 0; unit < static_cast<UnitId>(units); ++unit) {
        if (rng.below(2) == 0) {
          selected.insert(selected.begin() + static_cast<std::ptrdiff_t>(rng.below(selected.size() + 1)),
                          unit);
        }
      }
      count.add(choices(selected));
      selected.resize(std::min<std::size_t>(selected.size(), CoRetrievalCount::kMostUnits));
      for (const UnitId a : selected) {
        for (const UnitId b : selected) {
          if (a < b) {
            ++expected[{a, b}];
          }
        }
      }
    }
    REQUIRE(count.pairs() == listed(expected));
  }
}

trace::SynthOptions trace_options() {
  trace::SynthOptions options = test::small_trace();
  options.prompt_window = 9;
  return options;
}

/// The candidates of a head that a query likes best: mean of q.k over the group's queries, ties to the lower.
std::vector<UnitId> best_entries(const trace::Reader& reader, std::int64_t layer, std::int64_t head,
                                 std::int64_t position, const CandidateRange& range, std::size_t count) {
  const trace::Geometry& g = reader.header().geometry;
  const std::int64_t row = reader.query_row(position);
  std::vector<Half> half(static_cast<std::size_t>(g.head_dim));
  std::vector<float> query(half.size());
  std::vector<float> key(half.size());
  std::vector<std::pair<double, UnitId>> ranked;
  for (EntryIndex entry = range.begin; entry < range.end; ++entry) {
    reader.read(trace::Field::keys, layer, head, entry, entry + 1, half);
    to_float(half, key);
    double sum = 0.0;
    for (std::int64_t i = 0; i < g.group(); ++i) {
      reader.read(trace::Field::queries, layer, head * g.group() + i, row, row + 1, half);
      to_float(half, query);
      for (std::size_t d = 0; d < key.size(); ++d) {
        sum += static_cast<double>(query[d]) * static_cast<double>(key[d]);
      }
    }
    ranked.emplace_back(-sum, entry);
  }
  std::ranges::sort(ranked);
  std::vector<UnitId> best;
  for (std::size_t i = 0; i < count; ++i) {
    best.push_back(ranked[i].second);
  }
  return best;
}

/// Heads of layer 1 with their prompt of 65 entries: tokens and the stages of a system.
std::vector<HeadPolicies> prompt_heads(const BatchWalk& walk, const Codec& codec, const Stages& stages) {
  const trace::Geometry& g = walk.header().geometry;
  std::vector<HeadPolicies> heads;
  for (std::int64_t head = 0; head < 2; ++head) {
    const HeadId id = {1, head};
    std::vector<MemberHead> own;
    own.emplace_back(g.group(), g.attention_scale, HeadStore(walk.rows(2 + head), codec, codec));
    heads.emplace_back(id, std::move(own),
                       Registry<Clustering>::instance().create("token", {}, {g.head_dim, id, 1}), "token",
                       stages.of_head(id));
    heads.back().begin({});
    heads.back().build();
  }
  return heads;
}

TEST_CASE("co-retrieval: the prompt's queries select what the scorer and the budget of the system say") {
  const test::ReplayFixture fixture(trace_options());
  const trace::Reader reader(fixture.trace_path());
  const auto codec = Registry<Codec>::instance().create("fp16", {}, {16});
  const RunConfig config =
      fixture.config(test::Setup{}.with_budget(4));  // exact, two sinks, five recent entries
  const trace::Reader* const traces[] = {&reader};
  BatchWalk walk(config, traces);
  const std::vector<std::int64_t> sequences = {0};
  walk.enter_prompt(sequences);
  const Stages stages(config, walk);
  std::vector<HeadPolicies> heads = prompt_heads(walk, *codec, stages);
  PromptQueries queries(walk, sequences);
  for (const std::int64_t threads : {1, 2}) {
    Workers workers(threads);
    const auto pairs = queries.co_retrieval(1, heads, stages, workers);
    REQUIRE(pairs.size() == 2);
    for (std::int64_t head = 0; head < 2; ++head) {
      Counts expected;
      for (std::int64_t position = 56; position < 65; ++position) {
        const std::vector<UnitId> best = best_entries(reader, 1, head, position, {2, 60}, 4);
        for (const UnitId a : best) {
          for (const UnitId b : best) {
            if (a < b) {
              ++expected[{a, b}];
            }
          }
        }
      }
      CHECK(pairs[static_cast<std::size_t>(head)] == listed(expected));
    }
  }
  CHECK(queries.note().starts_with("co-retrieval: counted over 9 queries of the prompt"));
}

TEST_CASE("co-retrieval: queries are the last before the prompt's end, as many as the trace keeps") {
  const test::ReplayFixture fixture(trace_options());
  const trace::Reader reader(fixture.trace_path());
  const TraceFeed feed(reader);
  CHECK(feed.query_positions_before(65, 256).front() == 56);
  CHECK(feed.query_positions_before(65, 256).size() == 9);
  CHECK(feed.query_positions_before(65, 2) == std::vector<std::int64_t>{63, 64});
  CHECK(feed.query_positions_before(70, 3) == std::vector<std::int64_t>{67, 68, 69});  // from step 5 on
  CHECK(feed.query_positions_before(56, 3).empty());
}

}  // namespace
}  // namespace kvr
