#include "policies/layout/placing/record_log.hpp"

#include <algorithm>

#include "sim/base/error.hpp"

namespace kvr {

Extent RecordLog::append(std::int64_t bytes) {
  KVR_CHECK(bytes > 0, "a record of {} bytes", bytes);
  if (next_bytes_ + bytes > limit_bytes_) {
    make_room(bytes);
  }
  const Extent record = {next_bytes_, bytes};
  count(record, 1);
  next_bytes_ = record.end_bytes();
  end_bytes_ = std::max(end_bytes_, next_bytes_);
  close(record.offset_bytes / page_bytes_, next_bytes_ / page_bytes_);
  return record;
}

void RecordLog::remove(const Extent& record) {
  count(record, -1);
  const std::int64_t last = (record.end_bytes() - 1) / page_bytes_;
  for (std::int64_t page = record.offset_bytes / page_bytes_; page <= last; ++page) {
    if (!is_open({page * page_bytes_, page_bytes_})) {
      close(page, page + 1);
    }
  }
}

void RecordLog::make_room(std::int64_t bytes) {
  const std::int64_t pages = pages_for(bytes);
  const std::int64_t opened = std::ssize(used_bytes_);
  if (const std::int64_t first = take_free(pages); first >= 0) {
    go_to(first, pages);
  } else if (limit_bytes_ == opened * page_bytes_) {
    go_to(opened, pages_for(next_bytes_ + bytes) - opened);
  } else {
    go_to(opened, pages);
  }
}

std::int64_t RecordLog::take_free(std::int64_t pages) {
  std::int64_t side_by_side = 0;
  std::int64_t before = -1;
  for (const std::int64_t page : free_) {
    side_by_side = page == before + 1 ? side_by_side + 1 : 1;
    before = page;
    if (side_by_side == pages) {
      const std::int64_t first = page + 1 - pages;
      free_.erase(free_.find(first), std::next(free_.find(page)));
      return first;
    }
  }
  return -1;
}

void RecordLog::go_to(std::int64_t first, std::int64_t pages) {
  if (const std::int64_t begin = first * page_bytes_; begin != limit_bytes_) {
    const std::int64_t left = next_bytes_ / page_bytes_;
    const std::int64_t end = limit_bytes_ / page_bytes_;
    next_bytes_ = begin;
    close(left, end);
  }
  limit_bytes_ = (first + pages) * page_bytes_;
  used_bytes_.resize(std::max(used_bytes_.size(), static_cast<std::size_t>(first + pages)), 0);
}

void RecordLog::close(std::int64_t begin, std::int64_t end) {
  for (std::int64_t page = begin; page < end; ++page) {
    if (used_bytes_[static_cast<std::size_t>(page)] == 0) {
      free_.insert(page);
    }
  }
}

void RecordLog::count(const Extent& record, std::int64_t sign) {
  const std::int64_t last = (record.end_bytes() - 1) / page_bytes_;
  for (std::int64_t page = record.offset_bytes / page_bytes_; page <= last; ++page) {
    const std::int64_t begin = std::max(record.offset_bytes, page * page_bytes_);
    const std::int64_t end = std::min(record.end_bytes(), (page + 1) * page_bytes_);
    std::int64_t& used = used_bytes_[static_cast<std::size_t>(page)];
    used += sign * (end - begin);
    KVR_CHECK(used >= 0 && used <= page_bytes_, "{} bytes of a page of {} are in use", used, page_bytes_);
  }
}

}  // namespace kvr
