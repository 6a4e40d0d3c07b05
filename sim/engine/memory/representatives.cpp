#include "sim/engine/memory/representatives.hpp"

#include <cmath>

#include "sim/base/error.hpp"
#include "sim/engine/memory/address_regions.hpp"

namespace kvr {
namespace {

std::int64_t region_of(std::size_t head, std::size_t heads) {
  return kFirstRepresentative + static_cast<std::int64_t>(head) * representative_room_bytes(heads);
}

double unit_bytes(const HeadPolicies& head, double dim_ratio) {
  const std::int64_t units = head.clustering().unit_count();
  return units == 0
             ? 0.0
             : dim_ratio * static_cast<double>(head.representative_bytes()) / static_cast<double>(units);
}

bool changes_summary(const Change& change) {
  return change.kind == ChangeKind::created || change.kind == ChangeKind::appended ||
         change.kind == ChangeKind::split || change.kind == ChangeKind::removed;
}

void add_unit(UnitId unit, double bytes_each, std::int64_t region, std::vector<Extent>& extents) {
  const auto begin = static_cast<std::int64_t>(static_cast<double>(unit) * bytes_each);
  const auto end = static_cast<std::int64_t>(std::ceil(static_cast<double>(unit + 1) * bytes_each));
  if (end > begin) {
    extents.push_back({region + begin, end - begin});
  }
}

}  // namespace

void read_all_representatives(std::span<const HeadPolicies> heads, double dim_ratio,
                              std::vector<Extent>& reads) {
  for (std::size_t head = 0; head < heads.size(); ++head) {
    const auto bytes = static_cast<std::int64_t>(
        std::ceil(dim_ratio * static_cast<double>(heads[head].representative_bytes())));
    const std::int64_t room_bytes = representative_room_bytes(heads.size());
    KVR_CHECK(bytes <= room_bytes, "{} B of representatives in a region of {} B", bytes, room_bytes);
    if (bytes > 0) {
      reads.push_back({region_of(head, heads.size()), bytes});
    }
  }
}

void locate_changed_representatives(std::span<const HeadPolicies> heads, double dim_ratio,
                                    std::vector<Extent>& writes) {
  for (std::size_t head = 0; head < heads.size(); ++head) {
    const double bytes_each = unit_bytes(heads[head], dim_ratio);
    const std::int64_t region = region_of(head, heads.size());
    for (const Change& change : heads[head].changes()) {
      if (changes_summary(change)) {
        add_unit(change.unit, bytes_each, region, writes);
      }
      if (change.kind == ChangeKind::split) {
        add_unit(change.other, bytes_each, region, writes);
      }
      if (change.kind == ChangeKind::regrouped) {
        for (UnitId unit = 0; unit < heads[head].clustering().unit_count(); ++unit) {
          add_unit(unit, bytes_each, region, writes);
        }
      }
    }
  }
}

}  // namespace kvr
