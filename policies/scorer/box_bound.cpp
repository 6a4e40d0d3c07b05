// A unit is worth no more than its box is: the least and the largest value of its keys, channel by channel.
//
//   score(unit) = attention_scale * sum over the channels of max(q * least, q * largest)
//   created, split, removed: the box anew from the members; regrouped: of all units
//   appended:                the box grows by the key
//
// The score is at least every member's logit, and equal to it where the unit has one member.
#include "policies/scorer/unit_boxes.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/scorer.hpp"

namespace kvr {
namespace {

class BoxBound final : public Scorer {
 public:
  static constexpr std::string_view kName = "box_bound";
  static constexpr std::string_view kDoc =
      "Scores a unit by the largest logit that any key between the unit's least and largest values could "
      "have.";
  static constexpr std::string_view kSource = "Quest, ICML'24, sec. 3";

  using Params = NoParams;
  static ParamTable<Params> params() { return {}; }

  BoxBound(Params, const Context& context) : context_(context), boxes_(context.head_dim) {}

  void update(std::span<const Change> changes, const Clustering& clustering, const HeadView& view,
              Work& work) override {
    boxes_.follow(changes, clustering, view, work);
  }

  void score(const MatrixView<float>& queries, const Clustering&, const HeadView&,
             const MatrixRef<float>& scores, Work& work) override {
    boxes_.bound(queries, context_.attention_scale, scores);
    const auto elements = static_cast<double>(boxes_.units() * context_.head_dim);
    const auto products = static_cast<double>(queries.rows * boxes_.units() * context_.query_dim());
    work += {4.0 * products, 2.0 * kBytes * elements};
  }

  std::int64_t dram_bytes() const override { return boxes_.dram_bytes(); }

 private:
  static constexpr double kBytes = 2.0;  // an element in fp16

  Context context_;
  UnitBoxes boxes_;
};

const Registration<Scorer, BoxBound> registered;

}  // namespace
}  // namespace kvr
