#include <doctest/doctest.h>

#include "sim/interfaces/lower_tiers.hpp"
#include "sim/interfaces/schedule.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

const std::vector<IoRequest> kRequests(2);
const std::vector<Transfer> kTransfers = {
    {.use = Use::representatives, .from = 1, .to = 0, .requests = kRequests},
    {.use = Use::swap, .from = 1, .to = 0, .requests = kRequests},
    {.use = Use::demand, .from = 1, .to = 0, .requests = kRequests},
    {.use = Use::update, .from = 0, .to = 1, .requests = kRequests}};

LayerDemand full_layer() {
  return {.query_projection_s = 1.0,
          .key_value_projection_s = 2.0,
          .score_s = 3.0,
          .attention_s = 4.0,
          .output_projection_s = 5.0,
          .feed_forward_s = 6.0,
          .update_s = 7.0,
          .transfers = std::span(kTransfers).subspan(2)};
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
  layer.transfers = std::span(kTransfers).last(1);
  layer.score_s = 0.0;
  const OperationGraph graph = lay({&layer, 1}, 0.0);
  CHECK(stages_of(graph) == std::vector<Purpose>{Purpose::query_projection, Purpose::key_value_projection,
                                                 Purpose::attention, Purpose::output_projection,
                                                 Purpose::feed_forward, Purpose::update, Purpose::write});
  check_chain(graph);
}

TEST_CASE("serial: what was on flash meanwhile is read where it is needed") {
  LayerDemand layer = full_layer();
  layer.transfers = kTransfers;
  const OperationGraph graph = lay({&layer, 1}, 0.0);
  CHECK(stages_of(graph) == std::vector<Purpose>{Purpose::query_projection, Purpose::key_value_projection,
                                                 Purpose::representative_read, Purpose::score,
                                                 Purpose::swap_in, Purpose::read, Purpose::attention,
                                                 Purpose::output_projection, Purpose::feed_forward,
                                                 Purpose::update, Purpose::write});
  check_chain(graph);
}

TEST_CASE("transfers of a layer: over links at once, what flash gives behind it over each link in turn") {
  // Tier 1 has some, tier 2 has some, the flash (3) has the rest; one goes down.
  const std::vector<Transfer> transfers = {
      {.use = Use::demand, .from = 1, .to = 0, .duration_s = 1.0},
      {.use = Use::demand, .from = 2, .to = 1, .duration_s = 2.0},
      {.use = Use::demand, .from = 3, .to = 0, .requests = kRequests},
      {.use = Use::demand, .from = 2, .to = 1, .behind = true, .duration_s = 3.0},
      {.use = Use::demand, .from = 1, .to = 0, .behind = true, .duration_s = 4.0},
      {.use = Use::demotion, .from = 0, .to = 1, .duration_s = 5.0}};
  OperationGraph graph;
  GraphBuilder builder(graph);
  const OperationId before = builder.compute(Purpose::score, 0, 1.0, {}).front();
  const Laid laid = lay_transfers(builder, transfers, {Use::demand}, 0, {before}, Transfers::at_once);
  const auto operations = graph.operations();
  REQUIRE(operations.size() == 6);
  const std::vector<OperationId> after = {before};
  CHECK(operations[1].after == after);
  CHECK(operations[1].link == 0);
  CHECK(operations[2].after == after);
  CHECK(operations[2].link == 1);
  CHECK(operations[3].after == after);
  CHECK(operations[3].resource == Resource::flash);
  CHECK(operations[4].after == std::vector<OperationId>{3});
  CHECK(operations[4].link == 1);
  CHECK(operations[5].after == std::vector<OperationId>{4});
  CHECK(operations[5].link == 0);
  CHECK(laid.flash == std::vector<OperationId>{3});
  CHECK(laid.all == std::vector<OperationId>{1, 2, 5});
  const Laid down = lay_transfers(builder, transfers, {Use::demotion}, 0, {before}, Transfers::in_turn);
  CHECK(graph.operations().back().purpose == Purpose::demotion);
  CHECK(graph.operations().back().link == 0);
  CHECK(down.all == std::vector<OperationId>{6});
  CHECK(down.flash == after);
}

TEST_CASE("serial: a step without cost has no operation") {
  const LayerDemand nothing = {};
  CHECK(lay({&nothing, 1}, 0.0).operations().empty());
}

}  // namespace
}  // namespace kvr
