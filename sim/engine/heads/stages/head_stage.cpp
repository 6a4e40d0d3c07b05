#include "sim/engine/heads/stages/head_stage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/base/error.hpp"
#include "sim/engine/heads/choosing/unit_weights.hpp"

namespace kvr {
namespace {

/// A stage's own units ask for no loads, so that residency does not matter.
struct AllResident final : ResidentUnits {
  bool resident(UnitId) const override { return true; }
};

}  // namespace

HeadStage::HeadStage(StageConfig config, std::int64_t prompt, HeadId head, std::int64_t group,
                     std::unique_ptr<Clustering> own_units, std::unique_ptr<Scorer> scorer, BudgetNeeds needs,
                     double attention_scale)
    : config_(std::move(config)),
      head_(head),
      group_(group),
      sinks_(config_.sinks.of(prompt)),
      recent_(config_.recent.of(prompt)),
      own_units_(std::move(own_units)),
      scorer_(std::move(scorer)),
      needs_(needs),
      attention_scale_(attention_scale),
      knows_tokens_(scorer_ && scorer_->needs().token_classes),
      chose_units_(!own_units_) {}

std::int64_t HeadStage::summary_bytes() const {
  std::int64_t bytes = 0;
  if (scorer_) {
    blame_scorer([&] { bytes = checked_dram_bytes(scorer_->dram_bytes()); });
  }
  return bytes;
}

void HeadStage::begin(const PromptView& prompt, Work& work) {
  if (scorer_) {
    charge_scorer(work, [&] { scorer_->begin(prompt, work); });
  }
}

void HeadStage::build(const HeadView& prompt, const EntrySet& live, Work& work) {
  if (own_units_) {
    ChangeList changes;
    own_units_->build(prompt, live, changes, work);
    update(changes, *own_units_, prompt, work);
  }
}

void HeadStage::append(EntryIndex entry, const HeadView& view, Work& work) {
  if (own_units_) {
    ChangeList changes;
    own_units_->append(entry, view, AllResident(), changes, work);
    update(changes, *own_units_, view, work);
  }
}

void HeadStage::remove(std::span<const EntryIndex> entries, const HeadView& view, Work& work) {
  if (own_units_) {
    ChangeList changes;
    own_units_->remove(entries, view, changes, work);
    update(changes, *own_units_, view, work);
  }
}

void HeadStage::update(std::span<const Change> changes, const Clustering& units, const HeadView& view,
                       Work& work) {
  charge_scorer(work, [&] { scorer_->update(changes, units, view, work); });
}

void HeadStage::follow(std::span<const Change> changes, const Clustering& clustering, const HeadView& view,
                       Work& work) {
  if (scorer_ && !own_units_) {
    update(changes, clustering, view, work);
  }
}

CandidateRange HeadStage::range(std::int64_t visible) const {
  return candidate_range(visible, sinks_, recent_);
}

void HeadStage::score(const MatrixView<float>& queries, const Clustering& units, const HeadView& view,
                      Work& work) {
  const std::int64_t count = units.unit_count();
  scores_.assign(static_cast<std::size_t>(group_ * count),
                 std::numeric_limits<float>::quiet_NaN());  // to be told
  const auto scores = matrix_ref(scores_.data(), group_, count);
  charge_scorer(work, [&] { scorer_->score(queries, units, view, scores, work); });
  sizes_.resize(static_cast<std::size_t>(count));
  for (UnitId unit = 0; unit < count; ++unit) {
    sizes_[static_cast<std::size_t>(unit)] = static_cast<std::int32_t>(units.members(unit).size());
  }
  check_scores(scores);
  fold_scores(scores, config_.norm, config_.fold, folded_);
  if (config_.fold == Fold::none) {
    fold_scores(scores, Norm::none, Fold::mean, budget_scores_);
  }
}

void HeadStage::count_candidates(const Clustering& units, const Candidates& candidates) {
  for (UnitId unit = 0; unit < units.unit_count(); ++unit) {
    const auto members = units.members(unit);
    sizes_[static_cast<std::size_t>(unit)] = static_cast<std::int32_t>(
        std::ranges::count_if(members, [&](EntryIndex entry) { return candidates.contains(entry); }));
  }
}

void HeadStage::weigh(const MatrixView<float>& queries, const HeadView& view, const EntrySet& live,
                      const Clustering& units, const Candidates& candidates, Work& work) {
  weights_.resize(static_cast<std::size_t>(group_ * units.unit_count()));
  work += find_unit_weights(queries, attention_scale_, view, live, units, candidates,
                            matrix_ref(weights_.data(), group_, units.unit_count()));
}

void HeadStage::check_scores(const MatrixRef<float>& scores) const {
  for (std::int64_t query = 0; query < scores.rows; ++query) {
    const std::span<float> row = scores.row(query);
    for (std::size_t unit = 0; unit < row.size(); ++unit) {
      if (sizes_[unit] == 0) {
        row[unit] = -std::numeric_limits<float>::infinity();  // empty units are ranked last, and get no share
      } else if (!std::isfinite(row[unit])) {
        throw PolicyFault(
            fmt::format("scorer '{}': layer {}, head {}, query head {}, unit {}: the score is {}",
                        config_.scorer.type, head_.layer, head_.head, query, unit, row[unit]));
      }
    }
  }
}

std::span<const float> HeadStage::budget_scores() const {
  return config_.fold == Fold::none ? budget_scores_ : folded_;
}

void HeadStage::choose(std::int64_t budget, const Clustering& units, std::span<const Candidates> candidates) {
  const std::size_t rankings = config_.fold == Fold::none ? static_cast<std::size_t>(group_) : 1;
  selections_.resize(std::max(rankings, candidates.size()));
  sketched_.assign(selections_.size(), {});
  for (std::size_t s = 0; s < selections_.size(); ++s) {
    select_units(ranking(s), units, candidates[candidates.size() == 1 ? 0 : s], budget, config_.last_unit,
                 selections_[s]);
  }
  for (const UnitChoice& choice : selections_.front().units) {
    sizes_[static_cast<std::size_t>(choice.unit)] -= config_.estimates() ? choice.count : 0;
  }
}

std::span<const float> HeadStage::ranking(std::size_t selection) const {
  const std::size_t count = sizes_.size();
  return std::span(folded_).subspan(config_.fold == Fold::none ? selection * count : 0, count);
}

void HeadStage::sketch(std::int64_t budget, const Clustering& units, std::span<const Candidates> candidates) {
  for (std::size_t s = 0; s < selections_.size(); ++s) {
    sketch_units(ranking(s), units, candidates[candidates.size() == 1 ? 0 : s], selections_[s], budget,
                 sketched_[s]);
  }
}

void HeadStage::estimate(const MatrixView<float>& queries, std::size_t selection, const MatrixRef<float>& out,
                         std::span<PartialSoftmax> normalisers, Work& work) {
  charge_scorer(work, [&] {
    scorer_->estimate(queries, sketched_[selection], out, normalisers, work);
    for (const PartialSoftmax& one : normalisers) {
      KVR_CHECK(std::isfinite(one.max_logit) && std::isfinite(one.sum) && one.sum > 0.0,
                "estimates a normaliser of {} x exp({})", one.sum, one.max_logit);
    }
  });
}

}  // namespace kvr
