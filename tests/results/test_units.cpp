// What is recorded of units, in files and out of them again.
#include <doctest/doctest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/files/temporary_folder.hpp"
#include "sim/base/hdf5.hpp"
#include "sim/results/merge.hpp"
#include "sim/results/result_file.hpp"
#include "sim/results/writer.hpp"

using namespace kvr;

namespace {

/// `choices` units of an entry each, the odd ones read from flash.
RecordedUnits some_units(std::int32_t choices) {
  RecordedUnits units{.stages = {"select"}, .tiers = {"dram", "flash"}};
  for (std::int32_t i = 0; i < choices; ++i) {
    UnitRow row{.step = i, .unit = i, .rank = 1, .entry_count = 1, .in_first_tier = 1 - i % 2};
    row.extent_count = i % 2;
    units.choices.push_back(row);
    units.entries.push_back({.position = 10 + i, .tier = i % 2, .weight = 0.5F});
    if (i % 2 == 1) {
      units.extents.push_back({64 * std::int64_t{i}, 64});
      units.requests.push_back({i, 0, 2, 0, 4096});
    }
  }
  return units;
}

PointResult point(const std::string& name) {
  PointData data(name, 2, 1, 1);
  data.set(Metric::latency_s, 0, 1.0);
  return {std::move(data), "a: 1\n", {}};
}

/// Of which the second has none, and the third none that were found.
std::vector<PointResult> points() {
  std::vector<PointResult> all{point("first"), point("second"), point("third"), point("fourth")};
  all[0].data.set_units(some_units(5));
  all[2].data.set_units(some_units(0));
  all[3].data.set_units(some_units(4));
  return all;
}

std::int64_t integer_at(const hdf5::Handle& file, const char* path, hsize_t row) {
  std::int64_t value = 0;
  const hdf5::Handle dataset = hdf5::open_dataset(file.get(), path);
  hdf5::read_block(dataset.get(), H5T_NATIVE_INT64, {row}, {1}, &value);
  return value;
}

}  // namespace

TEST_CASE("units of points come back from a file as they were, and a merged one has them too") {
  const TemporaryFolder folder;
  const std::vector<PointResult> all = points();
  write_results(folder / "r.h5", all, {});
  std::vector<ResultFile> parts;
  parts.emplace_back(folder / "r.h5");
  merge_results(folder / "merged.h5", parts);
  for (const char* name : {"r.h5", "merged.h5"}) {
    const ResultFile file(folder / name);
    file.check();
    CHECK_FALSE(file.units_outline(1).has_value());
    for (const std::size_t i : {0U, 2U, 3U}) {
      CHECK(file.units_outline(i).has_value());
      CHECK(file.units(i) == *all[i].data.units());
    }
  }
}

TEST_CASE("rows say in the file whose they are") {
  const TemporaryFolder folder;
  write_results(folder / "r.h5", points(), {});
  const hdf5::Handle file = hdf5::open_file(folder / "r.h5");
  CHECK(integer_at(file, "unit_record/choices/point", 4) == 0);
  CHECK(integer_at(file, "unit_record/choices/point", 5) == 3);
  CHECK(integer_at(file, "unit_record/choices/first_entry", 7) == 7);
  CHECK(integer_at(file, "unit_record/choices/first_extent", 8) == 3);
  CHECK(integer_at(file, "unit_record/entries/choice", 8) == 8);
  CHECK(integer_at(file, "unit_record/extents/choice", 2) == 6);
  CHECK(integer_at(file, "unit_record/entry_count", 3) == 4);
}

TEST_CASE("results without units have no group of them") {
  const TemporaryFolder folder;
  write_results(folder / "r.h5", std::vector{point("one")}, {});
  CHECK_FALSE(hdf5::has_group(hdf5::open_file(folder / "r.h5").get(), "unit_record"));
  CHECK_FALSE(ResultFile(folder / "r.h5").units_outline(0).has_value());
}

TEST_CASE("a record whose sizes contradict one another is refused") {
  const TemporaryFolder folder;
  std::vector<PointResult> all = points();
  RecordedUnits units = some_units(3);
  units.choices[1].entry_count = 2;
  all[0].data.set_units(units);
  write_results(folder / "r.h5", all, {});
  const ResultFile file(folder / "r.h5");
  CHECK_THROWS_WITH_AS(file.check(), doctest::Contains("the tables of point 0 contradict one another"),
                       InputError);
}
