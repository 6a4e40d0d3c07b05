#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "sim/base/matrix.hpp"
#include "sim/interfaces/report.hpp"

namespace kvr {

/// What a Budget wants in HeadCandidates beyond scores.
struct BudgetNeeds {
  bool candidate_sizes = false;  ///< `sizes` are of `candidates` in every scope
  bool attention = false;        ///< `weights`
};

/// What a Budget may look at: one item per head of its stage's scope, layer by layer, in head order.
struct HeadCandidates {
  std::int64_t layer;             ///< captured layer index
  std::int64_t layer_number = 0;  ///< of the model
  std::int64_t head;              ///< KV head
  std::int64_t visible;           ///< entries that no stage has removed, the current one included
  std::int64_t candidates;        ///< of them, those that are neither pinned nor pending, and that earlier
                                  ///< select stages have chosen
  std::span<const float> scores;  ///< [units], folded over the group (mean where the stage folds by `none`)
  std::span<const std::int32_t> sizes;  ///< [units], members of each unit; where the scope has several heads,
                                        ///< those of `candidates`, else pinned ones too
  /// [query heads, units], where it is wanted: what the candidates of each unit get of the attention that the
  /// stage's queries, at the prompt's end its last ones, pay to all that is visible.
  MatrixView<float> weights = {};
};

/// Says how many entries each head may select, on top of what is pinned: integers, never a ratio.
class Budget {
 public:
  static constexpr std::string_view kKind = "budget";
  struct Context {
    std::int64_t layers;            ///< captured
    std::int64_t kv_heads;          ///< of a layer; 1 where they decide together
    std::int64_t prompt_entries;    ///< when the replay begins
    std::int64_t model_layers = 0;  ///< of the model that was captured
    std::int64_t stage_layers = 0;  ///< captured ones that its stage acts in
  };

  virtual ~Budget() = default;

  virtual BudgetNeeds needs() const { return {}; }
  /// `heads`: all of the stage's scope. `entries` [heads.size()]: entries allotted to each, >= 0; more than
  /// `candidates` means all. From one thread at a time; where a stage evicts at layer_end, each call of a
  /// prompt has the heads of the one before, less what that removed, and those of further layers after them.
  /// Throws InputError ("scope: ...") where it cannot divide among these.
  virtual void allot(std::span<const HeadCandidates> heads, std::span<std::int64_t> entries) = 0;
  /// Whether what a head is allotted depends on the others of the scope; where not, a scope has no effect.
  virtual bool compares_heads() const { return true; }
  /// See Report.
  virtual void report(Report& /*report*/) const {}
};

}  // namespace kvr
