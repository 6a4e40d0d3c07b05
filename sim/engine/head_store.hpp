#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/interfaces/codec.hpp"
#include "sim/types.hpp"

namespace kvr {

/// K and V of one head as they come in: as captured (for the truth) and as the codecs give them back (for
/// everything a policy and its attention see). One copy serves both where the codecs are lossless.
class HeadStore {
 public:
  /// Memory is taken once, for `capacity` entries. The codecs must outlive the store.
  HeadStore(std::int64_t capacity, std::int64_t head_dim, const Codec& key_codec, const Codec& value_codec);

  /// Appends rows: `keys` and `values` [n, head_dim].
  void append(std::span<const Half> keys, std::span<const Half> values);
  std::int64_t entries() const { return entries_; }

  /// The first `count` entries as captured.
  HeadView captured(std::int64_t count) const;
  /// The first `count` entries after their codecs.
  HeadView stored(std::int64_t count) const;

 private:
  struct Plane {
    const Codec* codec;
    std::vector<Half> captured;
    std::vector<Half> decoded;  ///< empty where the codec is lossless
  };

  void append_plane(Plane& plane, std::span<const Half> rows) const;

  std::int64_t capacity_;
  std::int64_t head_dim_;
  std::int64_t entries_ = 0;
  Plane keys_;
  Plane values_;
};

}  // namespace kvr
