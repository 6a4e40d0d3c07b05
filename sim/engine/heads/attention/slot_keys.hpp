#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "sim/engine/heads/attention/rotary.hpp"
#include "sim/interfaces/entry_set.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// Keys of one head rotated by their place among the live entries instead of by their token's position. As
/// queries stay where they are, and differences alone count, a key is moved by as many positions as entries
/// after it have been removed: the last live one never moves.
class SlotKeys {
 public:
  explicit SlotKeys(Rotary rotary) : rotary_(std::move(rotary)) {}

  /// `stored`: all entries as they are stored; `live`: those that no stage has removed. Keys are moved anew
  /// from the stored ones, so that no error adds up; those of removed entries are left.
  void follow(const EntrySet& live, const HeadView& stored);
  /// The entries of `stored`, which were followed, with their keys moved; valid until the next `follow`.
  HeadView view(HeadView stored) const {
    stored.keys = matrix_view<Half>(keys_.data(), stored.keys.rows, stored.keys.cols);
    return stored;
  }

 private:
  void move(EntrySet::Interval entries, std::int64_t by, const HeadView& stored);

  Rotary rotary_;
  std::vector<Half> keys_;              ///< [entries, head_dim]
  std::vector<std::int64_t> moved_by_;  ///< [entries]
};

/// To rotate the keys of so many entries when they are met: four products and two sums a pair of channels, on
/// their way into the cores.
Work rotation_work(std::int64_t entries, std::int64_t head_dim);

}  // namespace kvr
