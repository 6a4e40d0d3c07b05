// Keys by their share in a few directions:
//
//   A          = the first `rank` right singular vectors of keys, of the prompt or of another trace of the
//   model kept(key)  = key A, two bytes an element, once the entry is a member of a unit logit      =
//   attention_scale * (query A) . kept(key) of a unit:   its members' largest logit, or the log of their
//   summed weights queries: mean    the query heads' mean is asked instead of each, so all get the scores of
//   that
//
// With as many directions as channels the logits are the true ones up to rounding. Logits are linear in the
// query: those of the mean are the means of the logits, of which a unit's largest is not the mean of the
// query heads' largest.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "policies/scorer/unit_worth.hpp"
#include "sim/base/convert.hpp"
#include "sim/base/registry.hpp"
#include "sim/calibration/basis_file.hpp"
#include "sim/interfaces/scorer.hpp"
#include "sim/kernels/dot.hpp"
#include "sim/kernels/principal_directions.hpp"

namespace kvr {
namespace {

class LowRank final : public Scorer {
 public:
  static constexpr std::string_view kName = "low_rank";
  static constexpr std::string_view kDoc =
      "Scores entries by keys and queries projected on a few directions, of which the keys' projections stay "
      "in "
      "DRAM.";
  static constexpr std::string_view kSource =
      "KVSwap, arXiv 2511.11907 (all heads together, queries: mean, reduce: max); Loki, NeurIPS'24 (each "
      "head, "
      "calibrated --centred)";

  struct Params {
    std::int64_t rank = 0;
    std::string calibration;
    std::string queries = "each";
    std::string reduce = "max";
  };
  static ParamTable<Params> params();

  LowRank(const Params& params, const Context& context)
      : params_(params), context_(context), worth_(params.reduce) {
    if (params.rank == 0) {
      params_.rank = (context.head_dim + kDefaultShare - 1) / kDefaultShare;
    }
    if (params.rank > context.head_dim) {
      throw InputError(fmt::format("rank: {} directions of {} channels; allowed: 1 to {}", params.rank,
                                   context.head_dim, context.head_dim));
    }
    if (calibrated()) {
      take_basis(calibration());
    }
  }

  void begin(const PromptView& prompt, Work& work) override {
    if (!calibrated()) {
      fit(prompt.rows.keys, work);
    }
  }

  void update(std::span<const Change> changes, const Clustering& clustering, const HeadView& view,
              Work& work) override {
    kept_.resize(static_cast<std::size_t>(view.entries() * params_.rank));
    has_.resize(static_cast<std::size_t>(view.entries()), false);
    for (const Change& change : changes) {
      if (change.kind == ChangeKind::removed) {
        forget(change.entry);
      } else if (change.kind == ChangeKind::appended) {
        keep(change.entry, view, work);
      } else if (change.kind == ChangeKind::created || change.kind == ChangeKind::split) {
        keep_members(change.unit, clustering, view, work);
        if (change.kind == ChangeKind::split) {
          keep_members(change.other, clustering, view, work);
        }
      } else if (change.kind == ChangeKind::regrouped) {
        for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
          keep_members(unit, clustering, view, work);
        }
      }
    }
  }

  void score(const MatrixView<float>& queries, const Clustering& clustering, const HeadView&,
             const MatrixRef<float>& scores, Work& work) override {
    const std::vector<float> asked = asked_queries(queries);
    const std::int64_t rows = std::ssize(asked) / context_.head_dim;
    std::vector<float> projected(static_cast<std::size_t>(rows * params_.rank));
    const auto projections = matrix_ref(projected.data(), rows, params_.rank);
    kernels::multiply(matrix_view(asked.data(), rows, context_.head_dim), basis(), projections);
    const std::int64_t entries = std::ssize(has_);
    dots_.resize(static_cast<std::size_t>(rows * entries));
    const auto dots = matrix_ref(dots_.data(), rows, entries);
    kernels::dot_rows(projections.view(), matrix_view<Half>(kept_.data(), entries, params_.rank), dots);
    for (std::int64_t query = 0; query < scores.rows; ++query) {
      for (UnitId unit = 0; unit < scores.cols; ++unit) {
        if (!clustering.members(unit).empty()) {
          scores.row(query)[static_cast<std::size_t>(unit)] =
              worth_(dots.row(rows == 1 ? 0 : query), static_cast<float>(context_.attention_scale),
                     clustering.members(unit));
        }
      }
    }
    work += score_work(static_cast<double>(rows));
  }

  /// Projections and the basis, two bytes an element. What was calibrated serves all sequences, and counts
  /// with the first.
  std::int64_t dram_bytes() const override {
    const bool own_basis = !calibrated() || context_.head.sequence == 0;
    return 2 * params_.rank * (kept_entries_ + (own_basis ? context_.head_dim : 0));
  }

 private:
  static constexpr std::int64_t kDefaultShare = 8;  // one direction for so many channels
  static constexpr double kBytes = 2.0;             // an element in fp16
  static constexpr std::int64_t kBlock = 1024;      // rows that are converted at once

  bool calibrated() const { return !params_.calibration.empty(); }

