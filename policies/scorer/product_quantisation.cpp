// Keys in a few bits each: product quantisation (Jegou, Douze and Schmid 2011).
//
//   prompt:       cut the channels into m pieces; k-means of each piece's keys, 2^b centroids (its codebook)
//                 code of a key: for each piece the number of its centroid
//   later key:    the nearest centroid of each piece; the codebooks never change again
//   score:        table[j][c] = attention_scale * q_j . centroid c of piece j
//                 logit(entry) = sum over j of table[j][code of the entry in piece j]
//                 of a unit: the log of its members' summed weights, or their largest logit
//
// |logit - true logit| <= attention_scale * sum over j of ||q_j|| * ||k_j - centroid||, so as many pieces as
// channels with a centroid for every key give the true logits.
#include <fmt/format.h>

#include <algorithm>

#include "policies/kmeans_work.hpp"
#include "policies/scorer/unit_worth.hpp"
#include "sim/base/convert.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/scorer.hpp"
#include "sim/kernels/dot.hpp"

namespace kvr {
namespace {

class ProductQuantisation final : public Scorer {
 public:
  static constexpr std::string_view kName = "product_quantisation";
  static constexpr std::string_view kDoc =
      "Scores entries by product-quantised keys, of which only the codes and the codebooks stay in DRAM; "
      "meant "
      "for clustering token, where a unit is an entry.";
  static constexpr std::string_view kSource = "PQCache, SIGMOD'25";

  struct Params {
    std::int64_t subspaces = 2;
    std::int64_t bits = 6;
    std::int64_t iterations = 20;
    double tolerance = 1e-4;
    std::int64_t code_bits = 0;
    std::string reduce = "mass";
  };
  static ParamTable<Params> params();

  ProductQuantisation(const Params& params, const Context& context)
      : params_(params), context_(context), worth_(params.reduce) {
    std::vector<std::string> problems;
    if (params.subspaces > context.head_dim) {
      problems.push_back(fmt::format("subspaces: {} pieces of {} channels; no more pieces than channels",
                                     params.subspaces, context.head_dim));
    }
    if (params.code_bits > 0 && params.code_bits < params.bits) {
      problems.push_back(fmt::format("code_bits: {} bits cannot hold a code of {}; 0, or {} or more",
                                     params.code_bits, params.bits, params.bits));
    }
    if (!problems.empty()) {
      throw InputError(std::move(problems));
    }
  }

  void update(std::span<const Change> changes, const Clustering&, const HeadView& view, Work& work) override {
    removed_ += std::ranges::count(changes, ChangeKind::removed, &Change::kind);
    if (codebooks_.empty()) {
      train(view, work);
    }
    for (EntryIndex entry = entries(); entry < view.entries(); ++entry) {
      encode(entry, view, work);
    }
  }

  void score(const MatrixView<float>& queries, const Clustering& clustering, const HeadView& view,
             const MatrixRef<float>& scores, Work& work) override {
    KVR_CHECK(view.entries() <= entries(), "{} entries, {} have a code", view.entries(), entries());
    logits_.resize(static_cast<std::size_t>(view.entries()));
    for (std::int64_t query = 0; query < queries.rows; ++query) {
      look_up(queries.row(query));
      for (UnitId unit = 0; unit < scores.cols; ++unit) {
        if (clustering.members(unit).empty()) {
          continue;
        }
        scores.row(query)[static_cast<std::size_t>(unit)] = worth_(logits_, 1.0F, clustering.members(unit));
      }
    }
    work += score_work(queries.rows, view.entries() - removed_);
  }

  /// Codes, and codebooks in fp16.
  std::int64_t dram_bytes() const override {
    return code_bytes(entries() - removed_) + centroids_ * context_.head_dim * 2;
  }

 private:
  std::int64_t first_channel(std::int64_t piece) const {
    return piece * context_.head_dim / params_.subspaces;
  }
  std::int64_t channels(std::int64_t piece) const { return first_channel(piece + 1) - first_channel(piece); }
  MatrixView<float> codebook(std::int64_t piece) const {
    return matrix_view<float>(codebooks_[static_cast<std::size_t>(piece)].data(), centroids_,
                              channels(piece));
  }
  EntryIndex entries() const { return static_cast<EntryIndex>(std::ssize(codes_) / params_.subspaces); }
  /// Codes are packed, up to the last byte.
  std::int64_t code_bytes(std::int64_t entries) const {
    const std::int64_t bits = params_.code_bits > 0 ? params_.code_bits : params_.bits;
    return (entries * params_.subspaces * bits + 7) / 8;
  }

