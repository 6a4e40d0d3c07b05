#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/engine/walk/captured_head.hpp"
#include "sim/interfaces/codec.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// K and V of one head as the codecs give them back: what a policy and its attention see. A plane whose codec
/// stores each row for itself and without loss is the captured one itself; where it does not store each row
/// for itself, rows are as captured until they are replaced.
class HeadStore {
 public:
  /// All three must outlive the store.
  HeadStore(const CapturedHead& captured, const Codec& key_codec, const Codec& value_codec)
      : HeadStore(captured, key_codec.each_row(), value_codec.each_row()) {}
  /// Null: rows of the plane will be replaced.
  HeadStore(const CapturedHead& captured, const RowCodec* key_codec, const RowCodec* value_codec);

  /// Takes in the entries that have been captured since.
  void catch_up();
  void replace_key(EntryIndex entry, std::span<const Half> row) { replace(keys_, entry, row); }
  void replace_value(EntryIndex entry, std::span<const Half> row) { replace(values_, entry, row); }
  std::int64_t entries() const { return entries_; }
  std::int64_t head_dim() const { return captured_->head_dim(); }
  /// The first `count` entries; valid until the captured ones are gone.
  HeadView view(std::int64_t count) const;

 private:
  struct Plane {
    const RowCodec* codec;
    std::vector<Half> decoded;  ///< empty where the codec is lossless

    bool is_captured() const { return codec != nullptr && codec->lossless(); }
  };

  Plane plane_for(const RowCodec* codec) const;
  void decode(MatrixView<Half> captured, Plane& plane) const;
  void replace(Plane& plane, EntryIndex entry, std::span<const Half> row) const;

  const CapturedHead* captured_;
  std::int64_t entries_ = 0;
  Plane keys_;
  Plane values_;
};

}  // namespace kvr