  KeyBasis calibration() const {
    try {
      return read_basis(params_.calibration, {.layer = context_.layer_number,
                                              .set = context_.heads > 1 ? 0 : context_.head.head,
                                              .width = context_.head_dim,
                                              .rank = params_.rank});
    } catch (const InputError& error) {
      std::vector<std::string> problems;
      for (const std::string& problem : error.problems()) {
        problems.push_back(fmt::format("calibration: {}", problem));
      }
      throw InputError(std::move(problems));
    }
  }

  void take_basis(const KeyBasis& found) {
    basis_.resize(found.basis.size());
    to_float(found.basis, basis_);
  }

  MatrixView<float> basis() const { return matrix_view(basis_.data(), context_.head_dim, params_.rank); }

  /// The products of all pairs of channels, and the decomposition, about nine times the cube of the channels.
  void fit(const MatrixView<Half>& keys, Work& work) {
    kernels::RowProducts products(context_.head_dim);
    std::vector<float> block(static_cast<std::size_t>(kBlock * context_.head_dim));
    for (std::int64_t first = 0; first < keys.rows; first += kBlock) {
      const std::int64_t count = std::min(kBlock, keys.rows - first);
      to_float(keys.slice(first, count), matrix_ref(block.data(), count, context_.head_dim));
      products.add(matrix_view(block.data(), count, context_.head_dim));
    }
    basis_ = products.directions(params_.rank, false).basis;
    for (float& element : basis_) {
      element = to_float(to_half(element));  // as a calibration has it
    }
    const auto d = static_cast<double>(context_.head_dim);
    const auto n = static_cast<double>(keys.rows);
    work += {n * d * d + 9.0 * d * d * d, kBytes * n * d};
  }

  void keep_members(UnitId unit, const Clustering& clustering, const HeadView& view, Work& work) {
    for (const EntryIndex entry : clustering.members(unit)) {
      keep(entry, view, work);
    }
  }

  void keep(EntryIndex entry, const HeadView& view, Work& work) {
    const auto at = static_cast<std::size_t>(entry);
    if (has_[at]) {
      return;
    }
    has_[at] = true;
    ++kept_entries_;
    std::vector<float> key(static_cast<std::size_t>(context_.head_dim));
    to_float(view.keys.row(entry), key);
    std::vector<float> projected(static_cast<std::size_t>(params_.rank));
    kernels::multiply(matrix_view(key.data(), 1, context_.head_dim), basis(),
                      matrix_ref(projected.data(), 1, params_.rank));
    to_half(projected, matrix_ref(kept_.data(), std::ssize(has_), params_.rank).row(entry));
    const auto d = static_cast<double>(context_.head_dim);
    const auto r = static_cast<double>(params_.rank);
    work += {2.0 * d * r, kBytes * (d + d * r + r)};
  }

  void forget(EntryIndex entry) {
    const auto at = static_cast<std::size_t>(entry);
    kept_entries_ -= has_[at] ? 1 : 0;
    has_[at] = false;
  }

  /// [1 or group, head_dim].
  std::vector<float> asked_queries(const MatrixView<float>& queries) const {
    std::vector<float> asked;
    for (std::int64_t query = 0; query < queries.rows; ++query) {
      asked.insert(asked.end(), queries.row(query).begin(), queries.row(query).end());
    }
    if (params_.queries == "mean") {
      std::vector<float> mean(static_cast<std::size_t>(queries.cols), 0.0F);
      for (std::int64_t query = 0; query < queries.rows; ++query) {
        kernels::add_scaled(1.0F / static_cast<float>(queries.rows), queries.row(query), mean);
      }
      asked = std::move(mean);
    }
    return asked;
  }

  /// Each query's projection, over the channels that it has, then a product with every projected key.
  Work score_work(double rows) const {
    const auto r = static_cast<double>(params_.rank);
    const auto n = static_cast<double>(kept_entries_);
    const auto d = static_cast<double>(context_.head_dim);
    const double channels = params_.queries == "mean" ? d : static_cast<double>(context_.query_dim());
    return {rows * 2.0 * r * (channels + n), kBytes * r * (d + n)};
  }

  Params params_;
  Context context_;
  UnitWorth worth_;
  std::vector<float> basis_;  // [head_dim, rank]
  std::vector<Half> kept_;    // [entries, rank]
  std::vector<bool> has_;     // [entries]: whether its projection is kept
  std::int64_t kept_entries_ = 0;
  std::vector<float> dots_;  // [1 or group, entries], scratch
};

ParamTable<LowRank::Params> LowRank::params() {
  return {
      {"rank",
       &Params::rank,
       {.doc =
            "directions, no more than channels of a row: of a head, or of all heads that decide together; 0: "
            "one for eight channels",
        .min = 0,
        .max = 1 << 20,
        .source = "KVSwap: 128 and 32 of 1024 channels"}},
      {"calibration",
       &Params::calibration,
       {.doc =
            "what `kvreplay calibrate` found of a trace of the same model; empty: the directions are those "
            "of the prompt's keys",
        .is_path = true,
        .source = "KVSwap: keys of other texts"}},
      {"queries",
       &Params::queries,
       {.doc = "each: every query head has scores of its own, for `fold`; mean: their mean is asked",
        .choices = "each|mean",
        .source = "KVSwap: mean"}},
      {"reduce", &Params::reduce, UnitWorth::doc()},
  };
}

const Registration<Scorer, LowRank> registered;

}  // namespace
}  // namespace kvr