  void train(const HeadView& prompt, Work& work) {
    const std::int64_t points = prompt.entries();
    centroids_ = std::min(points, std::int64_t{1} << params_.bits);
    codes_.resize(static_cast<std::size_t>(points * params_.subspaces));
    std::vector<float> keys(static_cast<std::size_t>(points * context_.head_dim));
    to_float(prompt.keys, matrix_ref(keys.data(), points, context_.head_dim));
    for (std::int64_t piece = 0; piece < params_.subspaces; ++piece) {
      const MatrixView<float> part = {keys.data() + first_channel(piece), points, channels(piece),
                                      context_.head_dim};
      // A stream without the head's number, begun anew: all heads and pieces start from the same rows.
      Rng rng = Rng::stream(context_.root_seed, "scorer.product_quantisation");
      auto result = kernels::kmeans(part,
                                    {.clusters = centroids_,
                                     .max_iterations = static_cast<int>(params_.iterations),
                                     .tolerance = params_.tolerance,
                                     .seeding = kernels::Seeding::kRandomRows},
                                    rng);
      codebooks_.push_back(std::move(result.centroids));
      for (std::int64_t i = 0; i < points; ++i) {
        codes_[static_cast<std::size_t>(i * params_.subspaces + piece)] =
            static_cast<std::uint16_t>(result.assignment[static_cast<std::size_t>(i)]);
      }
      work +=
          kmeans_work(points, channels(piece), centroids_, kernels::Seeding::kRandomRows, result.iterations);
    }
  }

  void encode(EntryIndex entry, const HeadView& view, Work& work) {
    std::vector<float> key(static_cast<std::size_t>(context_.head_dim));
    to_float(view.keys.row(entry), key);
    for (std::int64_t piece = 0; piece < params_.subspaces; ++piece) {
      const auto part = std::span<const float>(key).subspan(static_cast<std::size_t>(first_channel(piece)),
                                                            static_cast<std::size_t>(channels(piece)));
      codes_.push_back(static_cast<std::uint16_t>(kernels::nearest_centroid(part, codebook(piece))));
    }
    work += nearest_work(centroids_, context_.head_dim, kernels::Metric::kL2);
  }

  /// The logits of all entries for one query.
  void look_up(std::span<const float> query) {
    table_.resize(static_cast<std::size_t>(params_.subspaces * centroids_));
    for (std::int64_t piece = 0; piece < params_.subspaces; ++piece) {
      const auto part = query.subspan(static_cast<std::size_t>(first_channel(piece)),
                                      static_cast<std::size_t>(channels(piece)));
      for (std::int64_t c = 0; c < centroids_; ++c) {
        table_[static_cast<std::size_t>(piece * centroids_ + c)] =
            static_cast<float>(context_.attention_scale) * kernels::dot(part, codebook(piece).row(c));
      }
    }
    const std::uint16_t* code = codes_.data();
    for (float& logit : logits_) {
      logit = 0.0F;
      for (std::int64_t piece = 0; piece < params_.subspaces; ++piece) {
        logit += table_[static_cast<std::size_t>(piece * centroids_ + *code++)];
      }
    }
  }

  /// Tables of a product and a sum for each element of the codebooks; then a sum for each code, and one
  /// operation for each logit to reduce it. Codebooks and codes are read once for the group.
  Work score_work(std::int64_t group, std::int64_t entries) const {
    const auto g = static_cast<double>(group);
    const auto elements = static_cast<double>(centroids_ * context_.head_dim);
    const auto products = static_cast<double>(centroids_ * context_.query_dim());
    const auto logits = static_cast<double>(entries);
    return {g * (2.0 * products + logits * static_cast<double>(params_.subspaces + 1)),
            2.0 * elements + static_cast<double>(code_bytes(entries))};
  }

  Params params_;
  Context context_;
  UnitWorth worth_;
  std::int64_t removed_ = 0;                   // entries
  std::int64_t centroids_ = 0;                 // of each piece
  std::vector<std::vector<float>> codebooks_;  // [subspaces][centroids, channels of the piece]
  std::vector<std::uint16_t> codes_;           // [entries, subspaces]
  std::vector<float> table_;                   // [subspaces, centroids], scratch
  std::vector<float> logits_;                  // [entries], scratch
};

ParamTable<ProductQuantisation::Params> ProductQuantisation::params() {
  return {
      {"subspaces",
       &Params::subspaces,
       {.doc = "pieces that a key is cut into, as equal as can be; no more than channels",
        .min = 1,
        .max = 16'384,
        .source = "PQCache, SIGMOD'25"}},
      {"bits",
       &Params::bits,
       {.doc = "a code's bits: 2^bits centroids for each piece, no more than prompt entries",
        .unit = "bits",
        .min = 1,
        .max = 16,
        .source = "PQCache, SIGMOD'25"}},
      {"iterations",
       &Params::iterations,
       {.doc = "Lloyd iterations at most",
        .min = 1,
        .max = 10000,
        .source = "assumed; PQCache takes as many as hide behind the prefill, 3 to 300"}},
      {"tolerance",
       &Params::tolerance,
       {.doc = "stop when an iteration lowers the inertia by no more than this share of it",
        .min = 0,
        .max = 1,
        .source = "PQCache, SIGMOD'25"}},
      {"code_bits",
       &Params::code_bits,
       {.doc = "bits that a code takes in DRAM; 0: as many as it has",
        .unit = "bits",
        .min = 0,
        .max = 64,
        .source = "PQCache's code keeps 64"}},
      {"reduce", &Params::reduce, UnitWorth::doc()},
  };
}

const Registration<Scorer, ProductQuantisation> registered;

}  // namespace
}  // namespace kvr
