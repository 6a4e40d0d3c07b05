#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "sim/base/error.hpp"
#include "sim/interfaces/scorer.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

using test::Sequence;

constexpr std::int64_t kGroup = 2;
constexpr double kScale = 0.5;

std::unique_ptr<Scorer> make(const ParamValues& values, std::int64_t head_dim, HeadId head = {}) {
  return test::make<Scorer>(
      "product_quantisation", values,
      {.head_dim = head_dim, .group = kGroup, .attention_scale = kScale, .head = head, .root_seed = 4});
}

std::unique_ptr<Clustering> tokens(const Sequence& sequence, EntryIndex entries) {
  auto clustering =
      test::make<Clustering>("token", {}, {.head_dim = sequence.head_dim(), .head = {}, .root_seed = 1});
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(entries), changes, work);
  return clustering;
}

/// The scorer after a prompt and the later keys, one by one.
std::unique_ptr<Scorer> fed(const ParamValues& values, const Sequence& sequence, EntryIndex prompt,
                            EntryIndex entries) {
  auto scorer = make(values, sequence.head_dim());
  Work work;
  for (EntryIndex count = prompt; count <= entries; ++count) {
    scorer->update({}, *tokens(sequence, count), sequence.view(count), work);
  }
  return scorer;
}

std::vector<float> scores_of(Scorer& scorer, const Clustering& clustering, const Sequence& sequence,
                             EntryIndex entries, const std::vector<float>& queries) {
  std::vector<float> scores(static_cast<std::size_t>(kGroup * clustering.unit_count()));
  Work work;
  scorer.score(matrix_view(queries.data(), kGroup, sequence.head_dim()), clustering, sequence.view(entries),
               matrix_ref(scores.data(), kGroup, clustering.unit_count()), work);
  return scores;
}

/// The keys as the codes give them back: a query of one channel scores that channel.
std::vector<std::vector<double>> decoded(Scorer& scorer, const Sequence& sequence, EntryIndex entries) {
  const auto d = static_cast<std::size_t>(sequence.head_dim());
  std::vector<std::vector<double>> keys(static_cast<std::size_t>(entries), std::vector<double>(d));
  const auto clustering = tokens(sequence, entries);
  for (std::size_t channel = 0; channel < d; ++channel) {
    std::vector<float> queries(static_cast<std::size_t>(kGroup) * d, 0.0F);
    queries[channel] = 1.0F;
    const std::vector<float> scores = scores_of(scorer, *clustering, sequence, entries, queries);
    for (std::size_t entry = 0; entry < keys.size(); ++entry) {
      keys[entry][channel] = static_cast<double>(scores[entry]) / kScale;
    }
  }
  return keys;
}

std::vector<float> random_queries(std::int64_t head_dim, Rng& rng) {
  std::vector<float> queries(static_cast<std::size_t>(kGroup * head_dim));
  std::ranges::generate(queries, [&rng] { return static_cast<float>(rng.normal()); });
  return queries;
}

double true_logit(const std::vector<float>& queries, std::size_t query, std::span<const float> key) {
  return kScale * test::plain_dot(std::span(queries).subspan(query * key.size(), key.size()), key);
}

TEST_CASE("product_quantisation: two pieces of two values each are kept exactly, a later key is rounded") {
  // First channel 0 or 4, second 1 or 3, so the codebooks hold all there is; (3, 1.5) becomes (4, 1).
  const Sequence sequence({0, 1, 4, 3, 0, 3, 4, 1, 3, 1.5F}, 2);
  const auto scorer = fed({{"bits", std::int64_t{2}}}, sequence, 4, 5);
  const auto clustering = tokens(sequence, 5);
  const std::vector<float> scores = scores_of(*scorer, *clustering, sequence, 5, {1, 10, -2, 0});
  const std::vector<float> expected = {5, 17, 15, 7, 7, 0, -4, 0, -4, -4};
  CHECK(scores == expected);
}

TEST_CASE("product_quantisation: a piece for each channel and a centroid for each key give the true logits") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const Sequence sequence = Sequence::random(60, 8, rng);
    const auto scorer = fed({{"subspaces", std::int64_t{8}}}, sequence, 60, 60);
    const std::vector<float> queries = random_queries(8, rng);
    const auto clustering = tokens(sequence, 60);
    const std::vector<float> scores = scores_of(*scorer, *clustering, sequence, 60, queries);
    for (std::size_t i = 0; i < scores.size(); ++i) {
      const double truth = true_logit(queries, i / 60, sequence.key(static_cast<EntryIndex>(i % 60)));
      CHECK(static_cast<double>(scores[i]) == doctest::Approx(truth).epsilon(1e-5));
    }
  }
}

