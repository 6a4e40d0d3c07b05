// Keys by their share in a few directions:
//
//   A          = the first `rank` right singular vectors of keys, of the prompt or of another trace
//   kept(key)  = key A, two bytes an element, once the entry is a member of a unit
//   logit      = attention_scale * (query A) . kept(key)
//   of a unit:      its members' largest logit, or the log of their summed weights
//   queries: mean   the query heads' mean is asked instead of each, so all get the scores of that
//
// With as many directions as channels the logits are the true ones up to rounding. Logits are linear in the
// query: those of the mean are the means of the logits, of which a unit's largest is not the mean of the
// query heads' largest.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "policies/scorer/projected_keys.hpp"
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
      : params_(params), context_(context), worth_(params.reduce), keys_(context.head_dim) {
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
    work += static_cast<double>(keys_.follow(changes, clustering, view)) * key_work();
  }

  void score(const MatrixView<float>& queries, const Clustering& clustering, const HeadView&,
             const MatrixRef<float>& scores, Work& work) override {
    const std::vector<float> asked = asked_queries(queries);
    const std::int64_t rows = std::ssize(asked) / context_.head_dim;
    worth_.score(keys_.dots(matrix_view(asked.data(), rows, context_.head_dim)),
                 static_cast<float>(context_.attention_scale), clustering, scores);
    work += score_work(static_cast<double>(rows));
  }

  /// Projections and the basis, two bytes an element. What was calibrated serves all sequences, and counts
  /// with the first.
  std::int64_t dram_bytes() const override {
    const bool own_basis = !calibrated() || context_.head.sequence == 0;
    return 2 * params_.rank * (keys_.count() + (own_basis ? context_.head_dim : 0));
  }

 private:
  static constexpr std::int64_t kDefaultShare = 8;  // one direction for so many channels
  static constexpr double kBytes = 2.0;             // an element in fp16
  static constexpr std::int64_t kBlock = 1024;      // rows that are converted at once

  bool calibrated() const { return !params_.calibration.empty(); }

  KeyBasis calibration() const {
    return read_named_basis("calibration", params_.calibration,
                            {.model = context_.model_name,
                             .kv_heads = context_.kv_heads,
                             .layer = context_.layer_number,
                             .set = context_.heads > 1 ? 0 : context_.head.head,
                             .width = context_.head_dim,
                             .rank = params_.rank});
  }

  void take_basis(const KeyBasis& found) {
    std::vector<float> basis(found.basis.size());
    to_float(found.basis, basis);
    keys_.take_basis(std::move(basis));
  }

  /// The products of all pairs of channels, and the decomposition, about nine times the cube of the channels.
  void fit(const MatrixView<Half>& keys, Work& work) {
    kernels::RowProducts products(context_.head_dim);
    std::vector<float> block(static_cast<std::size_t>(kBlock * context_.head_dim));
    for (std::int64_t first = 0; first < keys.rows; first += kBlock) {
      const std::int64_t count = std::min(kBlock, keys.rows - first);
      to_float(keys.slice(first, count), matrix_ref(block.data(), count, context_.head_dim));
      products.add(matrix_view(block.data(), count, context_.head_dim));
    }
    std::vector<float> basis = products.directions(params_.rank, false).basis;
    for (float& element : basis) {
      element = to_float(to_half(element));  // as a calibration has it
    }
    keys_.take_basis(std::move(basis));
    const auto d = static_cast<double>(context_.head_dim);
    const auto n = static_cast<double>(keys.rows);
    work += {n * d * d + 9.0 * d * d * d, kBytes * n * d};
  }

  /// To project a key.
  Work key_work() const {
    const auto d = static_cast<double>(context_.head_dim);
    const auto r = static_cast<double>(params_.rank);
    return {2.0 * d * r, kBytes * (d + d * r + r)};
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
    const auto n = static_cast<double>(keys_.count());
    const auto d = static_cast<double>(context_.head_dim);
    const double channels = params_.queries == "mean" ? d : static_cast<double>(context_.query_dim());
    return {rows * 2.0 * r * (channels + n), kBytes * r * (d + n)};
  }

  Params params_;
  Context context_;
  UnitWorth worth_;
  ProjectedKeys keys_;
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
       {.doc = "what `kvreplay calibrate` found of a trace of the same model and KV heads; empty: the "
               "directions are those of the prompt's keys",
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
