#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/config/stage_config.hpp"
#include "sim/engine/heads/charge.hpp"
#include "sim/engine/heads/selection.hpp"
#include "sim/interfaces/budget.hpp"
#include "sim/interfaces/clustering.hpp"
#include "sim/interfaces/scorer.hpp"

namespace kvr {

/// One stage of one head: the units that it ranks, their scorer, and what it chose last.
///
/// It hears of every change of its units (`follow`), then for each query: `score`, the Budget's answer from
/// `candidates`, `choose`. A stage that takes what another chose has neither units nor a scorer: `take` is
/// all that it does.
class HeadStage {
 public:
  /// `own_units`: null where the stage ranks the head's clustering. `scorer`: null where it takes. `prompt`:
  /// entries when the replay begins. `needs`: of its budget.
  HeadStage(StageConfig config, std::int64_t prompt, HeadId head, std::int64_t group,
            std::unique_ptr<Clustering> own_units, std::unique_ptr<Scorer> scorer, BudgetNeeds needs,
            double attention_scale);

  const StageConfig& config() const { return config_; }
  /// Null where the stage takes.
  const Scorer* scorer() const { return scorer_.get(); }
  bool wants_attention() const { return scorer_ && scorer_->wants_attention(); }
  /// Of its units' summaries, and of units of its own.
  std::int64_t summary_bytes() const;
  std::int64_t unit_bytes() const { return own_units_ ? own_units_->dram_bytes() : 0; }
  bool ranks_tokens() const { return own_units_ != nullptr; }
  /// Whether the units of `selections` are those of the head's clustering.
  bool chose_units() const { return chose_units_; }
  /// What is ranked where not the head's clustering is; else null.
  const Clustering* own_units() const { return own_units_.get(); }

  void begin(const PromptView& prompt, Work& work);
  /// Units of its own, of the entries `live`.
  void build(const HeadView& prompt, const EntrySet& live, Work& work);
  /// Of the next entry, to a scorer that wants to know.
  void token(EntryIndex entry, TokenClass its_class) {
    if (knows_tokens_) {
      blame_scorer([&] { scorer_->token(entry, its_class); });
    }
  }
  void append(EntryIndex entry, const HeadView& view, Work& work);
  void remove(std::span<const EntryIndex> entries, const HeadView& view, Work& work);
  void attended(std::int64_t query, std::span<const EntryIndex> entries, std::span<const float> weights,
                Work& work) {
    blame_scorer([&] { scorer_->attended(query, entries, weights, work); });
  }
  /// Changes of the head's clustering; those of units of its own it knows.
  void follow(std::span<const Change> changes, const Clustering& clustering, const HeadView& view,
              Work& work);

  /// Between the stage's pins, of `visible` entries.
  CandidateRange range(std::int64_t visible) const;

  /// Ranks `units` for `queries` [group, head_dim]; `view` has the entries that count.
  void score(const MatrixView<float>& queries, const Clustering& units, const HeadView& view, Work& work);
  /// Whether its budget asks for sizes of what may be chosen, or for what that gets of the attention.
  bool counts_candidates() const { return config_.scope != Scope::head || needs_.candidate_sizes; }
  bool weighs() const { return needs_.attention; }
  /// After `score`: sizes are of what may be chosen.
  void count_candidates(const Clustering& units, const Candidates& candidates);
  /// Likewise: what that gets of the attention that `queries` pay to those of `view` that are `live`.
  void weigh(const MatrixView<float>& queries, const HeadView& view, const EntrySet& live,
             const Clustering& units, const Candidates& candidates, Work& work);
  /// Scores and sizes for the Budget; sizes, where it estimates and has chosen, of what it left.
  std::span<const float> budget_scores() const;
  std::span<const std::int32_t> sizes() const { return sizes_; }
  /// [query heads, units], or nothing where its budget does not ask for it.
  MatrixView<float> weights() const {
    return weights_.empty() ? MatrixView<float>()
                            : matrix_view<float>(weights_.data(), group_, std::ssize(sizes_));
  }
  /// Takes units by rank until `budget` of `candidates` are chosen. `candidates` [1 or query heads].
  void choose(std::int64_t budget, const Clustering& units, std::span<const Candidates> candidates);
  /// Once it has chosen: lets sketches stand for `budget` entries that it left.
  void sketch(std::int64_t budget, const Clustering& units, std::span<const Candidates> candidates);
  /// What they come to in the attention of some query heads of selection `selection`: see Scorer::estimate.
  void estimate(const MatrixView<float>& queries, std::size_t selection, const MatrixRef<float>& out,
                std::span<PartialSoftmax> normalisers, Work& work);
  /// By selection; nothing where the stage does not estimate.
  std::span<const SketchedUnit> sketched(std::size_t selection) const { return sketched_[selection]; }
  /// Of what `from` chose, in this head or another of its captured layer or below: what `allowed(s, entry)`
  /// lets through for selection s of `count`. `same_head`: its units are this stage's.
  template <class Allowed>
  void take(const HeadStage& from, bool same_head, std::size_t count, Allowed allowed) {
    chose_units_ = same_head && from.chose_units_;
    selections_.resize(std::max(count, from.selections_.size()));
    sketched_.assign(selections_.size(), {});
    for (std::size_t s = 0; s < selections_.size(); ++s) {
      narrow(
          from.selections_[from.selections_.size() == 1 ? 0 : s],
          [&](EntryIndex entry) { return allowed(s, entry); }, selections_[s]);
    }
  }
  /// One for each query head where the stage folds by `none` or is given candidates for each, else one.
  std::span<const Selection> selections() const { return selections_; }
  /// [units] that were ranked last, by which a selection was chosen; of a stage that does not take.
  std::span<const float> ranking(std::size_t selection) const;

 private:
  void update(std::span<const Change> changes, const Clustering& units, const HeadView& view, Work& work);
  template <class Act>
  void blame_scorer(Act act) const {
    blaming(
        Scorer::kKind, config_.scorer.type,
        [this] { return fmt::format("layer {}, head {}", head_.layer, head_.head); }, act);
  }
  /// The scorer acts, and adds what that costs to `work`.
  template <class Act>
  void charge_scorer(Work& work, Act act) {
    const Work before = work;
    blame_scorer([&] {
      act();
      check_charge(before, work);
    });
  }
  /// Ranks units without members last; throws PolicyFault where the score of another is no finite number.
  void check_scores(const MatrixRef<float>& scores) const;

  StageConfig config_;
  HeadId head_;
  std::int64_t group_;
  std::int64_t sinks_;
  std::int64_t recent_;
  std::unique_ptr<Clustering> own_units_;
  std::unique_ptr<Scorer> scorer_;
  BudgetNeeds needs_;
  double attention_scale_;
  bool knows_tokens_;

  std::vector<float> scores_;         ///< [group, units]
  std::vector<float> folded_;         ///< [1 or group, units]
  std::vector<float> budget_scores_;  ///< [units], where the stage folds by `none`
  std::vector<std::int32_t> sizes_;
  std::vector<float> weights_;  ///< [group, units], or empty
  bool chose_units_;
  std::vector<Selection> selections_;
  std::vector<std::vector<SketchedUnit>> sketched_;  ///< [selections]
};

}  // namespace kvr
