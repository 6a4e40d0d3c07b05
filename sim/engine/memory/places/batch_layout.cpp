#include "sim/engine/memory/places/batch_layout.hpp"

#include <algorithm>
#include <numeric>
#include <ranges>
#include <vector>

namespace kvr {
namespace {

/// How much of a list was there before a layout was asked.
struct Before {
  explicit Before(const LayoutTraffic& traffic)
      : writes(traffic.writes.size()), moved(traffic.moved.size()) {}

  std::size_t writes;
  std::size_t moved;
};

/// What was added since is of a sequence whose region begins at `region_bytes` and whose heads at
/// `first_head`.
void shift(const Before& before, std::int64_t region_bytes, std::int64_t first_head, LayoutTraffic& traffic) {
  for (Extent& write : std::span(traffic.writes).subspan(before.writes)) {
    write.offset_bytes += region_bytes;
  }
  for (MovedRecord& record : std::span(traffic.moved).subspan(before.moved)) {
    record.from.offset_bytes += region_bytes;
    record.head += record.head < 0 ? 0 : first_head;
  }
}

}  // namespace

void BatchLayout::place(std::span<const std::uint8_t> begins, const PromptUnits& prompt,
                        LayoutTraffic& traffic) {
  const auto heads = static_cast<std::size_t>(heads_);
  for (std::size_t sequence = 0; sequence < layouts_.size(); ++sequence) {
    if (begins[sequence] == 0) {
      continue;
    }
    const std::size_t first = sequence * heads;
    const Before before(traffic);
    there_[sequence] = 1;
    const auto co_retrieval =
        prompt.co_retrieval.empty() ? prompt.co_retrieval : prompt.co_retrieval.subspan(first, heads);
    layouts_[sequence]->place({prompt.heads.subspan(first, heads), co_retrieval}, traffic);
    shift(before, static_cast<std::int64_t>(sequence) * stride_bytes_, static_cast<std::int64_t>(first),
          traffic);
  }
}

void BatchLayout::update(std::int64_t head, std::span<const Change> changes, const Clustering& clustering,
                         LayoutTraffic& traffic) {
  const Before before(traffic);
  of(head).update(head % heads_, changes, clustering, traffic);
  shift(before, region_bytes(head), head - head % heads_, traffic);
}

void BatchLayout::locate(std::int64_t head, UnitId unit, std::span<const EntryIndex> entries,
                         std::vector<Extent>& extents) const {
  const std::size_t before = extents.size();
  of(head).locate(head % heads_, unit, entries, extents);
  for (Extent& extent : std::span(extents).subspan(before)) {
    extent.offset_bytes += region_bytes(head);
  }
}

void BatchLayout::drop(std::int64_t head) {
  if (on_flash()) {
    there_[static_cast<std::size_t>(head / heads_)] = 0;
  }
}

void BatchLayout::share(std::int64_t parent, std::int64_t child) {
  if (!on_flash()) {
    return;
  }
  const auto c = static_cast<std::size_t>(child / heads_);
  forks_.push_back({static_cast<std::size_t>(parent / heads_), c, layouts_[c]->space_bytes()});
}

/// A sequence has on flash what it wrote since its fork, up to where it or one that forked from it needs it.
std::int64_t BatchLayout::space_bytes() const {
  std::vector<std::int64_t> needed;
  for (std::size_t sequence = 0; sequence < layouts_.size(); ++sequence) {
    needed.push_back(there_[sequence] != 0 ? layouts_[sequence]->space_bytes() : 0);
  }
  std::int64_t twice = 0;  // what forks have of their parents
  for (const Fork& fork : std::views::reverse(forks_)) {
    if (needed[fork.child] > 0) {
      needed[fork.parent] = std::max(needed[fork.parent], fork.bytes);
      twice += std::min(needed[fork.child], fork.bytes);
    }
  }
  return std::accumulate(needed.begin(), needed.end(), std::int64_t{0}) - twice;
}

std::int64_t BatchLayout::dram_bytes() const {
  std::int64_t bytes = 0;
  for (std::size_t sequence = 0; sequence < layouts_.size(); ++sequence) {
    bytes += there_[sequence] != 0 ? layouts_[sequence]->dram_bytes() : 0;
  }
  return bytes;
}

std::int64_t BatchLayout::most_space_bytes() const {
  std::int64_t most = 0;
  for (std::size_t sequence = 0; sequence < layouts_.size(); ++sequence) {
    most = std::max(most, there_[sequence] != 0 ? layouts_[sequence]->space_bytes() : 0);
  }
  return most;
}

void BatchLayout::check() const {
  for (std::size_t sequence = 0; sequence < layouts_.size(); ++sequence) {
    if (there_[sequence] != 0) {
      layouts_[sequence]->check();
    }
  }
}

}  // namespace kvr
