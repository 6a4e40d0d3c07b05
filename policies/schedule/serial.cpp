// One operation after another, on whichever resource:
//
//   for each layer: Q projection, K/V projection, score, read, attention, output projection, feed forward,
//                   update, write
//   then the output head
//
// Nothing overlaps, so the step takes the sum of its parts: what every pipeline is measured against.
#include "sim/base/registry.hpp"
#include "sim/interfaces/schedule.hpp"

namespace kvr {
namespace {

/// Adds operations to a graph, each after the one before; those that cost nothing are left out.
class Chain {
 public:
  explicit Chain(OperationGraph& graph) : graph_(graph) {}

  void compute(Purpose purpose, std::int32_t layer, double duration_s) {
    if (duration_s > 0.0) {
      link({.purpose = purpose, .layer = layer, .resource = Resource::compute, .duration_s = duration_s});
    }
  }

  void flash(Purpose purpose, std::int32_t layer, std::span<const IoRequest> requests) {
    if (!requests.empty()) {
      link({.purpose = purpose, .layer = layer, .resource = Resource::flash, .requests = requests});
    }
  }

 private:
  void link(Operation operation) {
    if (last_ >= 0) {
      operation.after = {last_};
    }
    last_ = graph_.add(std::move(operation));
  }

  OperationGraph& graph_;
  OperationId last_ = -1;
};

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
    Chain chain(graph);
    std::int32_t layer = 0;
    for (const LayerDemand& demand : layers) {
      chain.compute(Purpose::query_projection, layer, demand.query_projection_s);
      chain.compute(Purpose::key_value_projection, layer, demand.key_value_projection_s);
      chain.compute(Purpose::score, layer, demand.score_s);
      chain.flash(Purpose::read, layer, demand.reads);
      chain.compute(Purpose::attention, layer, demand.attention_s);
      chain.compute(Purpose::output_projection, layer, demand.output_projection_s);
      chain.compute(Purpose::feed_forward, layer, demand.feed_forward_s);
      chain.compute(Purpose::update, layer, demand.update_s);
      chain.flash(Purpose::write, layer, demand.writes);
      ++layer;
    }
    chain.compute(Purpose::output_head, layer, output_head_s);
  }
};

const Registration<Schedule, Serial> registered;

}  // namespace
}  // namespace kvr
