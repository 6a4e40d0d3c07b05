// Rows by their share in a few directions, which all stay in DRAM: nothing of them is on flash.
//
//   A    = the first `rank` right singular vectors of the head's rows, when the prompt ends
//   kept = row A, two bytes an element;   row' = kept A^T
//
// ||row - row'|| is the row's part outside the directions; over the prompt the sum of its squares is that of
// the squared singular values left out (Eckart and Young 1936), up to the rounding to fp16.
#include <fmt/format.h>

#include <cstring>
#include <vector>

#include "policies/codec/half_range.hpp"
#include "sim/base/convert.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/codec.hpp"
#include "sim/kernels/dot.hpp"
#include "sim/kernels/principal_directions.hpp"

namespace kvr {
namespace {

constexpr double kBytes = 2.0;  // an element in fp16

class LowRankHead final : public HeadCodec {
 public:
  LowRankHead(std::int64_t rank, std::int64_t width) : rank_(rank), width_(width) {}

  void fit(const PromptRows& prompt, Work& work) override {
    kernels::RowProducts products(width_);
    std::vector<float> row(static_cast<std::size_t>(width_));
    prompt.live.for_each([&](EntryIndex entry) {
      to_float(prompt.rows.row(entry), row);
      products.add(matrix_view<float>(row.data(), 1, width_));
    });
    basis_ = products.directions(rank_, false).basis;
    const auto w = static_cast<double>(width_);
    const auto n = static_cast<double>(prompt.live.size());
    work += {n * w * w + 9.0 * w * w * w, kBytes * n * w};
  }

  void encode(std::span<const float> row, const KnownRows&, StoredRow& stored, Work& work) override {
    std::vector<float> shares(static_cast<std::size_t>(rank_));
    kernels::multiply(matrix_view(row.data(), 1, width_), basis(), matrix_ref(shares.data(), 1, rank_));
    stay_in_half_range(shares);
    std::vector<Half> kept(shares.size());
    to_half(shares, kept);
    stored.blob.resize(kept.size() * sizeof(Half));
    std::memcpy(stored.blob.data(), kept.data(), stored.blob.size());
    const auto w = static_cast<double>(width_);
    const auto r = static_cast<double>(rank_);
    work += {2.0 * w * r, kBytes * (w + w * r + r)};
  }

  void decode(std::span<const std::byte> blob, const MatrixView<float>&,
              std::span<float> row) const override {
    std::vector<Half> kept(static_cast<std::size_t>(rank_));
    std::memcpy(kept.data(), blob.data(), blob.size());
    std::vector<float> shares(kept.size());
    to_float(kept, shares);
    for (std::int64_t channel = 0; channel < width_; ++channel) {
      row[static_cast<std::size_t>(channel)] = kernels::dot(basis().row(channel), shares);
    }
  }

  /// The directions.
  std::int64_t dram_bytes() const override { return 2 * std::ssize(basis_); }

 private:
  MatrixView<float> basis() const { return matrix_view(basis_.data(), width_, rank_); }

  std::int64_t rank_;
  std::int64_t width_;
  std::vector<float> basis_;  // [width, rank]
};

class LowRankRows final : public Codec {
 public:
  static constexpr std::string_view kName = "low_rank";
  static constexpr std::string_view kDoc =
      "A row's share in a few directions of the head's prompt, all of it in DRAM; for keys, whose values "
      "alone "
      "are then on flash.";
  static constexpr std::string_view kSource =
      "ShadowKV, ICML'25, whose directions are of all heads' keys together before their rotation";

  struct Params {
    std::int64_t rank = 0;
  };
  static ParamTable<Params> params() {
    return {{"rank",
             &Params::rank,
             {.doc = "directions, no more than elements of a row; 0: one for six elements, rounded up",
              .min = 0,
              .max = 1 << 20,
              .source = "ShadowKV: 160 of 1024"}}};
  }

  LowRankRows(Params params, const Context& context) : params_(params) {
    if (params.rank > context.head_dim) {
      throw InputError(fmt::format("rank: {} directions of {} elements; allowed: 1 to {}", params.rank,
                                   context.head_dim, context.head_dim));
    }
  }

  std::int64_t row_bytes(std::int64_t) const override { return 0; }
  std::int64_t kept_bytes(std::int64_t width) const override { return 2 * rank_of(width); }
  bool lossless() const override { return false; }
  Work decode_work(std::int64_t width) const override {
    const auto w = static_cast<double>(width);
    const auto r = static_cast<double>(rank_of(width));
    return {2.0 * w * r, kBytes * (r + w)};
  }
  std::unique_ptr<HeadCodec> of_head(const HeadContext& context) const override {
    return std::make_unique<LowRankHead>(rank_of(context.width), context.width);
  }

 private:
  static constexpr std::int64_t kDefaultShare = 6;  // elements for each direction

  std::int64_t rank_of(std::int64_t width) const {
    return params_.rank > 0 ? params_.rank : (width + kDefaultShare - 1) / kDefaultShare;
  }

  Params params_;
};

const Registration<Codec, LowRankRows> registered;

}  // namespace
}  // namespace kvr
