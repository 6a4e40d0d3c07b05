#include "sim/engine/timing/ready_lists.hpp"

#include <algorithm>
#include <utility>

#include "sim/base/error.hpp"

namespace kvr {

ReadyLists::ReadyLists(std::span<const Operation> operations, double begin_s)
    : operations_(operations),
      waits_for_(operations.size(), 0),
      dependents_(operations.size()),
      since_s_(operations.size(), begin_s),
      upon_(operations.size(), -1),
      ready_(lane_of(Resource::link)) {
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const auto id = static_cast<OperationId>(i);
    for (const OperationId before : operations[i].after) {
      KVR_CHECK(before >= 0 && before < id, "operation {} depends on {}", id, before);
      dependents_[static_cast<std::size_t>(before)].push_back(id);
    }
    waits_for_[i] = operations[i].after.size();
    ready_.resize(std::max(ready_.size(), lane_of(operations[i]) + 1));
    if (waits_for_[i] == 0) {
      add(id);
    }
  }
}

std::optional<ReadyLists::Ready> ReadyLists::longest_ready(std::size_t lane) const {
  const auto earlier = [](const Ready& a, const Ready& b) {
    return std::pair(a.since_s, a.id) < std::pair(b.since_s, b.id);
  };
  const auto& ready = ready_[lane];
  const auto first = std::min_element(ready.begin(), ready.end(), earlier);
  return first == ready.end() ? std::nullopt : std::optional(*first);
}

void ReadyLists::start(OperationId id) {
  std::erase_if(list_of(id), [id](const Ready& one) { return one.id == id; });
}

void ReadyLists::finish(OperationId id, double end_s) {
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

std::vector<ReadyLists::Ready>& ReadyLists::list_of(OperationId id) {
  return ready_[lane_of(operations_[static_cast<std::size_t>(id)])];
}

void ReadyLists::add(OperationId id) {
  const auto i = static_cast<std::size_t>(id);
  list_of(id).push_back({since_s_[i], id, upon_[i]});
}

}  // namespace kvr
