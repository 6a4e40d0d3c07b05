// Reading ahead: what a layer needs is guessed while earlier layers compute. Operations of layer l, each
// after those in brackets:
//
//   guess for l+n        [feed forward of l-1]
//   prefetch for l+n     [guess]                          beside all that this and later layers compute
//   Q projection         [feed forward of l-1]
//   K/V projections      [Q projection]
//   representative read  [K/V projections]
//   score                [representative read]
//   swap in              [score]
//   read                 [swap in]                        what was not guessed: nothing hides it
//   attention            [read, prefetch for l]
//   output projection    [attention]
//   feed forward         [output projection]
//   update               [attention]
//   write                [update]                         beside what follows
//
// The output head follows the feed forward of the last layer. n is the stage's lead. Computing takes what has
// been ready for longest, a guess before the projections of its layer; the flash takes reads_outstanding
// operations at once, so with 1 one layer's read is in flight.
#include "policies/schedule/reads_outstanding.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/graph_builder.hpp"
#include "sim/interfaces/guessed_reads.hpp"
#include "sim/interfaces/lower_tiers.hpp"
#include "sim/interfaces/schedule.hpp"

namespace kvr {
namespace {

using After = GraphBuilder::After;

class LookAhead final : public Schedule {
 public:
  static constexpr std::string_view kName = "look_ahead";
  static constexpr std::string_view kDoc =
      "Reads what is guessed for later layers while earlier ones compute; what was not guessed is waited "
      "for.";
  static constexpr std::string_view kSource =
      "KVSwap, arXiv 2511.11907, sec. 3.4; InfiniGen, OSDI'24, sec. 4; what each operation waits for is ours";

  struct Params {
    std::int64_t reads_outstanding = 1;
  };
  static ParamTable<Params> params() {
    return {{"reads_outstanding", &Params::reads_outstanding,
             reads_outstanding_doc("KVSwap: one layer's read is in flight")}};
  }

  LookAhead(Params params, const Context&) : params_(params) {}

  std::int64_t batches_outstanding() const override { return params_.reads_outstanding; }

  void lay(std::span<const LayerDemand> layers, double output_head_s, OperationGraph& graph) const override {
    GraphBuilder builder(graph);
    GuessedReads ahead(layers.size());
    After done;  // of the layer before
    std::int32_t layer = 0;
    for (const LayerDemand& demand : layers) {
      ahead.lay(demand.guesses, layer, done, Transfers::at_once, builder);
      const After read = lay_read(demand, layer, done, builder);
      const After attention = builder.compute(Purpose::attention, layer, demand.attention_s,
                                              GraphBuilder::joined({read, ahead.of(layer)}));
      const After projected =
          builder.compute(Purpose::output_projection, layer, demand.output_projection_s, attention);
      done = builder.compute(Purpose::feed_forward, layer, demand.feed_forward_s, projected);
      const After updated = builder.compute(Purpose::update, layer, demand.update_s, attention);
      lay_writes(builder, demand, layer, updated, Transfers::at_once);
      ++layer;
    }
    builder.compute(Purpose::output_head, layer, output_head_s, done);
  }

 private:
  /// Of what the layer itself asks for.
  static After lay_read(const LayerDemand& demand, std::int32_t layer, const After& done,
                        GraphBuilder& builder) {
    After last = builder.compute(Purpose::query_projection, layer, demand.query_projection_s, done);
    last = builder.compute(Purpose::key_value_projection, layer, demand.key_value_projection_s, last);
    last = lay_back(builder, demand, Use::representatives, layer, last);
    last = builder.compute(Purpose::score, layer, demand.score_s, last);
    last = lay_back(builder, demand, Use::swap, layer, last);
    return lay_reads(builder, demand, layer, last, Transfers::at_once);
  }

  Params params_;
};

const Registration<Schedule, LookAhead> registered;

}  // namespace
}  // namespace kvr
