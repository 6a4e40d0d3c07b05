// Hits of the last queries: a case by hand, CORM's invariants, and a ring of bit rows as the reference.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <iterator>
#include <numeric>
#include <utility>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/interfaces/scorer.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

/// One KV head whose entries come one by one, each with what its query heads pay to those that are live.
class Head {
 public:
  Head(std::int64_t window, std::int64_t group = 1)
      : sequence_(std::vector<float>(400, 1.0F), 1),
        group_(group),
        tokens_(test::make<Clustering>("token", {}, {.head_dim = 1, .head = {}, .root_seed = 1})),
        scorer_(test::make<Scorer>(
            "recent_hits", {{"window", window}},
            {.head_dim = 1, .group = group, .attention_scale = 1.0, .head = {}, .root_seed = 1})) {
    ChangeList changes;
    tokens_->build(sequence_.view(0), changes, work_);
    tell(changes);
  }

  Scorer& scorer() { return *scorer_; }
  std::int64_t entries() const { return entries_; }
  const std::vector<EntryIndex>& live() const { return live_; }

  /// The next entry comes; `weights` [group][live, it among them].
  void step(const std::vector<std::vector<float>>& weights) {
    live_.push_back(static_cast<EntryIndex>(entries_));
    for (std::int64_t query = 0; query < group_; ++query) {
      scorer_->attended(query, live_, weights[static_cast<std::size_t>(query)], work_);
    }
    ++entries_;
    ChangeList changes;
    tokens_->append(live_.back(), sequence_.view(entries_), test::NothingResident{}, changes, work_);
    tell(changes);
  }

  /// [group][entries]
  std::vector<std::vector<float>> scores() {
    const std::int64_t units = tokens_->unit_count();
    std::vector<float> all(static_cast<std::size_t>(group_ * units));
    scorer_->score(matrix_view(sequence_.key(0).data(), group_, 1), *tokens_, sequence_.view(entries_),
                   matrix_ref(all.data(), group_, units), work_);
    std::vector<std::vector<float>> rows;
    for (std::int64_t query = 0; query < group_; ++query) {
      rows.emplace_back(all.begin() + query * units, all.begin() + (query + 1) * units);
    }
    return rows;
  }

  /// Live entries that any query head scores 1 or more, or of the last `recent`.
  std::vector<EntryIndex> kept(std::int64_t recent) {
    const auto of = scores();
    std::vector<EntryIndex> kept;
    std::ranges::copy_if(live_, std::back_inserter(kept), [&](EntryIndex entry) {
      return entry >= entries_ - recent || std::ranges::any_of(of, [entry](const auto& row) {
               return row[static_cast<std::size_t>(entry)] >= 1.0F;
             });
    });
    return kept;
  }

  void evict(std::int64_t recent) {
    const std::vector<EntryIndex> stay = kept(recent);
    std::vector<EntryIndex> gone;
    std::ranges::set_difference(live_, stay, std::back_inserter(gone));
    live_ = stay;
    if (!gone.empty()) {
      ChangeList changes;
      tokens_->remove(gone, sequence_.view(entries_), changes, work_);
      tell(changes);
    }
  }

 private:
  void tell(const ChangeList& changes) {
    scorer_->update(changes, *tokens_, sequence_.view(entries_), work_);
  }

  test::Sequence sequence_;
  std::int64_t group_;
  std::unique_ptr<Clustering> tokens_;
  std::unique_ptr<Scorer> scorer_;
  std::int64_t entries_ = 0;
  std::vector<EntryIndex> live_;
  Work work_;
};

std::vector<float> random_attention(std::size_t entries, Rng& rng) {
  std::vector<float> weights(entries);
  std::ranges::generate(weights, [&rng] { return static_cast<float>(std::exp(3.0 * rng.normal())); });
  const float sum = std::accumulate(weights.begin(), weights.end(), 0.0F);
  std::ranges::transform(weights, weights.begin(), [sum](float one) { return one / sum; });
  return weights;
}

