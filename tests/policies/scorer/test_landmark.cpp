#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "sim/interfaces/scorer.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

using test::Sequence;

std::unique_ptr<Scorer> make(std::int64_t outliers, std::int64_t head_dim) {
  return test::make<Scorer>(
      "landmark", {{"outliers", outliers}},
      {.head_dim = head_dim, .group = 1, .attention_scale = 1.0, .head = {}, .root_seed = 1});
}

std::unique_ptr<Clustering> pages(std::int64_t head_dim) {
  return test::make<Clustering>("page", {{"page_tokens", std::int64_t{2}}}, {head_dim, {}, 1});
}

std::vector<float> scores_of(Scorer& scorer, const Sequence& query, const Clustering& units,
                             const HeadView& view) {
  std::vector<float> scores(static_cast<std::size_t>(units.unit_count()));
  Work work;
  scorer.score(matrix_view(query.key(0).data(), 1, query.head_dim()), units, view,
               matrix_ref(scores.data(), 1, units.unit_count()), work);
  return scores;
}

TEST_CASE("landmark: of pages (1,0)(1,0), (1,0)(0,1) and (2,0)(2,2) the second has the worst member") {
  // Cosines of the members to the means (1,0), (.5,.5) and (2,1): 1, 1; .707, .707; .894, .949.
  const Sequence sequence({1, 0, 1, 0, 1, 0, 0, 1, 2, 0, 2, 2}, 2);
  const Sequence query({1, 3}, 2);
  const auto units = pages(2);
  const auto scorer = make(1, 2);
  ChangeList changes;
  Work work;
  units->build(sequence.view(6), changes, work);
  scorer->update(changes, *units, sequence.view(6), work);
  const auto scores = scores_of(*scorer, query, *units, sequence.view(6));
  // Logits 1 and 5 of the landmarks: log(e^1 + e^5) = 5.01815.
  CHECK(scores[0] == doctest::Approx(1.0 - 5.01815));
  CHECK(scores[1] == 1.0F);
  CHECK(scores[2] == doctest::Approx(5.0 - 5.01815));
  CHECK(scorer->dram_bytes() == 2 * 2 * 2 + 4);
}

TEST_CASE("landmark: units that come later are never outliers, and pages of one entry have its logit") {
  Rng rng(3);
  const Sequence sequence = Sequence::random(20, 4, rng);
  const Sequence query = Sequence::random(1, 4, rng);
  const auto units = test::make<Clustering>("page", {{"page_tokens", std::int64_t{1}}}, {4, {}, 1});
  const auto scorer = make(3, 4);
  ChangeList changes;
  Work work;
  units->build(sequence.view(10), changes, work);
  scorer->update(changes, *units, sequence.view(10), work);
  for (EntryIndex entry = 10; entry < 20; ++entry) {
    changes.clear();
    units->append(entry, sequence.view(entry + 1), test::NothingResident{}, changes, work);
    scorer->update(changes, *units, sequence.view(entry + 1), work);
  }
  const auto scores = scores_of(*scorer, query, *units, sequence.view(20));
  double sum = 0.0;
  std::vector<double> logits;
  for (EntryIndex entry = 0; entry < 20; ++entry) {
    logits.push_back(test::plain_dot(query.key(0), sequence.key(entry)));
    sum += std::exp(logits.back());
  }
  for (std::size_t entry = 0; entry < 20; ++entry) {
    CHECK(std::abs(static_cast<double>(scores[entry]) - (logits[entry] - std::log(sum))) < 1e-5);
  }
}

TEST_CASE("landmark: outliers change nothing of how the others are ranked, a softmax over scores or not") {
  Rng rng(9);
  const Sequence sequence = Sequence::random(40, 8, rng);
  const Sequence query = Sequence::random(1, 8, rng);
  const auto scored = [&](std::int64_t outliers) {
    const auto scorer = make(outliers, 8);
    ChangeList changes;
    Work work;
    const auto fresh = pages(8);
    fresh->build(sequence.view(40), changes, work);
    scorer->update(changes, *fresh, sequence.view(40), work);
    return scores_of(*scorer, query, *fresh, sequence.view(40));
  };
  const auto without = scored(0);
  const auto with = scored(4);
  double apart = 0.0;
  for (std::size_t unit = 0; unit < with.size(); ++unit) {
    if (with[unit] < 1.0F) {
      const double difference = static_cast<double>(with[unit]) - static_cast<double>(without[unit]);
      CHECK((apart == 0.0 || std::abs(difference - apart) < 1e-5));  // by one constant
      apart = difference;
    }
  }
}

TEST_CASE("landmark: outliers are those of a plain search, and landmarks and outliers are all units") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const Sequence sequence = Sequence::random(64, 8, rng);
    const Sequence query = Sequence::random(1, 8, rng);
    const auto units = pages(8);
    const auto scorer = make(5, 8);
    ChangeList changes;
    Work work;
    units->build(sequence.view(64), changes, work);
    scorer->update(changes, *units, sequence.view(64), work);
    std::vector<std::pair<double, UnitId>> worst;
    for (UnitId unit = 0; unit < 32; ++unit) {
      const auto a = sequence.key(2 * unit);
      const auto b = sequence.key(2 * unit + 1);
      // The mean m = (a + b) / 2; cos(a, m) = a.(a + b) / (|a| |a + b|).
      const double ab = test::plain_dot(a, b);
      const double aa = test::plain_dot(a, a);
      const double bb = test::plain_dot(b, b);
      const double sum = std::sqrt(aa + 2.0 * ab + bb);
      worst.emplace_back(std::min((aa + ab) / (std::sqrt(aa) * sum), (bb + ab) / (std::sqrt(bb) * sum)),
                         unit);
    }
    std::ranges::sort(worst);
    const auto scores = scores_of(*scorer, query, *units, sequence.view(64));
    CHECK(std::ranges::count(scores, 1.0F) == 5);
    for (std::size_t i = 0; i < 5; ++i) {
      CHECK(scores[static_cast<std::size_t>(worst[i].second)] == 1.0F);
    }
    CHECK(scorer->dram_bytes() == 27 * 8 * 2 + 5 * 4);
  }
}

}  // namespace
}  // namespace kvr
