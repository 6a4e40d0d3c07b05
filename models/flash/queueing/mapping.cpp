#include "models/flash/queueing/mapping.hpp"

#include <algorithm>
#include <cmath>

#include "models/flash/analytic_model.hpp"
#include "models/flash/queueing/placement.hpp"

namespace kvr::flash {

Mapping::Mapping(const DeviceParams& device, std::uint64_t root_seed)
    : is_lru_(device.mapping == "lru"),
      coverage_bytes_(device.map_coverage),
      page_bytes_(static_cast<std::uint64_t>(kEntriesPerPage * device.block)),
      seed_(mixed(root_seed + 1)),
      stream_ends_(kStreams, -1),
      capacity_pages_(std::floor(device.map_coverage / static_cast<double>(page_bytes_))) {}

void Mapping::set_working_set(double bytes) {
  hits_ = bytes <= coverage_bytes_ ? 1.0 : coverage_bytes_ / bytes;
}

Mapping::Lookup Mapping::look_up(std::uint32_t command, std::int64_t offset_bytes, std::int64_t length_bytes,
                                 std::uint64_t batch) {
  return is_lru_ ? look_up_cache(command, page_of(offset_bytes)) : draw(offset_bytes, length_bytes, batch);
}

Mapping::Lookup Mapping::look_up_cache(std::uint32_t command, std::uint64_t page) {
  if (std::isinf(capacity_pages_) || is_cached(page)) {
    return Lookup::hit;
  }
  const auto [on_its_way, is_first] = waiting_.try_emplace(page);
  if (is_first) {
    return Lookup::must_read;
  }
  on_its_way->second.push_back(command);
  return Lookup::waits;
}

Mapping::Lookup Mapping::draw(std::int64_t offset_bytes, std::int64_t length_bytes, std::uint64_t batch) {
  constexpr double kTwoTo64 = 18446744073709551616.0;
  const bool continues = continues_stream(offset_bytes, length_bytes);
  if (hits_ >= 1.0 || continues) {
    return Lookup::hit;
  }
  const std::uint64_t drawn = mixed(seed_ ^ mixed(static_cast<std::uint64_t>(offset_bytes) ^ mixed(batch)));
  return static_cast<double>(drawn) < hits_ * kTwoTo64 ? Lookup::hit : Lookup::must_read;
}

void Mapping::arrived(std::uint32_t command, std::int64_t offset_bytes,
                      std::vector<std::uint32_t>& commands) {
  commands.push_back(command);
  if (is_lru_) {
    const auto found = waiting_.find(page_of(offset_bytes));
    commands.insert(commands.end(), found->second.begin(), found->second.end());
    keep(found->first);
    waiting_.erase(found);
  }
}

bool Mapping::continues_stream(std::int64_t offset_bytes, std::int64_t length_bytes) {
  const auto found = std::ranges::find(stream_ends_, offset_bytes);
  if (found != stream_ends_.end()) {
    *found = offset_bytes + length_bytes;
    return true;
  }
  stream_ends_[oldest_stream_] = offset_bytes + length_bytes;
  oldest_stream_ = (oldest_stream_ + 1) % kStreams;
  return false;
}

bool Mapping::is_cached(std::uint64_t page) {
  const auto found = cached_.find(page);
  if (found == cached_.end()) {
    return false;
  }
  recent_.splice(recent_.begin(), recent_, found->second);
  return true;
}

void Mapping::keep(std::uint64_t page) {
  if (capacity_pages_ < 1.0) {
    return;
  }
  if (static_cast<double>(recent_.size()) >= capacity_pages_) {
    cached_.erase(recent_.back());
    recent_.pop_back();
  }
  recent_.push_front(page);
  cached_[page] = recent_.begin();
}

}  // namespace kvr::flash
