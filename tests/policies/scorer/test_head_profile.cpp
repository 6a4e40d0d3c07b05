// Rungs of a head: a case by hand, FastGen's invariants on random prompts, and a plain reference of the
// masks.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/interfaces/scorer.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

constexpr auto kOther = TokenClass::other;
constexpr auto kSpecial = TokenClass::special;
constexpr auto kMark = TokenClass::punctuation;

struct FiguresOf {
  double rung;
  double recovered;
};

/// One KV head with the queries of all its prompt, so that the sums are those of the profiled queries.
class Head {
 public:
  Head(std::vector<float> keys, std::vector<TokenClass> classes, std::vector<float> queries,
       std::int64_t group, std::int64_t prompt, ParamValues params)
      : sequence_(std::move(keys), 1),
        classes_(std::move(classes)),
        queries_(std::move(queries)),
        group_(group),
        prompt_(prompt),
        tokens_(test::make<Clustering>("token", {}, {.head_dim = 1, .head = {}, .root_seed = 1})) {
    params.try_emplace("window", prompt);
    params.try_emplace("first", std::int64_t{0});
    scorer_ = test::make<Scorer>(
        "head_profile", params,
        {.head_dim = 1, .group = group, .attention_scale = 1.0, .head = {}, .root_seed = 1});
    begin();
  }

  Scorer& scorer() { return *scorer_; }

  FiguresOf figures() const {
    Report report;
    scorer_->report(report);
    std::map<std::string, double> values;
    for (const Report::Value& one : report.values()) {
      values[one.figure] = one.value;
    }
    return {values.at("rung"), values.at("recovered")};
  }

  /// Of the first `entries`; those of removed ones count for nothing.
  std::vector<float> scores(std::int64_t entries) {
    const std::int64_t units = tokens_->unit_count();
    std::vector<float> all(static_cast<std::size_t>(group_ * units));
    Work work;
    scorer_->score(matrix_view(queries_.data(), group_, 1), *tokens_, view(entries),
                   matrix_ref(all.data(), group_, units), work);
    for (std::int64_t query = 1; query < group_; ++query) {  // all query heads of a group keep the same
      CHECK(std::equal(all.begin(), all.begin() + units, all.begin() + query * units));
    }
    all.resize(static_cast<std::size_t>(units));
    return all;
  }

  std::vector<EntryIndex> kept(std::int64_t entries) {
    const std::vector<float> all = scores(entries);
    std::vector<EntryIndex> kept;
    for (std::size_t entry = 0; entry < all.size(); ++entry) {
      if (all[entry] >= 1.0F && !tokens_->members(static_cast<UnitId>(entry)).empty()) {
        kept.push_back(static_cast<EntryIndex>(entry));
      }
    }
    return kept;
  }

  /// Entry `entry` comes and all of `live` get these weights of every query head.
  void step(EntryIndex entry, const std::vector<EntryIndex>& live, const std::vector<float>& weights) {
    Work work;
    for (std::int64_t query = 0; query < group_; ++query) {
      scorer_->attended(query, live, weights, work);
    }
    scorer_->token(entry, classes_[static_cast<std::size_t>(entry)]);
    ChangeList changes;
    tokens_->append(entry, view(entry + 1), test::NothingResident{}, changes, work);
    scorer_->update(changes, *tokens_, view(entry + 1), work);
  }

  void remove(const std::vector<EntryIndex>& gone, std::int64_t entries) {
    Work work;
    ChangeList changes;
    tokens_->remove(gone, view(entries), changes, work);
    scorer_->update(changes, *tokens_, view(entries), work);
  }

  HeadView view(std::int64_t entries) const { return sequence_.view(entries); }

