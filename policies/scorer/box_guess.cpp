// What a predictor makes of the units that is right about each with a given probability:
//
//   score(unit) = box_bound's, for the queries that it is asked with
//   with probability 1 - accuracy, drawn anew for every unit each time, the unit is missed:
//   score(unit) = 2 lowest - box_bound's - 1, below all that are not missed, and the lower the better it is
//
// With queries that no system has yet (`queries: oracle`), and before a stage that ranks by box_bound with
// the same budget, `accuracy` of what the stage chooses is expected to be guessed; what it does not choose
// takes the place of the rest. Draws do not depend on `accuracy`: what is missed at a higher one is at a
// lower.
//
// It stands for any predictor of that accuracy, which has a size and takes a time that nothing here says:
// none is charged, so that it bounds what they could do.
#include <algorithm>
#include <limits>
#include <vector>

#include "policies/scorer/unit_boxes.hpp"
#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/interfaces/scorer.hpp"

namespace kvr {
namespace {

class BoxGuess final : public Scorer {
 public:
  static constexpr std::string_view kName = "box_guess";
  static constexpr std::string_view kDoc =
      "Scores a unit as box_bound does, but for those that it misses by chance; a stand-in for a predictor, "
      "which takes neither time nor memory.";
  static constexpr std::string_view kSource = "CXL-SpecKV, FPGA'26, as its text describes it";

  struct Params {
    double accuracy = 0.95;
  };
  static ParamTable<Params> params() {
    return {{"accuracy",
             &Params::accuracy,
             {.doc = "probability that a unit is not missed",
              .min = 0.0,
              .max = 1.0,
              .source = "CXL-SpecKV: 0.95 of the next tokens among its four guesses (its claim)"}}};
  }

  BoxGuess(const Params& params, const Context& context)
      : accuracy_(params.accuracy),
        attention_scale_(context.attention_scale),
        boxes_(context.head_dim),
        draws_(stream_of(context)) {}

  void update(std::span<const Change> changes, const Clustering& clustering, const HeadView& view,
              Work& /*work*/) override {
    Work of_boxes;
    boxes_.follow(changes, clustering, view, of_boxes);
  }

  void score(const MatrixView<float>& queries, const Clustering& clustering, const HeadView&,
             const MatrixRef<float>& scores, Work& /*work*/) override {
    boxes_.bound(queries, attention_scale_, scores);
    draw_missed(clustering);
    for (std::int64_t query = 0; query < scores.rows; ++query) {
      sink_missed(clustering, scores.row(query));
    }
  }

  std::int64_t dram_bytes() const override { return 0; }

 private:
  /// Of copies of a sequence the same, so that a fork draws what its parent drew.
  static Rng stream_of(const Context& context) {
    return Rng::stream(context.root_seed, "scorer.box_guess",
                       static_cast<std::uint64_t>(context.head.layer * 65536 + context.head.head));
  }

  /// A draw for each unit, so that none hangs on what became of another.
  void draw_missed(const Clustering& clustering) {
    missed_.clear();
    for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
      if (draws_.uniform() >= accuracy_ && !clustering.members(unit).empty()) {
        missed_.push_back(unit);
      }
    }
  }

  /// For all of a group's queries the same units, whichever of them asks.
  void sink_missed(const Clustering& clustering, std::span<float> scores) const {
    float lowest = std::numeric_limits<float>::max();
    for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
      if (!clustering.members(unit).empty()) {
        lowest = std::min(lowest, scores[static_cast<std::size_t>(unit)]);
      }
    }
    for (const UnitId unit : missed_) {
      float& score = scores[static_cast<std::size_t>(unit)];
      score = 2.0F * lowest - score - 1.0F;
    }
  }

  double accuracy_;
  double attention_scale_;
  UnitBoxes boxes_;
  Rng draws_;
  std::vector<UnitId> missed_;  // scratch
};

const Registration<Scorer, BoxGuess> registered;

}  // namespace
}  // namespace kvr
