#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/engine/walk/candidates.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// Attention of one KV head's group over everything, and the entries that it weighs most: what a selection is
/// held against. It depends on the trace alone, so replays of the same steps share it; all that was computed
/// for one of them serves the others.
class HeadTruth {
 public:
  HeadTruth(std::int64_t group, std::int64_t head_dim, double attention_scale);

  /// Another step: `queries` [group, head_dim] over `entries`, as captured, which must stay where they are.
  void ask(std::span<const Half> queries, const HeadView& entries);
  /// Computes the attention unless that was done since `ask`. One caller at a time.
  void find();

  // After `find`:

  /// [head_dim]
  std::span<const float> out(std::int64_t query) const;
  /// [entries]
  std::span<const float> probabilities(std::int64_t query) const;
  /// The `count` entries of `range` with the highest probability, best first; valid until the next call.
  std::span<const EntryIndex> best(std::int64_t query, const CandidateRange& range, std::int64_t count);
  /// The fewest entries with `kNeededMass` of all probability, best first; valid until `ask`.
  std::span<const EntryIndex> needed(std::int64_t query);
  static constexpr double kNeededMass = 0.95;

 private:
  /// The head of a ranking serves every smaller count.
  struct Ranking {
    std::int64_t query = 0;
    CandidateRange range;
    std::vector<EntryIndex> entries;
  };
  Ranking& ranking(std::int64_t query, const CandidateRange& range);

  std::int64_t group_;
  std::int64_t head_dim_;
  float attention_scale_;
  HeadView entries_;
  bool found_ = false;
  std::vector<float> queries_;
  std::vector<float> out_;
  std::vector<float> probabilities_;
  std::vector<Ranking> rankings_;
  std::vector<std::vector<EntryIndex>> needed_;  ///< [group]; empty: not asked for yet
};

}  // namespace kvr
