#include "sim/engine/head_store.hpp"

#include "sim/error.hpp"
#include "sim/kernels/convert.hpp"

namespace kvr {

HeadStore::HeadStore(std::int64_t capacity, std::int64_t head_dim, const Codec& key_codec,
                     const Codec& value_codec)
    : capacity_(capacity), head_dim_(head_dim), keys_{&key_codec, {}, {}}, values_{&value_codec, {}, {}} {
  const auto elements = static_cast<std::size_t>(capacity * head_dim);
  for (Plane* plane : {&keys_, &values_}) {
    plane->captured.reserve(elements);
    if (!plane->codec->lossless()) {
      plane->decoded.reserve(elements);
    }
  }
}

void HeadStore::append(std::span<const Half> keys, std::span<const Half> values) {
  const std::int64_t rows = static_cast<std::int64_t>(keys.size()) / head_dim_;
  KVR_CHECK(keys.size() == values.size(), "{} key elements and {} value elements", keys.size(),
            values.size());
  KVR_CHECK(entries_ + rows <= capacity_, "{} entries and {} more do not fit {}", entries_, rows, capacity_);
  append_plane(keys_, keys);
  append_plane(values_, values);
  entries_ += rows;
}

void HeadStore::append_plane(Plane& plane, std::span<const Half> rows) const {
  plane.captured.insert(plane.captured.end(), rows.begin(), rows.end());
  if (plane.codec->lossless()) {
    return;
  }
  const auto d = static_cast<std::size_t>(head_dim_);
  std::vector<float> row(d);
  std::vector<Half> back(d);
  std::vector<std::byte> blob(static_cast<std::size_t>(plane.codec->row_bytes(head_dim_)));
  for (std::size_t at = 0; at < rows.size(); at += d) {
    kernels::to_float(rows.subspan(at, d), row);
    plane.codec->encode(row, blob);
    plane.codec->decode(blob, row);
    kernels::to_half(row, back);
    plane.decoded.insert(plane.decoded.end(), back.begin(), back.end());
  }
}

HeadView HeadStore::captured(std::int64_t count) const {
  return {kernels::matrix_view(keys_.captured.data(), count, head_dim_),
          kernels::matrix_view(values_.captured.data(), count, head_dim_)};
}

HeadView HeadStore::stored(std::int64_t count) const {
  const auto& keys = keys_.codec->lossless() ? keys_.captured : keys_.decoded;
  const auto& values = values_.codec->lossless() ? values_.captured : values_.decoded;
  return {kernels::matrix_view(keys.data(), count, head_dim_),
          kernels::matrix_view(values.data(), count, head_dim_)};
}

}  // namespace kvr
