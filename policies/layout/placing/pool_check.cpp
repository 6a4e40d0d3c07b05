// Pools and records, each sorted by offset, are walked together. What lies in a pool:
//
//   front: from the pool's beginning on, while a record begins where the last one ended, of the same unit
//   back:  from the pool's end downwards, likewise
//   good:  nothing is left between the two, and front ends no later than back begins
#include "policies/layout/placing/pool_check.hpp"

#include <algorithm>

#include "sim/base/error.hpp"

namespace kvr {
namespace {

struct Record {
  Extent at;
  UnitId unit;
};

std::vector<Record> sorted_records(std::span<const UnitRecords> units) {
  std::vector<Record> records;
  for (const UnitRecords& of : units) {
    for (const Extent& at : of.records) {
      records.push_back({at, of.unit});
    }
  }
  std::ranges::stable_sort(records, {}, [](const Record& record) { return record.at.offset_bytes; });
  return records;
}

void check_two_pieces(const Extent& pool, std::span<const Record> records) {
  std::size_t front = 0;
  std::int64_t front_end = pool.offset_bytes;
  while (front < records.size() && records[front].at.offset_bytes == front_end &&
         records[front].unit == records.front().unit) {
    front_end = records[front++].at.end_bytes();
  }
  std::size_t back = records.size();
  std::int64_t back_begin = pool.end_bytes();
  while (back > front && records[back - 1].at.end_bytes() == back_begin &&
         records[back - 1].unit == records.back().unit) {
    back_begin = records[--back].at.offset_bytes;
  }
  KVR_CHECK(front == back, "pool at {}: a record of unit {} at {} continues neither end", pool.offset_bytes,
            records[front].unit, records[front].at.offset_bytes);
  KVR_CHECK(front_end <= back_begin, "pool at {}: units {} and {} meet: up to {}, from {}", pool.offset_bytes,
            records.front().unit, records.back().unit, front_end, back_begin);
}

}  // namespace

void check_pools_apart(std::vector<Extent> pools, std::int64_t end_bytes) {
  std::ranges::sort(pools, {}, &Extent::offset_bytes);
  std::int64_t end = 0;
  for (const Extent& pool : pools) {
    KVR_CHECK(pool.offset_bytes >= end, "a pool begins at {}, another ends at {}", pool.offset_bytes, end);
    end = pool.end_bytes();
  }
  KVR_CHECK(end <= end_bytes, "pools end at {}, the space at {}", end, end_bytes);
}

void check_pool_ends(std::vector<Extent> pools, std::span<const UnitRecords> units) {
  std::ranges::sort(pools, {}, &Extent::offset_bytes);
  const std::vector<Record> records = sorted_records(units);
  auto first = records.begin();
  for (const Extent& pool : pools) {
    const auto last = std::find_if(first, records.end(), [&](const Record& record) {
      return record.at.offset_bytes < pool.offset_bytes || record.at.end_bytes() > pool.end_bytes();
    });
    check_two_pieces(pool, {first, last});
    first = last;
  }
  KVR_CHECK(first == records.end(), "unit {}: the record at {} lies in no pool", first->unit,
            first->at.offset_bytes);
}

}  // namespace kvr
