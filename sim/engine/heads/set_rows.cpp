#include "sim/engine/heads/set_rows.hpp"

namespace kvr {

void SetRows::catch_up(std::span<const MemberHead> heads) {
  if (heads.size() == 1) {
    return;
  }
  const std::int64_t entries = heads.front().store().entries();
  for (; entries_ < entries; ++entries_) {
    for (const MemberHead& head : heads) {
      const HeadView rows = head.store().view(entries_ + 1);
      const auto key = rows.keys.row(entries_);
      const auto value = rows.values.row(entries_);
      keys_.insert(keys_.end(), key.begin(), key.end());
      values_.insert(values_.end(), value.begin(), value.end());
    }
  }
}

HeadView SetRows::view(std::span<const MemberHead> heads, std::int64_t count) const {
  if (heads.size() == 1) {
    return heads.front().store().view(count);
  }
  const std::int64_t width = std::ssize(heads) * heads.front().head_dim();
  return {matrix_view(keys_.data(), count, width), matrix_view(values_.data(), count, width)};
}

}  // namespace kvr
