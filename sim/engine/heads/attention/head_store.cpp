#include "sim/engine/heads/attention/head_store.hpp"

#include <algorithm>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"

namespace kvr {

HeadStore::HeadStore(const CapturedHead& captured, const RowCodec* key_codec, const RowCodec* value_codec)
    : captured_(&captured), keys_(plane_for(key_codec)), values_(plane_for(value_codec)) {}

HeadStore::Plane HeadStore::plane_for(const RowCodec* codec) const {
  Plane plane{codec, {}};
  if (!plane.is_captured()) {
    plane.decoded.reserve(static_cast<std::size_t>(captured_->capacity() * head_dim()));
  }
  return plane;
}

void HeadStore::catch_up() {
  const std::int64_t entries = captured_->entries();
  const HeadView all = captured_->view(entries);
  decode(all.keys, keys_);
  decode(all.values, values_);
  entries_ = entries;
}

void HeadStore::decode(MatrixView<Half> captured, Plane& plane) const {
  if (plane.is_captured()) {
    return;
  }
  if (plane.codec == nullptr) {
    for (std::int64_t entry = entries_; entry < captured.rows; ++entry) {
      const auto row = captured.row(entry);
      plane.decoded.insert(plane.decoded.end(), row.begin(), row.end());
    }
    return;
  }
  const auto d = static_cast<std::size_t>(head_dim());
  std::vector<float> row(d);
  std::vector<Half> back(d);
  std::vector<std::byte> blob(static_cast<std::size_t>(plane.codec->row_bytes(head_dim())));
  for (std::int64_t entry = entries_; entry < captured.rows; ++entry) {
    to_float(captured.row(entry), row);
    plane.codec->encode(row, blob);
    plane.codec->decode(blob, row);
    to_half(row, back);
    plane.decoded.insert(plane.decoded.end(), back.begin(), back.end());
  }
}

void HeadStore::replace(Plane& plane, EntryIndex entry, std::span<const Half> row) const {
  KVR_CHECK(plane.codec == nullptr && entry < entries_, "entry {} of {} is replaced", entry, entries_);
  std::ranges::copy(row, plane.decoded.begin() + entry * head_dim());
}

HeadView HeadStore::view(std::int64_t count) const {
  KVR_CHECK(count <= entries_, "{} entries of {}", count, entries_);
  HeadView view = captured_->view(count);
  if (!keys_.is_captured()) {
    view.keys = matrix_view(keys_.decoded.data(), count, head_dim());
  }
  if (!values_.is_captured()) {
    view.values = matrix_view(values_.decoded.data(), count, head_dim());
  }
  return view;
}

}  // namespace kvr
