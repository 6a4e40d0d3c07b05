// A unit is worth what its box is in the few channels in which the queries are largest:
//
//   channels   = max(1, round(share * head_dim)) with the largest sum of |q| over the query heads
//   end        = of each of them the unit's largest value, where the sum of q over the query heads is above
//   0,
//                else its least
//   score(unit) = attention_scale * sqrt(|q| / |q in the channels|) * sum over the channels of q * end
//                with |.| the sum of magnitudes
//   created, split, removed: the box anew from the members; regrouped: of all units
//   appended:                the box grows by the key
//
// One query head and all channels: the score is that of box_bound. Units of one entry: SparQ's.
#include <algorithm>
#include <cmath>
#include <vector>

#include "policies/scorer/unit_boxes.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/scorer.hpp"
#include "sim/kernels/topk.hpp"

namespace kvr {
namespace {

class BoxChannels final : public Scorer {
 public:
  static constexpr std::string_view kName = "box_channels";
  static constexpr std::string_view kDoc =
      "Scores a unit by its keys' least or largest values in the few channels in which the queries are "
      "largest, "
      "as if the others had as much.";
  static constexpr std::string_view kSource = "RocketKV, ICML'25 (code NVlabs/RocketKV @63637c8)";

  struct Params {
    double share = 0.5;
  };
  static ParamTable<Params> params() {
    return {{"share",
             &Params::share,
             {.doc = "channels that are asked, as a share of all, at least one",
              .min = 0,
              .max = 1,
              .source = "RocketKV: entries of a unit / (entries that are left / token budget)"}}};
  }

  BoxChannels(Params params, const Context& context)
      : context_(context),
        channels_(std::clamp<std::int64_t>(std::llround(params.share * static_cast<double>(context.head_dim)),
                                           1, context.head_dim)),
        boxes_(context.head_dim) {}

  void update(std::span<const Change> changes, const Clustering& clustering, const HeadView& view,
              Work& work) override {
    boxes_.follow(changes, clustering, view, work);
  }

  void score(const MatrixView<float>& queries, const Clustering&, const HeadView&,
             const MatrixRef<float>& scores, Work& work) override {
    const std::vector<Channel> asked = largest_channels(queries);
    for (std::int64_t query = 0; query < queries.rows; ++query) {
      const auto factor = static_cast<float>(context_.attention_scale) * missing(queries.row(query), asked);
      for (UnitId unit = 0; unit < scores.cols; ++unit) {
        scores.row(query)[static_cast<std::size_t>(unit)] = factor * product(queries.row(query), asked, unit);
      }
    }
    const auto rows = static_cast<double>(queries.rows);
    const auto products = static_cast<double>(boxes_.units() * channels_);
    work += {rows * (2.0 * products + 3.0 * static_cast<double>(context_.query_dim())), kBytes * products};
  }

  std::int64_t dram_bytes() const override { return boxes_.dram_bytes(); }

 private:
  static constexpr double kBytes = 2.0;  // an element in fp16

  struct Channel {
    std::size_t at;
    bool largest;  // which end of the box
  };

  std::vector<Channel> largest_channels(const MatrixView<float>& queries) const {
    std::vector<float> magnitudes(static_cast<std::size_t>(context_.head_dim), 0.0F);
    std::vector<float> sums(magnitudes.size(), 0.0F);
    for (std::int64_t query = 0; query < queries.rows; ++query) {
      for (std::size_t channel = 0; channel < sums.size(); ++channel) {
        magnitudes[channel] += std::abs(queries.row(query)[channel]);
        sums[channel] += queries.row(query)[channel];
      }
    }
    std::vector<std::int32_t> best;
    kernels::top_k(magnitudes, channels_, best);
    std::vector<Channel> channels;
    for (const std::int32_t channel : best) {
      const auto at = static_cast<std::size_t>(channel);
      channels.push_back({at, sums[at] > 0.0F});
    }
    return channels;
  }

  /// By how much logits over the channels are too small; 1 where the query has nothing in them.
  static float missing(std::span<const float> query, std::span<const Channel> channels) {
    float all = 0.0F;
    for (const float element : query) {
      all += std::abs(element);
    }
    float asked = 0.0F;
    for (const Channel& channel : channels) {
      asked += std::abs(query[channel.at]);
    }
    return asked > 0.0F ? std::sqrt(all / asked) : 1.0F;
  }

  float product(std::span<const float> query, std::span<const Channel> channels, UnitId unit) const {
    const auto least = boxes_.least(unit);
    const auto largest = boxes_.largest(unit);
    float sum = 0.0F;
    for (const Channel& channel : channels) {
      sum += query[channel.at] * (channel.largest ? largest : least)[channel.at];
    }
    return sum;
  }

  Context context_;
  std::int64_t channels_;
  UnitBoxes boxes_;
};

const Registration<Scorer, BoxChannels> registered;

}  // namespace
}  // namespace kvr
