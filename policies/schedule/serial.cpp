// One operation after another, on whichever resource:
//
//   for each layer: guess and prefetch of each later layer that it leads to, Q projection, K/V projection,
//                   representative read, score, swap in, read, attention, output projection, feed forward,
//                   update, write; what several tiers have to read or write in turn
//   then the output head
//
// Nothing overlaps, so the step takes the sum of its parts: what every pipeline is measured against.
#include "sim/base/registry.hpp"
#include "sim/interfaces/graph_builder.hpp"
#include "sim/interfaces/guessed_reads.hpp"
#include "sim/interfaces/lower_tiers.hpp"
#include "sim/interfaces/schedule.hpp"

namespace kvr {
namespace {

class Serial final : public Schedule {
 public:
  static constexpr std::string_view kName = "serial";
  static constexpr std::string_view kDoc =
      "Lets nothing overlap: compute waits for flash and flash for compute.";
  static constexpr std::string_view kSource = "ours (the baseline of every pipeline)";

  using Params = NoParams;
  static ParamTable<Params> params() { return {}; }

  Serial(Params, const Context&) {}

  void lay(std::span<const LayerDemand> layers, double output_head_s, OperationGraph& graph) const override {
    GraphBuilder builder(graph);
    GuessedReads ahead(layers.size());
    GraphBuilder::After last;
    std::int32_t layer = 0;
    for (const LayerDemand& demand : layers) {
      last = ahead.lay(demand.guesses, layer, last, Transfers::in_turn, builder);
      last = builder.compute(Purpose::query_projection, layer, demand.query_projection_s, last);
      last = builder.compute(Purpose::key_value_projection, layer, demand.key_value_projection_s, last);
      last = lay_back(builder, demand, Use::representatives, layer, last);
      last = builder.compute(Purpose::score, layer, demand.score_s, last);
      last = lay_back(builder, demand, Use::swap, layer, last);
      last = lay_reads(builder, demand, layer, last, Transfers::in_turn);
      last = builder.compute(Purpose::attention, layer, demand.attention_s, last);
      last = builder.compute(Purpose::output_projection, layer, demand.output_projection_s, last);
      last = builder.compute(Purpose::feed_forward, layer, demand.feed_forward_s, last);
      last = builder.compute(Purpose::update, layer, demand.update_s, last);
      last = lay_writes(builder, demand, layer, last, Transfers::in_turn).all;
      ++layer;
    }
    builder.compute(Purpose::output_head, layer, output_head_s, last);
  }
};

const Registration<Schedule, Serial> registered;

}  // namespace
}  // namespace kvr
