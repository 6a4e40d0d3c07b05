// DynaKV's two pipelines. Operations of layer l, each after those in brackets; compute and flash are one
// resource each and take what has been ready for longest:
//
//   Q projection           [feed forward of l-1]
//   representative read    [feed forward of l-1]                     pipeline 1: under the Q projection
//   score                  [Q projection, representative read]
//   read                   [score]                                   pipeline 1: under the K/V projections
//   K/V projections        [Q projection]
//   swap in of layer l     [read of l-1, attention of l-2]           pipeline 2: under attention and FFN of
//   l-1 attention              [K/V projections, read, swap in] output projection, feed forward, each after
//   the one before update, write          [attention], beside what follows output head            [feed
//   forward of the last layer]
//
// The first layer's cached entries come in from the start of the step. While layer l computes, the cache of l
// is in use and that of l + 1 comes in, so swapping in waits for the attention two layers back to give room.
#include <algorithm>
#include <string>

#include "sim/interfaces/schedule.hpp"
#include "sim/registry.hpp"

namespace kvr {
namespace {

/// Adds operations that cost something; of those that do not, what they wait for takes their place.
class Builder {
 public:
  explicit Builder(OperationGraph& graph) : graph_(graph) {}

  using After = std::vector<OperationId>;

  /// What must be waited for when this operation must be.
  After compute(Stage stage, std::int32_t layer, double duration_s, const After& after) {
    if (!(duration_s > 0.0)) {
      return after;
    }
    return {graph_.add({.stage = stage,
                        .layer = layer,
                        .resource = Resource::compute,
                        .duration_s = duration_s,
                        .after = after})};
  }

  After flash(Stage stage, std::int32_t layer, std::span<const IoRequest> requests, const After& after) {
    if (requests.empty()) {
      return after;
    }
    return {graph_.add(
        {.stage = stage, .layer = layer, .resource = Resource::flash, .requests = requests, .after = after})};
  }

 private:
  OperationGraph& graph_;
};

Builder::After both(const Builder::After& a, const Builder::After& b) {
  Builder::After all = a;
  for (const OperationId id : b) {
    if (std::find(all.begin(), all.end(), id) == all.end()) {
      all.push_back(id);
    }
  }
  return all;
}

class DynaKv final : public Schedule {
 public:
  static constexpr std::string_view kName = "dynakv";
  static constexpr std::string_view kDoc =
      "Reads under the projections; with virtual memory, representatives and the next layer's cached entries "
      "come in while a layer computes.";
  static constexpr std::string_view kSource =
      "DynaKV, arXiv 2511.07427, sec. 6; that clean entries are dropped and not written back, and what each "
      "operation waits for, are ours";

  struct Params {
    std::string representatives = "flash";
    bool overlap_projections = true;
    bool virtual_cache = true;
  };
  static ParamTable<Params> params() {
    return {{"representatives",
             &Params::representatives,
             {.doc = "where the representatives live; on flash, changed ones are written in whole blocks",
              .choices = "flash|dram",
              .source = "DynaKV sec. 6, pipeline 1"}},
            {"overlap_projections",
             &Params::overlap_projections,
             {.doc = "read representatives under the Q projection and entries under the K/V projections, "
                     "instead of one after another",
              .source = "DynaKV sec. 6, pipeline 1"}},
            {"virtual_cache",
             &Params::virtual_cache,
             {.doc = "DRAM holds the cached entries of one layer at a time; the next layer's come in under "
                     "attention and feed forward",
              .source = "DynaKV sec. 6, pipeline 2"}}};
  }

  DynaKv(Params params, const Context&) : params_(std::move(params)) {}

  VirtualMemory virtual_memory() const override {
    return {params_.representatives == "flash", params_.virtual_cache};
  }

  void lay(std::span<const LayerDemand> layers, double output_head_s, OperationGraph& graph) const override {
    Builder builder(graph);
    Builder::After done;       // of the layer before
    Builder::After last_read;  // of the layer before
    Builder::After room;       // attention two layers back
    Builder::After attention;  // of the layer before
    std::int32_t layer = 0;
    for (const LayerDemand& demand : layers) {
      // Behind the representatives where both are ready, for scoring waits for those.
      const Queried queried = query(demand, layer, done, builder);
      const Builder::After swapped =
          builder.flash(Stage::swap_in, layer, demand.swap_reads, both(last_read, room));
      room = attention;
      attention = builder.compute(Stage::attention, layer, demand.attention_s,
                                  both(queried.key_value, both(queried.read, swapped)));
      last_read = queried.read;
      const Builder::After projected =
          builder.compute(Stage::output_projection, layer, demand.output_projection_s, attention);
      done = builder.compute(Stage::feed_forward, layer, demand.feed_forward_s, projected);
      const Builder::After updated = builder.compute(Stage::update, layer, demand.update_s, attention);
      builder.flash(Stage::write, layer, demand.writes, updated);
      ++layer;
    }
    builder.compute(Stage::output_head, layer, output_head_s, done);
  }

 private:
  /// What attention waits for, beside the cache.
  struct Queried {
    Builder::After key_value;
    Builder::After read;
  };

  Queried query(const LayerDemand& demand, std::int32_t layer, const Builder::After& done,
                Builder& builder) const {
    const Builder::After projected =
        builder.compute(Stage::query_projection, layer, demand.query_projection_s, done);
    const Builder::After fetched =
        builder.flash(Stage::representative_read, layer, demand.representative_reads,
                      params_.overlap_projections ? done : projected);
    const Builder::After scored =
        builder.compute(Stage::score, layer, demand.score_s, both(projected, fetched));
    const Builder::After read = builder.flash(Stage::read, layer, demand.reads, scored);
    const Builder::After key_value =
        builder.compute(Stage::key_value_projection, layer, demand.key_value_projection_s,
                        params_.overlap_projections ? projected : read);
    return {key_value, read};
  }

  Params params_;
};

const Registration<Schedule, DynaKv> registered;

}  // namespace
}  // namespace kvr
