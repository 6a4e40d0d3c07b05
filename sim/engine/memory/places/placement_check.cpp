#include "sim/engine/memory/places/placement_check.hpp"

#include <set>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/engine/memory/flash_requests.hpp"

namespace kvr {
namespace {

/// Appends the records of all entries of a head that are on flash.
void locate_all(const PlacedLayer& placed, std::int64_t head, std::vector<Extent>& records) {
  if (!placed.layout.there(head)) {
    return;
  }
  const HeadRecords& head_records = placed.heads[static_cast<std::size_t>(head)];
  const Clustering& clustering = head_records.units();
  const auto unwritten = placed.layout.unwritten(head);
  const std::set<EntryIndex> waiting(unwritten.begin(), unwritten.end());
  std::size_t found = 0;
  for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
    std::vector<EntryIndex> entries;
    for (const EntryIndex entry : clustering.members(unit)) {
      if (!waiting.contains(entry)) {
        entries.push_back(entry);
      }
    }
    found += clustering.members(unit).size() - entries.size();
    const std::size_t before = records.size();
    placed.layout.locate(head, unit, entries, records);
    const std::int64_t bytes = total_bytes(std::span(records).subspan(before));
    for (const Extent& record : std::span(records).subspan(before)) {
      const Extent space = placed.layout.region(head);
      KVR_CHECK(record.offset_bytes >= space.offset_bytes && record.end_bytes() <= space.end_bytes(),
                "layer {}: records end at {}, the space at {}", placed.layer, record.end_bytes(),
                space.end_bytes());
    }
    KVR_CHECK(bytes == head_records.sizes().sum(entries).bytes,
              "layer {}, head {}, unit {}: {} members lie in {} bytes", placed.layer, head, unit,
              entries.size(), bytes);
  }
  KVR_CHECK(found == unwritten.size(), "layer {}, head {}: {} entries are unwritten, {} of them members",
            placed.layer, head, unwritten.size(), found);
}

}  // namespace

void check_placement(const PlacedLayer& placed, std::int64_t written_bytes) {
  std::vector<Extent> records;
  for (std::int64_t head = 0; head < std::ssize(placed.heads); ++head) {
    locate_all(placed, head, records);
  }
  const std::int64_t bytes = total_bytes(records);
  merge_extents(records);
  KVR_CHECK(total_bytes(records) == bytes, "layer {}: records of {} bytes cover {} bytes", placed.layer,
            bytes, total_bytes(records));
  KVR_CHECK(bytes <= written_bytes, "layer {}: records hold {} bytes, {} were written", placed.layer, bytes,
            written_bytes);
  placed.layout.check();
}

}  // namespace kvr
