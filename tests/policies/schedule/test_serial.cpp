#include <doctest/doctest.h>

#include "sim/interfaces/schedule.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

const std::vector<IoRequest> kRequests(2);

LayerDemand full_layer() {
  return {.query_projection_s = 1.0,
          .key_value_projection_s = 2.0,
          .score_s = 3.0,
          .attention_s = 4.0,
          .output_projection_s = 5.0,
          .feed_forward_s = 6.0,
          .update_s = 7.0,
          .reads = kRequests,
          .writes = kRequests};
}

OperationGraph lay(std::span<const LayerDemand> layers, double output_head_s) {
  OperationGraph graph;
  test::make<Schedule>("serial", {}, {})->lay(layers, output_head_s, graph);
  return graph;
}

std::vector<Purpose> stages_of(const OperationGraph& graph) {
  std::vector<Purpose> stages;
  for (const Operation& operation : graph.operations()) {
    stages.push_back(operation.purpose);
  }
  return stages;
}

void check_chain(const OperationGraph& graph) {
  for (std::size_t i = 0; i < graph.operations().size(); ++i) {
    const std::vector<OperationId> before =
        i == 0 ? std::vector<OperationId>{} : std::vector{static_cast<OperationId>(i - 1)};
    CHECK(graph.operations()[i].after == before);
  }
}

TEST_CASE("serial: two layers and the output head form one chain, in the order of the data") {
  const std::vector<LayerDemand> layers = {full_layer(), full_layer()};
  const OperationGraph graph = lay(layers, 8.0);
  const std::vector<Purpose> layer = {Purpose::query_projection,
                                      Purpose::key_value_projection,
                                      Purpose::score,
                                      Purpose::read,
                                      Purpose::attention,
                                      Purpose::output_projection,
                                      Purpose::feed_forward,
                                      Purpose::update,
                                      Purpose::write};
  std::vector<Purpose> expected = layer;
  expected.insert(expected.end(), layer.begin(), layer.end());
  expected.push_back(Purpose::output_head);
  CHECK(stages_of(graph) == expected);
  check_chain(graph);

  double compute_s = 0.0;
  for (const Operation& operation : graph.operations()) {
    const bool flash = operation.purpose == Purpose::read || operation.purpose == Purpose::write;
    CHECK((operation.resource == Resource::flash) == flash);
    CHECK(operation.requests.size() == (flash ? 2U : 0U));
    compute_s += operation.duration_s;
  }
  CHECK(compute_s == 2 * 28.0 + 8.0);
  CHECK(graph.operations()[8].layer == 0);
  CHECK(graph.operations()[9].layer == 1);
}

TEST_CASE("serial: what costs nothing is left out and the chain closes over it") {
  LayerDemand layer = full_layer();
  layer.reads = {};
  layer.score_s = 0.0;
  const OperationGraph graph = lay({&layer, 1}, 0.0);
  CHECK(stages_of(graph) == std::vector<Purpose>{Purpose::query_projection, Purpose::key_value_projection,
                                                 Purpose::attention, Purpose::output_projection,
                                                 Purpose::feed_forward, Purpose::update, Purpose::write});
  check_chain(graph);
}

TEST_CASE("serial: a step without cost has no operation") {
  const LayerDemand nothing = {};
  CHECK(lay({&nothing, 1}, 0.0).operations().empty());
}

}  // namespace
}  // namespace kvr
