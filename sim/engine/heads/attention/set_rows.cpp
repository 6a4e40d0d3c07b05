#include "sim/engine/heads/attention/set_rows.hpp"

#include <algorithm>

namespace kvr {
namespace {

std::int64_t width(std::span<const MemberHead> heads) {
  return std::ssize(heads) * heads.front().head_dim();
}

}  // namespace

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

void SetRows::renew(std::span<const MemberHead> heads, EntrySet::Interval entries) {
  if (heads.size() == 1) {
    return;
  }
  auto key = keys_.begin() + entries.begin * width(heads);
  auto value = values_.begin() + entries.begin * width(heads);
  for (EntryIndex entry = entries.begin; entry < entries.end; ++entry) {
    for (const MemberHead& head : heads) {
      const HeadView rows = head.store().view(entry + 1);
      key = std::ranges::copy(rows.keys.row(entry), key).out;
      value = std::ranges::copy(rows.values.row(entry), value).out;
    }
  }
}

HeadView SetRows::view(std::span<const MemberHead> heads, std::int64_t count) const {
  if (heads.size() == 1) {
    return heads.front().store().view(count);
  }
  return {matrix_view(keys_.data(), count, width(heads)), matrix_view(values_.data(), count, width(heads))};
}

}  // namespace kvr
