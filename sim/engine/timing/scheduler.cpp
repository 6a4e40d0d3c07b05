#include "sim/engine/timing/scheduler.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <span>
#include <utility>

#include "sim/base/error.hpp"

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

/// Which operations may start: knows what each waits for and since when it has been ready.
class ReadyLists {
 public:
  struct Ready {
    double since_s;
    OperationId id;
    OperationId upon;  ///< what it waited for last
  };

  ReadyLists(std::span<const Operation> operations, double begin_s)
      : operations_(operations),
        waits_for_(operations.size(), 0),
        dependents_(operations.size()),
        since_s_(operations.size(), begin_s),
        upon_(operations.size(), Span::kStepBegin) {
    for (std::size_t i = 0; i < operations.size(); ++i) {
      const auto id = static_cast<OperationId>(i);
      for (const OperationId before : operations[i].after) {
        KVR_CHECK(before >= 0 && before < id, "operation {} depends on {}", id, before);
        dependents_[static_cast<std::size_t>(before)].push_back(id);
      }
      waits_for_[i] = operations[i].after.size();
      if (waits_for_[i] == 0) {
        add(id);
      }
    }
  }

  /// The operation that has been ready on `resource` for longest, ties by position in the graph.
  std::optional<Ready> longest_ready(std::size_t resource) const {
    const auto& ready = ready_[resource];
    const auto first = std::min_element(ready.begin(), ready.end(), earlier);
    return first == ready.end() ? std::nullopt : std::optional(*first);
  }

  /// Takes `id` off its list and lets what waited for it alone become ready.
  void finish(OperationId id, double end_s) {
    auto& ready = ready_[resource_of(id)];
    std::erase_if(ready, [id](const Ready& one) { return one.id == id; });
    for (const OperationId dependent : dependents_[static_cast<std::size_t>(id)]) {
      const auto d = static_cast<std::size_t>(dependent);
      if (end_s > since_s_[d]) {
        since_s_[d] = end_s;
        upon_[d] = id;
      }
      if (--waits_for_[d] == 0) {
        add(dependent);
      }
    }
  }

 private:
  static bool earlier(const Ready& a, const Ready& b) {
    return std::pair(a.since_s, a.id) < std::pair(b.since_s, b.id);
  }
  std::size_t resource_of(OperationId id) const {
    return static_cast<std::size_t>(operations_[static_cast<std::size_t>(id)].resource);
  }
  void add(OperationId id) {
    const auto i = static_cast<std::size_t>(id);
    ready_[resource_of(id)].push_back({since_s_[i], id, upon_[i]});
  }

  std::span<const Operation> operations_;
  std::vector<std::size_t> waits_for_;                ///< [operations], those before it not finished
  std::vector<std::vector<OperationId>> dependents_;  ///< [operations]
  std::vector<double> since_s_;                       ///< [operations], latest end of those before it
  std::vector<OperationId> upon_;                     ///< [operations], whose end that was
  std::array<std::vector<Ready>, kResources> ready_;
};

/// Since when a resource has been free, and the operation that it did until then.
struct Free {
  double since_s;
  OperationId upon = Span::kStepBegin;
};

/// What starts next: the operation, its resource, when and upon what.
struct Start {
  OperationId id;
  std::size_t resource;
  double at_s;
  OperationId upon;
};

/// The earliest start over the resources; ties by resource.
std::optional<Start> next_start(const ReadyLists& lists, const std::array<Free, kResources>& free) {
  std::optional<Start> first;
  for (std::size_t r = 0; r < kResources; ++r) {
    if (const auto ready = lists.longest_ready(r)) {
      const bool waits_for_resource = free[r].since_s > ready->since_s;
      const double at_s = waits_for_resource ? free[r].since_s : ready->since_s;
      if (!first || at_s < first->at_s) {
        first = {ready->id, r, at_s, waits_for_resource ? free[r].upon : ready->upon};
      }
    }
  }
  return first;
}

using BusySpans = std::array<std::vector<Span>, kResources>;

StepTimes times_of(const BusySpans& busy, double begin_s, double end_s) {
  const auto& compute = busy[static_cast<std::size_t>(Resource::compute)];
  const auto& flash = busy[static_cast<std::size_t>(Resource::flash)];
  StepTimes times{begin_s, end_s, total(compute), total(flash), uncovered(flash, compute), 0.0};
  times.hidden_io_s = times.io_s - times.exposed_io_s;
  const double slack = 1e-9 * std::max(1.0, times.end_s);
  KVR_CHECK(times.latency_s() + slack >= std::max(times.compute_s, times.io_s),
            "a step of {} s has resources busy for {} s and {} s", times.latency_s(), times.compute_s,
            times.io_s);
  return times;
}

}  // namespace

StepTimes Scheduler::run(const OperationGraph& graph, double begin_s, std::vector<Span>& spans) {
  const auto operations = graph.operations();
  spans.assign(operations.size(), {});
  ReadyLists lists(operations, begin_s);
  std::array<Free, kResources> free;
  free.fill({begin_s});
  BusySpans busy;
  double step_end_s = begin_s;
  for (std::size_t finished = 0; finished < operations.size(); ++finished) {
    const std::optional<Start> start = next_start(lists, free);
    KVR_CHECK(start.has_value(), "{} of {} operations can never start", operations.size() - finished,
              operations.size());
    const auto id = static_cast<std::size_t>(start->id);
    const double end_s = execute(operations[id], start->at_s);
    spans[id] = {start->at_s, end_s, start->upon};
    busy[start->resource].push_back(spans[id]);
    free[start->resource] = {end_s, start->id};
    step_end_s = std::max(step_end_s, end_s);
    lists.finish(start->id, end_s);
  }
  return times_of(busy, begin_s, step_end_s);
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
