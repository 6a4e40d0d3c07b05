#pragma once

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <span>
#include <vector>

#include "sim/interfaces/schedule.hpp"

namespace kvr {

/// Lays operations into a graph for a Schedule. An operation that costs nothing is left out: what it would
/// have waited for takes its place.
class GraphBuilder {
 public:
  /// What somebody waits for; empty: the step's start.
  using After = std::vector<OperationId>;

  explicit GraphBuilder(OperationGraph& graph) : graph_(&graph) {}

  /// Each returns what must be waited for when this operation must be.
  After compute(Purpose purpose, std::int32_t layer, double duration_s, const After& after) {
    if (!(duration_s > 0.0)) {
      return after;
    }
    return {graph_->add({.purpose = purpose,
                         .layer = layer,
                         .resource = Resource::compute,
                         .duration_s = duration_s,
                         .after = after})};
  }

  After flash(Purpose purpose, std::int32_t layer, std::span<const IoRequest> requests, const After& after) {
    if (requests.empty()) {
      return after;
    }
    return {graph_->add({.purpose = purpose,
                         .layer = layer,
                         .resource = Resource::flash,
                         .requests = requests,
                         .after = after})};
  }

  After link(Purpose purpose, std::int32_t layer, std::size_t link, double duration_s, const After& after) {
    if (!(duration_s > 0.0)) {
      return after;
    }
    return {graph_->add({.purpose = purpose,
                         .layer = layer,
                         .resource = Resource::link,
                         .duration_s = duration_s,
                         .after = after,
                         .link = static_cast<std::int32_t>(link)})};
  }

  /// All of them, each once, in the order of their first mention.
  static After joined(std::initializer_list<After> parts) {
    After all;
    for (const After& part : parts) {
      std::ranges::copy_if(part, std::back_inserter(all),
                           [&all](OperationId id) { return std::ranges::find(all, id) == all.end(); });
    }
    return all;
  }

 private:
  OperationGraph* graph_;
};

}  // namespace kvr