/// Channels [first, last) of each piece, 10 channels in 3 pieces: 3, 3 and 4.
constexpr std::size_t kCuts[] = {0, 3, 6, 10};

double piece_distance(std::span<const float> key, const std::vector<double>& centroid, std::size_t piece) {
  double sum = 0.0;
  for (std::size_t c = kCuts[piece]; c < kCuts[piece + 1]; ++c) {
    const double delta = static_cast<double>(key[c]) - centroid[c];
    sum += delta * delta;
  }
  return sum;
}

/// Distinct centroids of a piece, as full rows, with the prompt entries that have them.
std::map<std::vector<double>, std::vector<EntryIndex>> codebook_of(
    const std::vector<std::vector<double>>& keys, EntryIndex prompt, std::size_t piece) {
  std::map<std::vector<double>, std::vector<EntryIndex>> codebook;
  for (EntryIndex entry = 0; entry < prompt; ++entry) {
    std::vector<double> row(10, 0.0);
    for (std::size_t c = kCuts[piece]; c < kCuts[piece + 1]; ++c) {
      row[c] = keys[static_cast<std::size_t>(entry)][c];
    }
    codebook[row].push_back(entry);
  }
  return codebook;
}

TEST_CASE("product_quantisation: centroids are means of their keys, each key has the nearest of each piece") {
  constexpr EntryIndex kPrompt = 120;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const Sequence sequence = Sequence::random(160, 10, rng);
    const auto scorer = fed({{"subspaces", std::int64_t{3}},
                             {"bits", std::int64_t{4}},
                             {"tolerance", 0.0},
                             {"iterations", std::int64_t{1000}}},
                            sequence, kPrompt, 160);
    const auto keys = decoded(*scorer, sequence, 160);
    for (std::size_t piece = 0; piece < 3; ++piece) {
      const auto codebook = codebook_of(keys, kPrompt, piece);
      REQUIRE(codebook.size() == 16);
      for (const auto& [centroid, entries] : codebook) {
        for (std::size_t c = kCuts[piece]; c < kCuts[piece + 1]; ++c) {
          double mean = 0.0;
          for (const EntryIndex entry : entries) {
            mean += static_cast<double>(sequence.key(entry)[c]) / static_cast<double>(entries.size());
          }
          CHECK(centroid[c] == doctest::Approx(mean).epsilon(1e-5));
        }
      }
      for (EntryIndex entry = 0; entry < 160; ++entry) {
        const double own = piece_distance(sequence.key(entry), keys[static_cast<std::size_t>(entry)], piece);
        for (const auto& [centroid, entries] : codebook) {
          CHECK(own <= piece_distance(sequence.key(entry), centroid, piece) + 1e-5);
        }
      }
    }
  }
}

TEST_CASE("product_quantisation: over 200 random queries the error keeps to its bound, piece by piece") {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const Sequence sequence = Sequence::random(60, 10, rng);
    const auto scorer = fed({{"subspaces", std::int64_t{3}}, {"bits", std::int64_t{3}}}, sequence, 50, 60);
    const auto keys = decoded(*scorer, sequence, 60);
    const std::vector<float> queries = random_queries(10, rng);
    const std::vector<float> scores = scores_of(*scorer, *tokens(sequence, 60), sequence, 60, queries);
    for (std::size_t i = 0; i < scores.size(); ++i) {
      const std::span<const float> key = sequence.key(static_cast<EntryIndex>(i % 60));
      double bound = 0.0;
      for (std::size_t piece = 0; piece < 3; ++piece) {
        double norm = 0.0;
        for (std::size_t c = kCuts[piece]; c < kCuts[piece + 1]; ++c) {
          const auto q = static_cast<double>(queries[i / 60 * 10 + c]);
          norm += q * q;
        }
        bound += kScale * std::sqrt(norm * piece_distance(key, keys[i % 60], piece));
      }
      CHECK(std::abs(static_cast<double>(scores[i]) - true_logit(queries, i / 60, key)) <= bound + 1e-5);
    }
  }
}

