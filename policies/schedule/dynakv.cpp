// DynaKV's two pipelines. Operations of layer l, each after those in brackets:
//
//   Q projection         [feed forward of l-1]
//   representative read  [feed forward of l-1]            beside the Q projection: pipeline 1
//   score                [Q projection, representative read]
//   read                 [score]                          beside the K/V projections: pipeline 1
//   K/V projections      [Q projection]
//   swap in              [read of l-1, room]              beside attention, feed forward of l-1: pipeline 2
//   guess for a later    [feed forward of l-1]            layer, where the system guesses
//   prefetch for it      [guess]
//   attention            [K/V projections, read, swap in, prefetch for l]
//   output projection    [attention]
//   feed forward         [output projection]
//   update               [attention]
//   write                [update]                         with what goes to the swap area: pipeline 2
//
// The output head follows the feed forward of the last layer. Compute and flash are one resource each and
// take what has been ready for longest; the flash takes reads_outstanding operations at once. Where memory
// lies between, its links are resources beside them: what a tier has comes with the read, what goes down with
// the write.
//
// Room: while layer l computes, its cache is in use and that of l+1 comes in, so swapping in waits until
// layer l-2 has left: until its attention is over, or until it is written to its area. The first layer's
// entries come in from the start of the step.
#include "policies/schedule/reads_outstanding.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/graph_builder.hpp"
#include "sim/interfaces/guessed_reads.hpp"
#include "sim/interfaces/lower_tiers.hpp"
#include "sim/interfaces/schedule.hpp"

namespace kvr {
namespace {

using After = GraphBuilder::After;

class DynaKv final : public Schedule {
 public:
  static constexpr std::string_view kName = "dynakv";
  static constexpr std::string_view kDoc =
      "Reads under the projections; where they are on flash meanwhile, representatives and the next layer's "
      "cached entries come in while a layer computes.";
  static constexpr std::string_view kSource =
      "DynaKV, arXiv 2511.07427, sec. 6; what each operation waits for is ours";

  struct Params {
    bool overlap_projections = true;
    std::int64_t reads_outstanding = 1;
  };
  static ParamTable<Params> params() {
    return {{"overlap_projections",
             &Params::overlap_projections,
             {.doc = "read representatives under the Q projection and entries under the K/V projections, "
                     "instead of one after another",
              .source = "DynaKV sec. 6, pipeline 1"}},
            {"reads_outstanding", &Params::reads_outstanding,
             reads_outstanding_doc("ours; 1: one is done before the next is submitted")}};
  }

  DynaKv(Params params, const Context&) : params_(params) {}

  std::int64_t batches_outstanding() const override { return params_.reads_outstanding; }

  void lay(std::span<const LayerDemand> layers, double output_head_s, OperationGraph& graph) const override {
    GraphBuilder builder(graph);
    After done;       // of the layer before
    After last_read;  // of the layer before
    After room;       // two layers back
    After left;       // the cache of the layer before
    GuessedReads ahead(layers.size());
    std::int32_t layer = 0;
    for (const LayerDemand& demand : layers) {
      ahead.lay(demand.guesses, layer, done, Transfers::at_once, builder);
      // Behind the representatives where both are ready, for scoring waits for those.
      const Queried queried = query(demand, layer, done, builder);
      const After swapped =
          lay_back(builder, demand, Use::swap, layer, GraphBuilder::joined({last_read, room}));
      const After attention =
          builder.compute(Purpose::attention, layer, demand.attention_s,
                          GraphBuilder::joined({queried.key_value, queried.read, swapped, ahead.of(layer)}));
      last_read = queried.read;
      const After projected =
          builder.compute(Purpose::output_projection, layer, demand.output_projection_s, attention);
      done = builder.compute(Purpose::feed_forward, layer, demand.feed_forward_s, projected);
      const After updated = builder.compute(Purpose::update, layer, demand.update_s, attention);
      const After written = lay_writes(builder, demand, layer, updated, Transfers::at_once).flash;
      room = left;
      left = demand.leaves_by_writing ? written : attention;
      ++layer;
    }
    builder.compute(Purpose::output_head, layer, output_head_s, done);
  }

 private:
  /// What attention waits for, beside the cache.
  struct Queried {
    After key_value;
    After read;
  };

  Queried query(const LayerDemand& demand, std::int32_t layer, const After& done,
                GraphBuilder& builder) const {
    const After projected =
        builder.compute(Purpose::query_projection, layer, demand.query_projection_s, done);
    const After fetched = lay_back(builder, demand, Use::representatives, layer,
                                   params_.overlap_projections ? done : projected);
    const After scored =
        builder.compute(Purpose::score, layer, demand.score_s, GraphBuilder::joined({projected, fetched}));
    const After read = lay_reads(builder, demand, layer, scored, Transfers::at_once);
    const After key_value =
        builder.compute(Purpose::key_value_projection, layer, demand.key_value_projection_s,
                        params_.overlap_projections ? projected : read);
    return {key_value, read};
  }

  Params params_;
};

const Registration<Schedule, DynaKv> registered;

}  // namespace
}  // namespace kvr
