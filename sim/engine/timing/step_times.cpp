#include "sim/engine/timing/step_times.hpp"

#include <algorithm>
#include <initializer_list>
#include <vector>

#include "sim/base/error.hpp"

namespace kvr {
namespace {

/// When any of `resources` was busy: sorted, and what overlaps joined.
std::vector<Span> busy(std::span<const Operation> operations, std::span<const Span> spans,
                       std::initializer_list<Resource> resources) {
  std::vector<Span> used;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    if (std::ranges::find(resources, operations[i].resource) != resources.end()) {
      used.push_back(spans[i]);
    }
  }
  std::ranges::stable_sort(used, {}, &Span::begin_s);
  std::vector<Span> joined;
  for (const Span& span : used) {
    if (!joined.empty() && span.begin_s < joined.back().end_s) {
      joined.back().end_s = std::max(joined.back().end_s, span.end_s);
    } else {
      joined.push_back(span);
    }
  }
  return joined;
}

/// Length of the parts of `a` that no interval of `b` covers; both sorted and disjoint.
double uncovered(const std::vector<Span>& a, const std::vector<Span>& b) {
  double length = 0.0;
  std::size_t j = 0;
  for (const Span& span : a) {
    double at = span.begin_s;
    while (j < b.size() && b[j].end_s <= at) {
      ++j;
    }
    for (std::size_t k = j; k < b.size() && b[k].begin_s < span.end_s; ++k) {
      length += std::max(0.0, b[k].begin_s - at);
      at = std::max(at, b[k].end_s);
    }
    length += std::max(0.0, span.end_s - at);
  }
  return length;
}

double total(const std::vector<Span>& spans) {
  double length = 0.0;
  for (const Span& span : spans) {
    length += span.end_s - span.begin_s;
  }
  return length;
}

}  // namespace

StepTimes step_times(std::span<const Operation> operations, std::span<const Span> spans, double begin_s) {
  const std::vector<Span> compute = busy(operations, spans, {Resource::compute});
  const std::vector<Span> flash = busy(operations, spans, {Resource::flash});
  const std::vector<Span> links = busy(operations, spans, {Resource::link});
  StepTimes times{begin_s, begin_s, total(compute), total(flash), uncovered(flash, compute)};
  times.link_s = total(links);
  times.exposed_link_s =
      links.empty() ? 0.0 : uncovered(links, busy(operations, spans, {Resource::compute, Resource::flash}));
  for (const Span& span : spans) {
    times.end_s = std::max(times.end_s, span.end_s);
  }
  times.hidden_io_s = times.io_s - times.exposed_io_s;
  const double slack = 1e-9 * std::max(1.0, times.end_s);
  KVR_CHECK(times.latency_s() + slack >= std::max({times.compute_s, times.io_s, times.link_s}),
            "a step of {} s has resources busy for {} s, {} s and {} s", times.latency_s(), times.compute_s,
            times.io_s, times.link_s);
  return times;
}

}  // namespace kvr
