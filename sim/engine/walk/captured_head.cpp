#include "sim/engine/walk/captured_head.hpp"

#include "sim/base/error.hpp"

namespace kvr {

CapturedHead::CapturedHead(std::int64_t capacity, std::int64_t head_dim)
    : capacity_(capacity), head_dim_(head_dim) {
  keys_.reserve(static_cast<std::size_t>(capacity * head_dim));
  values_.reserve(keys_.capacity());
}

void CapturedHead::append(std::span<const Half> keys, std::span<const Half> values) {
  const std::int64_t rows = std::ssize(keys) / head_dim_;
  KVR_CHECK(keys.size() == values.size(), "{} key elements and {} value elements", keys.size(),
            values.size());
  KVR_CHECK(entries_ + rows <= capacity_, "{} entries and {} more do not fit {}", entries_, rows, capacity_);
  keys_.insert(keys_.end(), keys.begin(), keys.end());
  values_.insert(values_.end(), values.begin(), values.end());
  entries_ += rows;
}

HeadView CapturedHead::view(std::int64_t count) const {
  KVR_CHECK(count <= entries_, "{} entries of {}", count, entries_);
  return {matrix_view(keys_.data(), count, head_dim_), matrix_view(values_.data(), count, head_dim_)};
}

}  // namespace kvr
