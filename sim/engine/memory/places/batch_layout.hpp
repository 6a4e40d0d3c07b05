#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "sim/interfaces/layout.hpp"

namespace kvr {

/// The layouts of one layer, one for each sequence of a batch: none knows of the others, and each has a
/// region of its own. Heads are those of the layer, sequence after sequence; extents are the layer's.
class BatchLayout {
 public:
  /// On no flash.
  BatchLayout() = default;
  /// `heads`: of each sequence. `stride_bytes`: from one region to the next.
  BatchLayout(std::vector<std::unique_ptr<Layout>> layouts, std::int64_t heads, std::int64_t stride_bytes)
      : layouts_(std::move(layouts)),
        there_(layouts_.size(), 0),
        heads_(heads),
        stride_bytes_(stride_bytes) {}

  bool on_flash() const { return !layouts_.empty(); }
  std::span<const std::unique_ptr<Layout>> layouts() const { return layouts_; }

  // As those of Layout.
  bool wants_co_retrieval() const { return on_flash() && layouts_.front()->wants_co_retrieval(); }
  /// Of those sequences alone whose `begins` is set.
  void place(std::span<const std::uint8_t> begins, const PromptUnits& prompt, LayoutTraffic& traffic);
  void update(std::int64_t head, std::span<const Change> changes, const Clustering& clustering,
              LayoutTraffic& traffic);
  std::span<const EntryIndex> unwritten(std::int64_t head) const {
    return there(head) ? of(head).unwritten(head % heads_) : std::span<const EntryIndex>();
  }
  void locate(std::int64_t head, UnitId unit, std::span<const EntryIndex> entries,
              std::vector<Extent>& extents) const;
  std::int64_t space_bytes() const;
  /// Of all sequences that are there.
  std::int64_t dram_bytes() const;
  void check() const;

  /// The sequence of `head` is over: its region is free.
  void drop(std::int64_t head);
  /// All that the sequences of these heads have so far is the same and on flash once, for as long as one of
  /// them is there.
  void share(std::int64_t parent, std::int64_t child);
  /// Whether the sequence of `head` has something on flash.
  bool there(std::int64_t head) const {
    return on_flash() && there_[static_cast<std::size_t>(head / heads_)] != 0;
  }
  /// Of the sequence that takes most.
  std::int64_t most_space_bytes() const;
  /// The space that the layout of `head` has reserved.
  Extent region(std::int64_t head) const { return {region_bytes(head), of(head).space_bytes()}; }

 private:
  Layout& of(std::int64_t head) const { return *layouts_[static_cast<std::size_t>(head / heads_)]; }
  std::int64_t region_bytes(std::int64_t head) const { return head / heads_ * stride_bytes_; }

  struct Fork {
    std::size_t parent;
    std::size_t child;
    std::int64_t bytes;  ///< that both had then
  };

  std::vector<std::unique_ptr<Layout>> layouts_;
  std::vector<std::uint8_t> there_;
  std::vector<Fork> forks_;  ///< in their order
  std::int64_t heads_ = 0;
  std::int64_t stride_bytes_ = 0;
};

}  // namespace kvr