  /// [group][positions][entries]: the causal softmax of the prompt, in double precision.
  std::vector<std::vector<std::vector<double>>> attention() const {
    std::vector<std::vector<std::vector<double>>> all(static_cast<std::size_t>(group_));
    for (std::int64_t query = 0; query < group_; ++query) {
      for (std::int64_t t = 0; t < prompt_; ++t) {
        std::vector<double> row;
        for (std::int64_t entry = 0; entry <= t; ++entry) {
          row.push_back(std::exp(static_cast<double>(queries_[static_cast<std::size_t>(t * group_ + query)]) *
                                 static_cast<double>(sequence_.key(entry)[0])));
        }
        const double sum = std::accumulate(row.begin(), row.end(), 0.0);
        std::ranges::transform(row, row.begin(), [sum](double one) { return one / sum; });
        all[static_cast<std::size_t>(query)].push_back(row);
      }
    }
    return all;
  }

 private:
  void begin() {
    std::vector<float> sums(static_cast<std::size_t>(group_ * prompt_), 0.0F);
    const auto weights = attention();
    for (std::size_t query = 0; query < weights.size(); ++query) {
      for (const auto& row : weights[query]) {
        for (std::size_t entry = 0; entry < row.size(); ++entry) {
          sums[query * static_cast<std::size_t>(prompt_) + entry] += static_cast<float>(row[entry]);
        }
      }
    }
    std::vector<std::int64_t> positions(static_cast<std::size_t>(prompt_));
    std::iota(positions.begin(), positions.end(), std::int64_t{0});
    Work work;
    scorer_->begin({.rows = view(prompt_),
                    .window_queries = matrix_view(queries_.data(), prompt_ * group_, 1),
                    .window_positions = positions,
                    .attention_sums = matrix_view(sums.data(), group_, prompt_),
                    .token_classes = std::span(classes_).first(static_cast<std::size_t>(prompt_))},
                   work);
    ChangeList changes;
    tokens_->build(view(prompt_), changes, work);
    scorer_->update(changes, *tokens_, view(prompt_), work);
  }

  test::Sequence sequence_;
  std::vector<TokenClass> classes_;
  std::vector<float> queries_;
  std::int64_t group_;
  std::int64_t prompt_;
  std::unique_ptr<Clustering> tokens_;
  std::unique_ptr<Scorer> scorer_;
};

/// Five entries, the first special, the third a mark, of which the last query alone is profiled: keys log of
/// 4, 1, 2, 2, 1, so that it gives 0.4, 0.1, 0.2, 0.2, 0.1.
Head by_hand(double recovery, double share = 0.3) {
  const auto log = [](double one) { return static_cast<float>(std::log(one)); };
  return Head({log(4), 0.0F, log(2), log(2), 0.0F, 0.0F, 0.0F},
              {kSpecial, kOther, kMark, kOther, kOther, kOther, kMark}, std::vector<float>(5, 1.0F), 1, 5,
              {{"recovery", recovery}, {"window", std::int64_t{1}}, {"frequent", share}, {"local", share}});
}

TEST_CASE("head_profile: the cheapest rung that recovers enough, by hand") {
  struct Case {
    double recovery;
    double rung;
    double recovered;
    std::vector<EntryIndex> kept;
  };
  // Two frequent entries (ceil 1.5) of 1, 3 and 4: sums have entries 1 and 3 first. One local entry
  // (floor 1.5).
  for (const Case& one : std::vector<Case>{{0.0, 0, 0.4, {0}},
                                           {0.39, 0, 0.4, {0}},
                                           {0.55, 1, 0.6, {0, 2}},
                                           {0.85, 2, 0.9, {0, 1, 2, 3}},
                                           {0.95, 3, 1.0, {0, 1, 2, 3, 4}}}) {
    CAPTURE(one.recovery);
    Head head = by_hand(one.recovery);
    CHECK(head.figures().rung == one.rung);
    CHECK(head.figures().recovered == doctest::Approx(one.recovered).epsilon(1e-3));  // logs in fp16
    CHECK(head.kept(5) == one.kept);
  }
  Head full = by_hand(0.95, 0.0);  // no frequent entry, and one local
  CHECK(full.figures().rung == 4);
  CHECK(full.figures().recovered == 1.0);
  CHECK(full.kept(5).size() == 5);
  CHECK(full.scores(5) == std::vector<float>{4, 1, 3, 1, 1});
  CHECK(full.scorer().dram_bytes() == 5);
}