/// Nothing for the first entry, the rest for the others alike.
std::vector<float> none_for_first(std::size_t entries) {
  std::vector<float> weights(entries, 1.0F / static_cast<float>(entries - 1));
  weights.front() = 0.0F;
  return weights;
}

TEST_CASE("recent_hits: a level of 1/n, a ring of two queries and one that is not full, by hand") {
  Head head(2);
  CHECK(head.scorer().needs().prompt_window == 2);
  CHECK(head.scorer().wants_attention());
  head.step({{1.0F}});
  CHECK(head.scores().front() == std::vector<float>{1.0F});
  head.step({{0.2F, 0.8F}});  // level 1/2; entry 1 has been seen by one query
  CHECK(head.scores().front() == std::vector<float>{1.0F, 1.0F});
  head.step({{0.1F, 0.5F, 0.4F}});  // level 1/3; the hit of the first query has left the ring
  CHECK(head.scores().front() == std::vector<float>{0.0F, 2.0F, 1.0F});
  CHECK(head.scorer().dram_bytes() == 3);  // two bits each, as whole bytes
  CHECK(head.kept(0) == std::vector<EntryIndex>{1, 2});
  head.evict(0);
  CHECK(head.scorer().dram_bytes() == 2);
  head.step({{0.2F, 0.4F, 0.4F}});  // of entries 1, 2, 3
  CHECK(head.scores().front()[1] == 1.0F);
  CHECK(head.scores().front()[2] == 2.0F);
}

TEST_CASE("recent_hits: the prompt's last queries fill the ring") {
  // Keys 0, log 4, 0 and queries 1 at positions 1 and 2: weights 1/5, 4/5, then 1/6, 4/6, 1/6.
  const test::Sequence sequence({0, std::log(4.0F), 0}, 1);
  const auto tokens = test::make<Clustering>("token", {}, {.head_dim = 1, .head = {}, .root_seed = 1});
  const auto scorer =
      test::make<Scorer>("recent_hits", {{"window", std::int64_t{2}}},
                         {.head_dim = 1, .group = 1, .attention_scale = 1.0, .head = {}, .root_seed = 1});
  const std::vector<float> queries = {1.0F, 1.0F};
  const std::vector<std::int64_t> positions = {1, 2};
  Work work;
  ChangeList changes;
  scorer->begin({.rows = sequence.view(3),
                 .window_queries = matrix_view(queries.data(), 2, 1),
                 .window_positions = positions},
                work);
  CHECK(work.flops > 0.0);
  tokens->build(sequence.view(3), changes, work);
  scorer->update(changes, *tokens, sequence.view(3), work);
  std::vector<float> scores(3);
  scorer->score(matrix_view(queries.data(), 1, 1), *tokens, sequence.view(3), matrix_ref(scores.data(), 1, 3),
                work);
  CHECK(scores == std::vector<float>{0.0F, 2.0F, 1.0F});  // the last one was seen by one query
}

TEST_CASE("CORM (j): a window as long as the history keeps what was ever important") {
  Rng rng(11);
  Head head(40);
  std::vector<bool> ever(40, false);
  for (std::size_t n = 1; n <= 40; ++n) {
    const auto weights = random_attention(n, rng);
    for (std::size_t entry = 0; entry < n; ++entry) {
      ever[entry] = ever[entry] || weights[entry] >= 1.0F / static_cast<float>(n);
    }
    head.step({weights});
  }
  CHECK((head.scores().front().front() >= 1.0F) == ever.front());  // which all 40 have seen
  for (std::size_t entry = 1; entry < 40; ++entry) {
    CHECK(head.scores().front()[entry] >= (ever[entry] ? 1.0F : 0.0F));
  }
}

TEST_CASE("CORM (j): a window of one keeps exactly what gets an equal share or more") {
  Rng rng(12);
  Head head(1);
  for (std::size_t n = 1; n <= 60; ++n) {
    CAPTURE(n);
    const auto weights = random_attention(n, rng);
    head.step({weights});
    for (std::size_t entry = 0; entry < n; ++entry) {
      CHECK((head.scores().front()[entry] >= 1.0F) == (weights[entry] >= 1.0F / static_cast<float>(n)));
    }
  }
}

