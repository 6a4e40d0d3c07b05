#include "sim/engine/heads/attention/slot_keys.hpp"

#include <algorithm>
#include <ranges>

namespace kvr {

void SlotKeys::follow(const EntrySet& live, const HeadView& stored) {
  for (auto entry = static_cast<EntryIndex>(moved_by_.size()); entry < stored.entries(); ++entry) {
    const auto key = stored.keys.row(entry);
    keys_.insert(keys_.end(), key.begin(), key.end());
    moved_by_.push_back(0);
  }
  std::int64_t removed_after = 0;
  EntryIndex next = stored.entries();
  for (const EntrySet::Interval& one : live.intervals() | std::views::reverse) {
    removed_after += next - one.end;
    move(one, removed_after, stored);
    next = one.begin;
  }
}

void SlotKeys::move(EntrySet::Interval entries, std::int64_t by, const HeadView& stored) {
  const auto moved = std::span(moved_by_).subspan(static_cast<std::size_t>(entries.begin),
                                                  static_cast<std::size_t>(entries.size()));
  if (std::ranges::all_of(moved, [by](std::int64_t one) { return one == by; })) {
    return;
  }
  const Rotary::Turn turn = rotary_.turn(by);
  const auto d = static_cast<std::size_t>(stored.keys.cols);
  for (EntryIndex entry = entries.begin; entry < entries.end; ++entry) {
    const auto into = std::span(keys_).subspan(static_cast<std::size_t>(entry) * d, d);
    rotary_.move(stored.keys.row(entry), turn, into);
  }
  std::ranges::fill(moved, by);
}

Work rotation_work(std::int64_t entries, std::int64_t head_dim) {
  return {3.0 * static_cast<double>(entries * head_dim), 0.0};
}

}  // namespace kvr
