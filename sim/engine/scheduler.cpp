#include "sim/engine/scheduler.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "sim/error.hpp"

namespace kvr {
namespace {

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

StepTimes Scheduler::run(const OperationGraph& graph, double begin_s, std::vector<Span>& spans) {
  const auto operations = graph.operations();
  spans.assign(operations.size(), {});
  std::vector<std::int32_t> waits_for(operations.size(), 0);
  std::vector<std::vector<OperationId>> dependents(operations.size());
  std::array<std::vector<Ready>, kResources> ready;
  std::array<double, kResources> free_s;
  free_s.fill(begin_s);
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const auto id = static_cast<OperationId>(i);
    for (const OperationId before : operations[i].after) {
      KVR_CHECK(before >= 0 && before < id, "operation {} depends on {}", id, before);
      dependents[static_cast<std::size_t>(before)].push_back(id);
    }
    waits_for[i] = static_cast<std::int32_t>(operations[i].after.size());
    if (waits_for[i] == 0) {
      ready[static_cast<std::size_t>(operations[i].resource)].push_back({begin_s, id});
    }
  }
  std::array<std::vector<Span>, kResources> busy;
  StepTimes times{begin_s, begin_s, 0.0, 0.0, 0.0, 0.0};
  for (std::size_t finished = 0; finished < operations.size(); ++finished) {
    std::optional<std::pair<double, std::size_t>> first;
    for (std::size_t r = 0; r < kResources; ++r) {
      if (!ready[r].empty()) {
        const auto next =
            std::min_element(ready[r].begin(), ready[r].end(), [](const Ready& a, const Ready& b) {
              return std::pair(a.since_s, a.id) < std::pair(b.since_s, b.id);
            });
        std::iter_swap(next, ready[r].begin());
        const double start_s = std::max(ready[r].front().since_s, free_s[r]);
        if (!first || start_s < first->first) {
          first = {start_s, r};
        }
      }
    }
    KVR_CHECK(first.has_value(), "{} of {} operations can never start", operations.size() - finished,
              operations.size());
    const auto [start_s, r] = *first;
    const OperationId id = ready[r].front().id;
    ready[r].erase(ready[r].begin());
    const double end_s = execute(operations[static_cast<std::size_t>(id)], start_s);
    spans[static_cast<std::size_t>(id)] = {start_s, end_s};
    busy[r].push_back({start_s, end_s});
    free_s[r] = end_s;
    times.end_s = std::max(times.end_s, end_s);
    for (const OperationId dependent : dependents[static_cast<std::size_t>(id)]) {
      const auto d = static_cast<std::size_t>(dependent);
      if (--waits_for[d] == 0) {
        double since_s = begin_s;
        for (const OperationId before : operations[d].after) {
          since_s = std::max(since_s, spans[static_cast<std::size_t>(before)].end_s);
        }
        ready[static_cast<std::size_t>(operations[d].resource)].push_back({since_s, dependent});
      }
    }
  }
  const auto& compute = busy[static_cast<std::size_t>(Resource::compute)];
  const auto& flash = busy[static_cast<std::size_t>(Resource::flash)];
  times.compute_s = total(compute);
  times.io_s = total(flash);
  times.exposed_io_s = uncovered(flash, compute);
  times.hidden_io_s = times.io_s - times.exposed_io_s;
  const double slack = 1e-9 * std::max(1.0, times.end_s);
  KVR_CHECK(times.latency_s() + slack >= std::max(times.compute_s, times.io_s),
            "a step of {} s has resources busy for {} s and {} s", times.latency_s(), times.compute_s,
            times.io_s);
  return times;
}

double Scheduler::execute(const Operation& operation, double start_s) {
  if (operation.resource == Resource::flash) {
    return flash_batch(operation.requests, start_s);
  }
  KVR_CHECK(std::isfinite(operation.duration_s) && operation.duration_s >= 0.0, "an operation lasts {} s",
            operation.duration_s);
  return start_s + operation.duration_s;
}

double Scheduler::flash_batch(std::span<const IoRequest> requests, double start_s) {
  batch_.assign(requests.begin(), requests.end());
  for (IoRequest& request : batch_) {
    request.id = next_request_++;
    request.submit_s = start_s;
  }
  device_->submit(batch_);
  double end_s = start_s;
  std::size_t outstanding = batch_.size();
  while (outstanding > 0) {
    const double next_s = device_->next_event_s();
    KVR_CHECK(std::isfinite(next_s) && next_s >= start_s,
              "{} requests are outstanding and the next event is at {} s", outstanding, next_s);
    done_.clear();
    device_->advance(next_s, done_);
    KVR_CHECK(!done_.empty() && done_.size() <= outstanding, "{} completions for {} requests", done_.size(),
              outstanding);
    outstanding -= done_.size();
    end_s = std::max(end_s, done_.back().done_s);
  }
  return end_s;
}

}  // namespace kvr