TEST_CASE("head_profile: first entries are special, whatever their class") {
  Head head({0.0F, 0.0F, 0.0F}, {kOther, kOther, kMark}, {1, 1, 1}, 1, 3,
            {{"recovery", 0.5}, {"first", std::int64_t{2}}});
  CHECK(head.kept(3) == std::vector<EntryIndex>{0, 1});
}

TEST_CASE(
    "head_profile: what comes is kept by its class, a rung's ring moves on, and the rung never changes") {
  Head head = by_hand(0.85);  // special, marks and frequent ones
  CHECK(head.scorer().dram_bytes() == 5 * 5);
  head.remove({4}, 5);
  CHECK(head.scorer().dram_bytes() == 4 * 5);
  head.step(5, {0, 1, 2, 3, 5}, {0.0F, 0.0F, 0.0F, 0.0F, 1.0F});
  // Of six entries two are frequent: of entries 1, 3 and 5, the sums are about 0.9, 0.9 and 1.
  CHECK(head.kept(6) == std::vector<EntryIndex>{0, 1, 2, 5});
  head.remove({3}, 6);
  head.step(6, {0, 1, 2, 5, 6}, {0.0F, 0.0F, 0.0F, 0.0F, 1.0F});
  CHECK(head.kept(7) == std::vector<EntryIndex>{0, 1, 2, 5, 6});  // the mark stays without being frequent
  CHECK(head.figures().rung == 2);

  Head local = by_hand(0.95);
  local.step(5, {0, 1, 2, 3, 4, 5}, {0.5F, 0.0F, 0.0F, 0.5F, 0.0F, 0.0F});
  // One local entry (floor 1.8), the current; two frequent ones of 1, 3 and 4.
  CHECK(local.kept(6) == std::vector<EntryIndex>{0, 1, 2, 3, 5});
}

struct Random {
  std::vector<float> keys;
  std::vector<TokenClass> classes;
  std::vector<float> queries;
};

Random random_head(std::int64_t prompt, std::int64_t group, Rng& rng) {
  Random made;
  for (std::int64_t t = 0; t < prompt; ++t) {
    made.keys.push_back(static_cast<float>(rng.normal()));
    const double draw = rng.uniform();
    made.classes.push_back(draw < 0.1 ? kSpecial : draw < 0.3 ? kMark : kOther);
    for (std::int64_t query = 0; query < group; ++query) {
      made.queries.push_back(static_cast<float>(2.0 * rng.normal()));
    }
  }
  return made;
}

constexpr std::int64_t kPrompt = 60;
constexpr std::int64_t kGroup = 2;

Head profiled(const Random& made, double recovery) {
  return Head(made.keys, made.classes, made.queries, kGroup, kPrompt,
              {{"recovery", recovery}, {"first", std::int64_t{4}}});
}

/// What each rung recovers and keeps at the prompt's end, by masks as wide as the prompt.
struct Ladder {
  std::vector<double> recovered;
  std::vector<std::vector<EntryIndex>> kept;
};

