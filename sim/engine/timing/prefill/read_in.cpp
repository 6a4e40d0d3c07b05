// Tokens read in, laid on the machine, layer by layer:
//
//   read what was there before     as soon as the layer before begins
//   project, attend, feed forward  attention waits for what is read
//   units, summaries, codecs
//   write                          beside what later layers compute

#include <algorithm>

#include "sim/engine/timing/machine.hpp"
#include "sim/interfaces/graph_builder.hpp"

namespace kvr {

std::vector<IoRequest> Machine::requests_of(std::int64_t layer, std::span<const Extent> extents,
                                            IoKind kind) {
  RequestList list;
  for (std::int64_t copy = 0; copy < extrapolation_.copies(); ++copy) {
    for (const Extent& extent : extents) {
      if (copy < extrapolation_.repetitions() || list.deals_one(extrapolation_)) {
        add_request(extent, kind, layer * extrapolation_.copies() + copy, list);
      }
    }
  }
  return std::move(list.requests);
}

Prefill Machine::read_in(std::span<const PrefillLayer> layers, std::int64_t tokens,
                         std::span<const LayerMemory> memories) {
  const std::unique_ptr<LanguageModel> model = make_model_(tokens);
  const WeightFormat weights = model->weight_format();
  const double policies = extrapolation_.head_share() * extrapolation_.dim_ratio;
  std::vector<std::vector<IoRequest>> requests;  // behind the graph's spans
  requests.reserve(2 * static_cast<std::size_t>(extrapolation_.layers));
  graph_.clear();
  GraphBuilder builder(graph_);
  GraphBuilder::After before;  // what the layer before begins after
  GraphBuilder::After after;
  Prefill prefill;
  double space_bytes = 0.0;
  const Work output_head = model_->output_head();  // for the last token of each
  double computed_bytes = output_head.bytes;
  for (std::int32_t m = 0; m < static_cast<std::int32_t>(extrapolation_.layers); ++m) {
    const auto from = static_cast<std::size_t>(extrapolation_.captured_layer(m));
    const PrefillLayer& layer = layers[from];
    space_bytes += static_cast<double>(memories[from].space_bytes()) * extrapolation_.head_share();
    const auto& reads = requests.emplace_back(requests_of(m, layer.reads, IoKind::read));
    const auto& writes = requests.emplace_back(requests_of(m, layer.writes, IoKind::write));
    prefill.read_bytes += total_length_bytes(reads);
    prefill.write_bytes += total_length_bytes(writes);
    const GraphBuilder::After read = builder.flash(Purpose::read, m, reads, before);
    before = after;
    const auto compute = [&](Purpose purpose, const Work& work, WeightFormat format = WeightFormat::f16) {
      computed_bytes += work.bytes;
      after = builder.compute(purpose, m, time_s(work, format), after);
    };
    compute(Purpose::query_projection, model->query_projection(), weights);
    compute(Purpose::key_value_projection, model->key_value_projection(), weights);
    after = GraphBuilder::joined({after, read});
    const double read_bytes = head_entry_bytes_ * layer.entries - layer.less_bytes;
    const double each_bytes = layer.pairs > 0.0 ? read_bytes / layer.pairs : 0.0;
    compute(Purpose::attention, heads_.head_share() * model->attention(layer.pairs, each_bytes));
    compute(Purpose::output_projection, model->output_projection(), weights);
    compute(Purpose::feed_forward, model->feed_forward(), weights);
    compute(Purpose::update, policies * layer.policy);
    builder.flash(Purpose::write, m, writes, after);
  }
  builder.compute(Purpose::output_head, static_cast<std::int32_t>(extrapolation_.layers - 1),
                  time_s(output_head, model_->head_format()), after);
  set_working_set(space_bytes);
  prefill.times = scheduler_.run(graph_, now_s_, spans_);
  now_s_ = prefill.times.end_s;
  prefill.energy = energy_meter_.step(prefill.times, computed_bytes);
  return prefill;
}

std::int64_t total_length_bytes(std::span<const IoRequest> requests) {
  std::int64_t bytes = 0;
  for (const IoRequest& request : requests) {
    bytes += request.length_bytes;
  }
  return bytes;
}

}  // namespace kvr
