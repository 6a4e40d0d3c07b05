#include <doctest/doctest.h>

#include "policies/layout/placing/record_slots.hpp"
#include "sim/base/error.hpp"

namespace kvr {
namespace {

TEST_CASE("record slots: as long as no slot is free, every record lies at its own number") {
  RecordSlots slots(4);
  slots.reserve(3);
  CHECK(slots.end() == 3);
  slots.remove(0);
  slots.reserve(10);
  CHECK(slots.end() == 10);
  for (std::int64_t record = 1; record < 10; ++record) {
    CHECK(slots.place_of(record) == record);
  }
}

TEST_CASE("record slots: free slots are used from the lowest on, before the end") {
  RecordSlots slots(2);
  slots.reserve(8);
  for (const std::int64_t record : {4, 5, 0, 1, 6}) {
    slots.remove(record);
  }
  slots.reserve(13);
  CHECK(slots.place_of(8) == 0);
  CHECK(slots.place_of(9) == 1);
  CHECK(slots.place_of(11) == 5);
  CHECK(slots.place_of(12) == 8);  // record 7 keeps its slot
  CHECK(slots.end() == 9);
  slots.reserve(14);
  CHECK(slots.end() == 10);
  CHECK_THROWS_AS(slots.remove(14), InternalError);
  CHECK_THROWS_AS(slots.remove(4), InternalError);
}

}  // namespace
}  // namespace kvr
