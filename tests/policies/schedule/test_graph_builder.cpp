#include <doctest/doctest.h>

#include <limits>
#include <vector>

#include "sim/interfaces/graph_builder.hpp"

namespace kvr {
namespace {

using After = GraphBuilder::After;

TEST_CASE("graph builder: what costs something is added and is what the next one waits for") {
  const std::vector<IoRequest> requests(3);
  OperationGraph graph;
  GraphBuilder builder(graph);
  const After scored = builder.compute(Purpose::score, 4, 0.5, {});
  const After read = builder.flash(Purpose::read, 4, requests, scored);
  CHECK(scored == After{0});
  CHECK(read == After{1});
  REQUIRE(graph.operations().size() == 2);
  const Operation& first = graph.operations()[0];
  CHECK(first.purpose == Purpose::score);
  CHECK(first.resource == Resource::compute);
  CHECK(first.layer == 4);
  CHECK(first.duration_s == 0.5);
  CHECK(first.after.empty());
  const Operation& second = graph.operations()[1];
  CHECK(second.resource == Resource::flash);
  CHECK(second.requests.size() == 3);
  CHECK(second.after == After{0});
}

TEST_CASE("graph builder: in place of what costs nothing stands what it would have waited for") {
  OperationGraph graph;
  GraphBuilder builder(graph);
  for (const double nothing_s : {0.0, -1.0, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK(builder.compute(Purpose::score, 0, nothing_s, {5, 7}) == After{5, 7});
  }
  CHECK(builder.flash(Purpose::read, 0, {}, {5, 7}) == After{5, 7});
  CHECK(graph.operations().empty());
}

TEST_CASE("graph builder: a join names each once, in the order of the first mention") {
  CHECK(GraphBuilder::joined({}).empty());
  CHECK(GraphBuilder::joined({{3, 1}, {}, {1, 2, 3}, {0}}) == After{3, 1, 2, 0});
}

}  // namespace
}  // namespace kvr
