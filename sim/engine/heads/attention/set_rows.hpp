#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/engine/heads/attention/member_head.hpp"
#include "sim/interfaces/entry_set.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// K and V of all heads of a set side by side, [entries, heads * head_dim]: what decides for them together
/// sees as rows of one head. Those of a single head are its own and not copied.
class SetRows {
 public:
  /// Takes in the entries that its heads have beyond those it knows.
  void catch_up(std::span<const MemberHead> heads);
  /// Rows of `entries` may have changed.
  void renew(std::span<const MemberHead> heads, EntrySet::Interval entries);
  /// The first `count` entries of the same heads; valid until the next `catch_up`.
  HeadView view(std::span<const MemberHead> heads, std::int64_t count) const;

 private:
  std::int64_t entries_ = 0;
  std::vector<Half> keys_;
  std::vector<Half> values_;
};

}  // namespace kvr