Ladder reference_of(const Head& head, const Random& made) {
  const auto attention = head.attention();
  std::vector<double> sums(kPrompt, 0.0);
  for (const auto& of_query : attention) {
    for (const auto& row : of_query) {
      for (std::size_t entry = 0; entry < row.size(); ++entry) {
        sums[entry] += row[entry];
      }
    }
  }
  constexpr std::int64_t kShare = 18;  // 0.3 of 60, both ways of rounding
  Ladder ladder;
  for (int rung = 0; rung < 5; ++rung) {
    std::vector<std::vector<bool>> mask(kPrompt, std::vector<bool>(kPrompt, rung == 4));
    for (std::int64_t t = 0; t < kPrompt; ++t) {
      for (std::int64_t entry = 0; entry < kPrompt; ++entry) {
        const auto of = made.classes[static_cast<std::size_t>(entry)];
        if (entry < 4 || of == kSpecial || (rung >= 1 && of == kMark) || (rung == 3 && entry > t - kShare)) {
          mask[static_cast<std::size_t>(t)][static_cast<std::size_t>(entry)] = true;
        }
      }
    }
    if (rung == 2 || rung == 3) {
      std::vector<std::size_t> left;
      for (std::size_t entry = 0; entry < kPrompt; ++entry) {
        if (!mask.back()[entry]) {
          left.push_back(entry);
        }
      }
      std::ranges::stable_sort(left, std::ranges::greater{}, [&](std::size_t entry) { return sums[entry]; });
      left.resize(std::min<std::size_t>(left.size(), kShare));
      for (auto& row : mask) {
        for (const std::size_t entry : left) {
          row[entry] = true;
        }
      }
    }
    double recovered = 0.0;
    for (const auto& of_query : attention) {
      for (std::size_t t = 0; t < of_query.size(); ++t) {
        for (std::size_t entry = 0; entry <= t; ++entry) {
          recovered += mask[t][entry] ? of_query[t][entry] : 0.0;
        }
      }
    }
    ladder.recovered.push_back(recovered / static_cast<double>(kPrompt * kGroup));
    ladder.kept.emplace_back();
    for (std::size_t entry = 0; entry < kPrompt; ++entry) {
      if (mask.back()[entry]) {
        ladder.kept.back().push_back(static_cast<EntryIndex>(entry));
      }
    }
  }
  return ladder;
}

TEST_CASE("FastGen (j): rungs are nested, so what they recover and what they cost grow along the ladder") {
  for (const std::uint64_t seed : {1U, 2U, 3U, 4U, 5U}) {
    CAPTURE(seed);
    Rng rng(seed);
    const Random made = random_head(kPrompt, kGroup, rng);
    const Ladder ladder = reference_of(profiled(made, 0.5), made);
    for (std::size_t rung = 0; rung < 5; ++rung) {
      CAPTURE(rung);
      Head head = profiled(made, ladder.recovered[rung] - 1e-6);
      const auto chosen = static_cast<std::size_t>(head.figures().rung);
      CHECK(chosen <= rung);
      CHECK(head.kept(kPrompt) == ladder.kept[chosen]);
      if (rung > 0) {
        CHECK(ladder.recovered[rung] >= ladder.recovered[rung - 1]);
        CHECK(std::ranges::includes(ladder.kept[rung], ladder.kept[rung - 1]));
      }
      for (std::size_t higher = chosen; higher < 5; ++higher) {
        CHECK(head.kept(kPrompt).size() <= ladder.kept[higher].size());
      }
    }
  }
}

TEST_CASE("FastGen (j): the chosen rung recovers enough of the profiled queries, and no cheaper one does") {
  for (const std::uint64_t seed : {6U, 7U, 8U}) {
    CAPTURE(seed);
    Rng rng(seed);
    const Random made = random_head(kPrompt, kGroup, rng);
    const Ladder ladder = reference_of(profiled(made, 0.5), made);
    for (double recovery = 0.05; recovery < 1.0; recovery += 0.05) {
      CAPTURE(recovery);
      const auto figures = profiled(made, recovery).figures();
      const auto rung = static_cast<std::size_t>(figures.rung);
      CHECK(figures.recovered >= recovery);
      CHECK(figures.recovered == doctest::Approx(ladder.recovered[rung]).epsilon(1e-5));
      CHECK((rung == 0 || ladder.recovered[rung - 1] < recovery));
    }
  }
}

TEST_CASE("FastGen (j): a recovery of 1 keeps everything, one of 0 the cheapest rung") {
  Rng rng(9);
  const Random made = random_head(kPrompt, kGroup, rng);
  CHECK(profiled(made, 1.0).figures().rung == 4);
  CHECK(profiled(made, 1.0).kept(kPrompt).size() == kPrompt);
  CHECK(profiled(made, 0.0).figures().rung == 0);
}

}  // namespace
}  // namespace kvr