TEST_CASE("product_quantisation: more bits and more pieces make a smaller error") {
  Rng rng(1);
  const Sequence sequence = Sequence::random(500, 16, rng);
  const auto error = [&](std::int64_t subspaces, std::int64_t bits) {
    const auto scorer = fed({{"subspaces", subspaces}, {"bits", bits}}, sequence, 500, 500);
    const auto keys = decoded(*scorer, sequence, 500);
    double sum = 0.0;
    for (EntryIndex entry = 0; entry < 500; ++entry) {
      for (std::size_t c = 0; c < 16; ++c) {
        const double delta =
            static_cast<double>(sequence.key(entry)[c]) - keys[static_cast<std::size_t>(entry)][c];
        sum += delta * delta;
      }
    }
    return sum;
  };
  CHECK(error(2, 2) > error(2, 4));
  CHECK(error(2, 4) > error(2, 6));
  CHECK(error(2, 6) > error(4, 6));
  CHECK(error(4, 6) > error(16, 6));
}

TEST_CASE("product_quantisation: a unit of several entries has their mass, or the largest logit") {
  for (const bool mass : {true, false}) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      CAPTURE(seed);
      Rng rng(seed);
      const Sequence sequence = Sequence::random(61, 8, rng);
      test::RandomClustering clustering(rng, 20);
      ChangeList changes;
      Work work;
      clustering.build(sequence.view(60), changes, work);
      const auto scorer =
          fed({{"bits", std::int64_t{3}}, {"reduce", std::string(mass ? "mass" : "max")}}, sequence, 60, 60);
      const auto keys = decoded(*scorer, sequence, 60);
      const std::vector<float> queries = random_queries(8, rng);
      const std::vector<float> scores = scores_of(*scorer, clustering, sequence, 60, queries);
      for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
        double sum = 0.0;
        double largest = -std::numeric_limits<double>::infinity();
        for (const EntryIndex entry : clustering.members(unit)) {
          double logit = 0.0;
          for (std::size_t c = 0; c < 8; ++c) {
            logit += kScale * static_cast<double>(queries[c]) * keys[static_cast<std::size_t>(entry)][c];
          }
          sum += std::exp(logit);
          largest = std::max(largest, logit);
        }
        CHECK(static_cast<double>(scores[static_cast<std::size_t>(unit)]) ==
              doctest::Approx(mass ? std::log(sum) : largest).epsilon(1e-4));
      }
    }
  }
}

TEST_CASE("product_quantisation: a short prompt gives a centroid to each key") {
  const Sequence sequence({1, 2, 7, 8}, 2);
  const auto scorer = fed({}, sequence, 1, 2);
  CHECK(decoded(*scorer, sequence, 2) == std::vector<std::vector<double>>{{1, 2}, {1, 2}});
}

TEST_CASE("product_quantisation: what does not fit the head is reported, everything at once") {
  try {
    make({{"subspaces", std::int64_t{9}}, {"code_bits", std::int64_t{3}}}, 8);
    FAIL("no error");
  } catch (const InputError& error) {
    REQUIRE(error.problems().size() == 2);
    CHECK(error.problems()[0].find("subspaces: 9 pieces of 8 channels") != std::string::npos);
    CHECK(error.problems()[1].find("code_bits: 3 bits") != std::string::npos);
  }
}

TEST_CASE("product_quantisation: work and DRAM are what the sizes say") {
  Rng rng(2);
  const Sequence sequence = Sequence::random(101, 8, rng);
  const auto scorer = make({{"iterations", std::int64_t{1}}}, 8);
  const auto clustering = tokens(sequence, 100);
  Work work;
  scorer->update({}, *clustering, sequence.view(100), work);
  // For each piece 400 elements and 64 centroids of 4 channels: 2 * 64 * 400 + 400 operations; the keys read
  // twice, the centroids read and written.
  CHECK(work.flops == 2.0 * (2.0 * 64.0 * 400.0 + 400.0));
  CHECK(work.bytes == 2.0 * (2.0 * 800.0 + 2.0 * 4.0 * 256.0));
  CHECK(scorer->dram_bytes() == 100 * 12 / 8 + 64 * 8 * 2);
  work = {};
  std::vector<float> scores(200);
  scorer->score(matrix_view(random_queries(8, rng).data(), kGroup, 8), *clustering, sequence.view(100),
                matrix_ref(scores.data(), kGroup, 100), work);
  CHECK(work.flops == 2.0 * (2.0 * 512.0 + 3.0 * 100.0));
  CHECK(work.bytes == 1024.0 + 150.0);
  work = {};
  scorer->update({}, *tokens(sequence, 101), sequence.view(101), work);
  CHECK(work.flops == 3.0 * 512.0);
  CHECK(work.bytes == 1024.0);
  CHECK(scorer->dram_bytes() == (101 * 12 + 7) / 8 + 64 * 8 * 2);
  CHECK(fed({{"code_bits", std::int64_t{64}}}, sequence, 100, 100)->dram_bytes() == 1600 + 1024);
}

}  // namespace
}  // namespace kvr
