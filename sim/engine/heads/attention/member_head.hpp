#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/engine/heads/attention/head_store.hpp"
#include "sim/engine/heads/attention/quality.hpp"
#include "sim/engine/heads/attention/selected_attention.hpp"
#include "sim/engine/heads/attention/slot_keys.hpp"

namespace kvr {

/// One KV head of a set that decides together: its entries, and its own attention over what the set chose.
class MemberHead {
 public:
  /// `rotary`: where keys are rotated by their place among the live; else by their token's position.
  MemberHead(std::int64_t group, double attention_scale, HeadStore store, std::optional<Rotary> rotary = {})
      : group_(group),
        store_(std::move(store)),
        slots_(rotary ? std::optional<SlotKeys>(std::move(*rotary)) : std::nullopt),
        queries_(static_cast<std::size_t>(group * store_.head_dim())),
        attention_(group, store_.head_dim(), static_cast<float>(attention_scale)) {}

  std::int64_t group() const { return group_; }
  std::int64_t head_dim() const { return store_.head_dim(); }
  const HeadStore& store() const { return store_; }
  HeadStore& store() { return store_; }
  const HeadQuality& quality() const { return quality_; }
  /// Moves keys to where entries stand among the live: after any of these came or went.
  void place(const EntrySet& live) {
    if (slots_) {
      slots_->follow(live, store_.view(store_.entries()));
    }
  }
  bool moves_keys() const { return slots_.has_value(); }
  /// The first `count` entries as a query meets them; valid until the next `place`.
  HeadView met(std::int64_t count) const {
    return slots_ ? slots_->view(store_.view(count)) : store_.view(count);
  }
  const SelectedAttention& attention() const { return attention_; }

  /// `queries` [group, head_dim].
  void ask(std::span<const Half> queries) { to_float(queries, queries_); }
  void begin_step() { quality_ = {}; }
  /// `count` of its query heads from `first` on attend to `entries`, of the first `visible`.
  void attend(std::int64_t first, std::int64_t count, std::int64_t visible,
              std::span<const EntryIndex> entries) {
    attention_.attend(query_rows(), first, count, met(visible), entries);
  }
  /// Adds what was estimated for a query head that attended last.
  void merge(std::int64_t query, std::span<const float> values, const PartialSoftmax& more) {
    attention_.merge(query, values, more);
  }
  /// Of a query head that attended last; valid until the next call.
  std::span<const float> weights(std::int64_t query, std::int64_t visible) {
    return attention_.weights(query_rows(), query, met(visible));
  }
  /// Adds what `query` came to, of which `attended` says what the set knows.
  void judge(const Attended& attended, std::int64_t query, HeadTruth& truth) {
    add_quality(attended, query, truth, 1.0 / static_cast<double>(group_), quality_);
  }

 private:
  MatrixView<float> query_rows() const {
    return matrix_view<float>(queries_.data(), group_, store_.head_dim());
  }

  std::int64_t group_;
  HeadStore store_;
  std::optional<SlotKeys> slots_;
  std::vector<float> queries_;
  SelectedAttention attention_;
  HeadQuality quality_;
};

}  // namespace kvr
