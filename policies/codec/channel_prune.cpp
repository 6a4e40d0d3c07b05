// Rows without the channels that count least in their products with queries:
//
//   worth[c] = sum over the window's queries of q[c]^2  *  sum over the live rows of k[c]^2
//   dropped  = the floor(share * d) channels of least worth, of equals the later ones; when the prompt ends
//   blob     = the others, two bytes each;   row' = row where a channel is kept, 0 elsewhere
//
// The square root of worth[c] is the Frobenius norm of what channel c adds to the scores of the window: an
// outer product of a column of queries and one of keys. A score is off by the sum over the dropped channels
// of q[c] k[c], and by nothing else.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/codec.hpp"

namespace kvr {
namespace {

constexpr std::int64_t kBytes = 2;  // an element in fp16

/// Of rows [count, width], the sum of squares of each channel.
std::vector<double> energies(const MatrixView<float>& rows) {
  std::vector<double> sums(static_cast<std::size_t>(rows.cols), 0.0);
  for (std::int64_t i = 0; i < rows.rows; ++i) {
    for (std::size_t channel = 0; channel < sums.size(); ++channel) {
      const double value = static_cast<double>(rows.row(i)[channel]);
      sums[channel] += value * value;
    }
  }
  return sums;
}

class ChannelPruneHead final : public HeadCodec {
 public:
  ChannelPruneHead(std::int64_t width, std::int64_t dropped) : width_(width), dropped_(dropped) {}

  void fit(const PromptRows& prompt, Work& work) override {
    std::vector<double> worth = energies(prompt.window_queries);
    const std::vector<float> rows = live_rows(prompt, width_);
    const auto keys = energies(matrix_view(rows.data(), prompt.live.size(), width_));
    std::ranges::transform(worth, keys, worth.begin(), std::multiplies<>());
    keep_best(worth);
    const auto elements = static_cast<double>((prompt.window_queries.rows + prompt.live.size()) * width_);
    work += {2.0 * elements, static_cast<double>(kBytes) * elements};
  }

  /// As of codecs that store each row for itself, no work is counted: a copy of what is written anyway.
  void encode(std::span<const float> row, const KnownRows&, StoredRow& stored, Work&) override {
    std::vector<float> values;
    for (const std::size_t channel : kept_) {
      values.push_back(row[channel]);
    }
    std::vector<Half> halves(values.size());
    to_half(values, halves);
    stored.blob.resize(halves.size() * sizeof(Half));
    std::memcpy(stored.blob.data(), halves.data(), stored.blob.size());
  }

  void decode(std::span<const std::byte> blob, const MatrixView<float>&,
              std::span<float> row) const override {
    std::vector<Half> halves(kept_.size());
    std::memcpy(halves.data(), blob.data(), blob.size());
    std::vector<float> values(halves.size());
    to_float(halves, values);
    std::ranges::fill(row, 0.0F);
    for (std::size_t i = 0; i < kept_.size(); ++i) {
      row[kept_[i]] = values[i];
    }
  }

  /// A bit a channel says which are kept.
  std::int64_t dram_bytes() const override { return (width_ + 7) / 8; }

 private:
  static std::vector<float> live_rows(const PromptRows& prompt, std::int64_t width) {
    std::vector<float> rows(static_cast<std::size_t>(prompt.live.size() * width));
    auto next = std::span(rows);
    prompt.live.for_each([&](EntryIndex entry) {
      to_float(prompt.rows.row(entry), next.first(static_cast<std::size_t>(width)));
      next = next.subspan(static_cast<std::size_t>(width));
    });
    return rows;
  }

  void keep_best(const std::vector<double>& worth) {
    kept_.resize(worth.size());
    std::iota(kept_.begin(), kept_.end(), std::size_t{0});
    std::ranges::stable_sort(kept_, std::greater<>(), [&](std::size_t channel) { return worth[channel]; });
    kept_.resize(worth.size() - static_cast<std::size_t>(dropped_));
    std::ranges::sort(kept_);
  }

  std::int64_t width_;
  std::int64_t dropped_;
  std::vector<std::size_t> kept_;  ///< channels, ascending
};

class ChannelPrune final : public Codec {
 public:
  static constexpr std::string_view kName = "channel_prune";
  static constexpr std::string_view kDoc =
      "Keys without the channels that add least to the scores of the prompt's last queries; chosen for each "
      "head when the prompt has been read, and never revised.";
  static constexpr std::string_view kSource = "ThinK, ICLR'25";

  struct Params {
    double share = 0.4;
    std::int64_t window = 32;
    std::int64_t recent = 32;
  };
  static ParamTable<Params> params() {
    return {{"share",
             &Params::share,
             {.doc = "of the channels that are dropped, rounded down to whole ones",
              .min = 0.0,
              .max = 1.0,
              .source = "ThinK: 0.4"}},
            {"window",
             &Params::window,
             {.doc = "last queries of the prompt that channels are judged by",
              .unit = "entries",
              .min = 1,
              .max = bounds::kEntries,
              .source = "ThinK: 32"}},
            {"recent",
             &Params::recent,
             {.doc = "newest entries that keep all channels, in the first tier",
              .unit = "entries",
              .min = 0,
              .max = bounds::kEntries,
              .source = "ThinK: 32 (128 as a function's default)"}}};
  }

  ChannelPrune(const Params& params, const Context& context) : params_(params) {
    if (dropped(context.head_dim) == context.head_dim) {
      throw InputError(fmt::format("share: {} drops all {} channels; allowed: less, so that one is left",
                                   params.share, context.head_dim));
    }
  }

  std::int64_t row_bytes(std::int64_t width) const override { return kBytes * (width - dropped(width)); }
  bool lossless() const override { return params_.share == 0.0; }
  std::int64_t prompt_window() const override { return params_.window; }
  std::int64_t tail() const override { return params_.recent; }
  std::unique_ptr<HeadCodec> of_head(const HeadContext& context) const override {
    return std::make_unique<ChannelPruneHead>(context.width, dropped(context.width));
  }

 private:
  std::int64_t dropped(std::int64_t width) const {
    constexpr double kSlack = 1e-9;  // 0.29 of 100 is a little less than 29 in binary
    return static_cast<std::int64_t>(std::floor(params_.share * static_cast<double>(width) + kSlack));
  }

  Params params_;
};

const Registration<Codec, ChannelPrune> registered;

}  // namespace
}  // namespace kvr