TEST_CASE("CORM (j): some entry survives every query, and no more than there were") {
  Rng rng(13);
  for (const std::int64_t window : {1, 3}) {
    Head head(window, 2);
    for (std::int64_t step = 0; step < 120; ++step) {
      CAPTURE(step);
      const std::size_t n = head.live().size() + 1;
      const std::vector<float> equal(n, 1.0F / static_cast<float>(n));  // no entry above the mean
      head.step({step % 3 == 0 ? equal : random_attention(n, rng), random_attention(n, rng)});
      head.evict(0);
      CHECK(head.live().size() >= 1);
      CHECK(head.live().size() <= n);
    }
  }
}

TEST_CASE("CORM (j): from the same state a larger window never evicts more") {
  Rng rng(14);
  Head small(4, 2);
  Head large(9, 2);
  for (std::size_t n = 1; n <= 80; ++n) {
    CAPTURE(n);
    const std::vector<std::vector<float>> weights = {random_attention(n, rng), random_attention(n, rng)};
    small.step(weights);
    large.step(weights);
    for (const std::int64_t recent : {0, 6}) {
      const auto few = small.kept(recent);
      const auto more = large.kept(recent);
      CHECK(std::ranges::includes(more, few));
    }
  }
}

TEST_CASE("CORM (j): what never scores a hit leaves once window queries saw it and recent others came") {
  for (const auto& [window, recent] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{1, 0}, {5, 0}, {5, 3}, {5, 4}, {5, 5}, {3, 9}}) {
    CAPTURE(window);
    CAPTURE(recent);
    Head head(window);
    head.step({{0.0F}});  // a weight that nothing pays, to begin without a hit
    std::int64_t later = 0;
    head.evict(recent);
    while (!head.live().empty() && head.live().front() == 0) {
      head.step({none_for_first(head.live().size() + 1)});
      head.evict(recent);
      ++later;
      REQUIRE(later < 50);
    }
    // Its own query is the first that sees it, and the recent ones are those that came after.
    CHECK(later == std::max(recent, window - 1));
  }
}

TEST_CASE("recent_hits: a ring of bit rows of every query head gives the same scores") {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    CAPTURE(seed);
    Rng rng(seed);
    constexpr std::size_t kWindow = 5;
    Head head(kWindow, 2);
    std::array<std::deque<std::vector<std::uint8_t>>, 2> rings;
    for (std::int64_t step = 0; step < 100; ++step) {
      std::vector<std::vector<float>> weights;
      std::vector<EntryIndex> live = head.live();
      live.push_back(static_cast<EntryIndex>(head.entries()));
      for (auto& ring : rings) {
        weights.push_back(random_attention(live.size(), rng));
        std::vector<std::uint8_t> bits(200, 0);
        for (std::size_t i = 0; i < live.size(); ++i) {
          bits[static_cast<std::size_t>(live[i])] =
              weights.back()[i] >= static_cast<float>(1.0 / static_cast<double>(live.size())) ? 1 : 0;
        }
        ring.push_back(bits);
        if (ring.size() > kWindow) {
          ring.pop_front();
        }
      }
      head.step(weights);
      const auto scores = head.scores();
      for (std::size_t query = 0; query < rings.size(); ++query) {
        for (const EntryIndex entry : head.live()) {
          std::int32_t bits = 0;
          for (const auto& row : rings[query]) {
            bits += row[static_cast<std::size_t>(entry)];
          }
          const std::int64_t seen = std::min<std::int64_t>(std::ssize(rings[query]), step - entry + 1);
          bits = seen < static_cast<std::int64_t>(kWindow) ? std::max(bits, 1) : bits;
          CHECK(scores[query][static_cast<std::size_t>(entry)] == static_cast<float>(bits));
        }
      }
      head.evict(7);
    }
  }
}

}  // namespace
}  // namespace kvr
