#pragma once

#include <cstdint>
#include <vector>

#include "sim/engine/walk/captured_head.hpp"
#include "sim/interfaces/codec.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// K and V of one head as the codecs give them back: what a policy and its attention see. A plane whose codec
/// is lossless is the captured one itself.
class HeadStore {
 public:
  /// All three must outlive the store.
  HeadStore(const CapturedHead& captured, const Codec& key_codec, const Codec& value_codec);

  /// Takes in the entries that have been captured since.
  void catch_up();
  std::int64_t entries() const { return entries_; }
  std::int64_t head_dim() const { return captured_->head_dim(); }
  /// The first `count` entries; valid until the captured ones are gone.
  HeadView view(std::int64_t count) const;

 private:
  struct Plane {
    const Codec* codec;
    std::vector<Half> decoded;  ///< empty where the codec is lossless
  };

  Plane plane_for(const Codec& codec) const;
  void decode(MatrixView<Half> captured, Plane& plane) const;

  const CapturedHead* captured_;
  std::int64_t entries_ = 0;
  Plane keys_;
  Plane values_;
};

}  // namespace kvr
