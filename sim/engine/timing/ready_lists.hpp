#pragma once

#include <optional>
#include <span>
#include <vector>

#include "sim/interfaces/schedule.hpp"

namespace kvr {

/// Which operations may start: knows what each waits for, since when it has been ready and upon whose end.
class ReadyLists {
 public:
  struct Ready {
    double since_s;
    OperationId id;
    OperationId upon;  ///< what it waited for last; -1: nothing
  };

  ReadyLists(std::span<const Operation> operations, double begin_s);

  /// Of every operation: computing, the flash and as many links as are used.
  std::size_t lanes() const { return ready_.size(); }
  /// The operation that has been ready on `lane` for longest, ties by position in the graph.
  std::optional<Ready> longest_ready(std::size_t lane) const;
  /// `id` is on its way and no longer on its list.
  void start(OperationId id);
  /// Lets what waited for `id` alone become ready.
  void finish(OperationId id, double end_s);

 private:
  std::vector<Ready>& list_of(OperationId id);
  void add(OperationId id);

  std::span<const Operation> operations_;
  std::vector<std::size_t> waits_for_;                ///< [operations], those before it not finished
  std::vector<std::vector<OperationId>> dependents_;  ///< [operations]
  std::vector<double> since_s_;                       ///< [operations], latest end of those before it
  std::vector<OperationId> upon_;                     ///< [operations], whose end that was
  std::vector<std::vector<Ready>> ready_;             ///< [lanes]
};

}  // namespace kvr
