#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <utility>
#include <vector>

#include "sim/config/resolve.hpp"

namespace kvr::sweep {

/// Places of points in their configuration that are replayed together.
using Group = std::vector<std::size_t>;

/// Divides the points at `places`, in order, into groups that take the same steps of the same traces, of
/// `most` points at most and of about the same size; where these are fewer than `jobs`, the largest are
/// divided.
std::vector<Group> groups_of(std::span<const RunConfig> points, std::span<const std::size_t> places,
                             std::int64_t most, std::int64_t jobs);

/// Groups that are left to do.
class GroupQueue {
 public:
  explicit GroupQueue(const std::vector<Group>& groups) : groups_(groups.begin(), groups.end()) {}

  bool empty() const { return groups_.empty(); }
  Group take() {
    Group group = std::move(groups_.front());
    groups_.pop_front();
    return group;
  }
  /// Of a group of several that failed, each point is tried alone, next.
  void put_back_singly(const Group& group) {
    for (std::size_t i = group.size(); i-- > 0;) {
      groups_.push_front({group[i]});
    }
  }

 private:
  std::deque<Group> groups_;
};

}  // namespace kvr::sweep
