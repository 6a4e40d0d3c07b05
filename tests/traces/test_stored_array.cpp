#include <doctest/doctest.h>
#include <zlib.h>

#include <functional>
#include <numeric>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "sim/base/stored/stored_array.hpp"
#include "tests/traces/sample.hpp"

namespace kvr::hdf5 {
namespace {

std::vector<std::int32_t> counting(const Shape& shape) {
  std::vector<std::int32_t> values(
      std::accumulate(shape.begin(), shape.end(), hsize_t{1}, std::multiplies<>()));
  std::iota(values.begin(), values.end(), 1'000'000);
  return values;
}

Handle properties_of(const Shape& chunk, bool shuffle, bool deflate) {
  Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_chunk(properties.get(), static_cast<int>(chunk.size()), chunk.data());
  if (shuffle) {
    H5Pset_shuffle(properties.get());
  }
  if (deflate) {
    H5Pset_deflate(properties.get(), 4);
  }
  return properties;
}

/// An int32 dataset /x of `values`, none written where there are none.
Handle create(const Handle& file, const Shape& shape, const Handle& properties,
              const std::vector<std::int32_t>& values) {
  const Handle space(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), H5Sclose);
  Handle dataset(
      H5Dcreate2(file.get(), "x", H5T_STD_I32LE, space.get(), H5P_DEFAULT, properties.get(), H5P_DEFAULT),
      H5Dclose);
  if (!values.empty()) {
    H5Dwrite(dataset.get(), H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  }
  return dataset;
}

std::vector<std::int32_t> read(const StoredArray& array, const Shape& begin, const Shape& count) {
  std::vector<std::int32_t> values(counting(count).size());
  array.read(begin, count, std::as_writable_bytes(std::span(values)));
  return values;
}

/// A chunk of [16] int32 in the place of the only one of /x, raw.
StoredArray with_raw_chunk(const Handle& file, std::span<const std::byte> raw, std::uint32_t left_out) {
  Handle dataset = create(file, {16}, properties_of({16}, true, true), {});
  const hsize_t origin = 0;
  REQUIRE(H5Dwrite_chunk(dataset.get(), H5P_DEFAULT, left_out, &origin, raw.size(), raw.data()) >= 0);
  dataset.reset();  // the library looks chunks up anew
  return StoredArray(open_dataset(file.get(), "/x"));
}

std::vector<std::byte> deflated(std::span<const std::byte> bytes) {
  std::vector<std::byte> out(compressBound(bytes.size()));
  uLongf size = out.size();
  compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(bytes.data()),
           bytes.size());
  out.resize(size);
  return out;
}

void check_refused(const StoredArray& array, const char* why) {
  CHECK_THROWS_WITH_AS(read(array, {0}, {16}), doctest::Contains(why), InputError);
}

}  // namespace

TEST_CASE("any block of any chunking, with and without filters, is what HDF5 reads") {
  const Shape shape{3, 50, 7};
  Rng rng(4);
  for (const Shape& chunk : {Shape{1, 16, 7}, Shape{3, 50, 7}, Shape{2, 13, 3}, Shape{1, 1, 1}}) {
    for (int filters = 0; filters < 4; ++filters) {
      const TemporaryFolder folder;
      const Handle file = create_file(folder / "a.h5");
      create(file, shape, properties_of(chunk, (filters & 1) != 0, (filters & 2) != 0), counting(shape));
      const StoredArray array(open_dataset(file.get(), "/x"));
      CHECK(array.shape() == shape);
      CHECK(array.chunk() == chunk);
      CHECK(array.check_storage() > 0);
      CHECK(read(array, {0, 0, 0}, shape) == counting(shape));
      for (int trial = 0; trial < 50; ++trial) {
        Shape begin(3);
        Shape count(3);
        for (std::size_t axis = 0; axis < 3; ++axis) {
          begin[axis] = rng.below(shape[axis]);
          count[axis] = rng.below(shape[axis] - begin[axis] + 1);
        }
        std::vector<std::int32_t> expected(counting(count).size());
        if (!expected.empty()) {
          read_block(array.dataset(), H5T_NATIVE_INT32, begin, count, expected.data());
        }
        CHECK(read(array, begin, count) == expected);
      }
    }
  }
}

TEST_CASE("scalars, empty datasets and those in one piece are read too") {
  const TemporaryFolder folder;
  const Handle file = create_file(folder / "a.h5");
  const Shape shape{4, 5};
  const Handle piece = create_dataset(file.get(), "piece", H5T_STD_I32LE, shape, {});
  write_block(piece.get(), H5T_NATIVE_INT32, {0, 0}, shape, counting(shape).data());
  const StoredArray array(open_dataset(file.get(), "piece"));
  CHECK(array.check_storage() == 80);
  CHECK(read(array, {1, 2}, {2, 2}) == std::vector<std::int32_t>{1'000'007, 1'000'008, 1'000'012, 1'000'013});
  const std::int32_t seven = 7;
  const Handle scalar = create_dataset(file.get(), "scalar", H5T_STD_I32LE, {}, {});
  write_block(scalar.get(), H5T_NATIVE_INT32, {}, {}, &seven);
  const StoredArray one(open_dataset(file.get(), "scalar"));
  CHECK(one.check_storage() == 4);
  CHECK(read(one, {}, {}) == std::vector<std::int32_t>{7});
  create_dataset(file.get(), "empty", H5T_STD_I32LE, {0, 3}, {});
  const StoredArray none(open_dataset(file.get(), "empty"));
  CHECK(none.check_storage() == 0);
  CHECK(read(none, {0, 0}, {0, 3}).empty());
}

TEST_CASE("a filter that the writer left out of a chunk is not undone") {
  const TemporaryFolder folder;
  const Handle file = create_file(folder / "a.h5");
  const std::vector<std::int32_t> values = counting({16});
  SUBCASE("both") {
    CHECK(read(with_raw_chunk(file, std::as_bytes(std::span(values)), 3), {0}, {16}) == values);
  }
  SUBCASE("shuffle") {
    CHECK(read(with_raw_chunk(file, deflated(std::as_bytes(std::span(values))), 1), {0}, {16}) == values);
  }
}

TEST_CASE("a chunk that is short, long or no deflate stream is refused") {
  const TemporaryFolder folder;
  const Handle file = create_file(folder / "a.h5");
  const std::vector<std::int32_t> values = counting({17});
  const auto bytes = std::as_bytes(std::span(values));
  constexpr const char* kInflate =
      "/x: cannot be read from [0] on: the chunk does not inflate to its 64 bytes";
  SUBCASE("short stream") {
    check_refused(with_raw_chunk(file, deflated(bytes.first(60)), 0), kInflate);
  }
  SUBCASE("long stream") {
    check_refused(with_raw_chunk(file, deflated(bytes), 0), kInflate);
  }
  SUBCASE("no stream") {
    check_refused(with_raw_chunk(file, bytes.first(64), 0), kInflate);
  }
  SUBCASE("more after it") {
    std::vector<std::byte> stream = deflated(bytes.first(64));
    stream.push_back(std::byte{0});
    check_refused(with_raw_chunk(file, stream, 0), kInflate);
  }
  SUBCASE("cut stream") {
    std::vector<std::byte> stream = deflated(bytes.first(64));
    stream.pop_back();
    check_refused(with_raw_chunk(file, stream, 0), kInflate);
  }
  SUBCASE("short without a stream") {
    check_refused(with_raw_chunk(file, bytes.first(60), 3), "the chunk has 60 bytes; expected 64");
  }
  SUBCASE("far too long") {
    const std::vector<std::byte> much(1000);
    check_refused(with_raw_chunk(file, much, 3),
                  "the chunk takes 1000 bytes in the file; expected 1 to about 64");
  }
}

TEST_CASE("values that are not stored are not made up") {
  const TemporaryFolder folder;
  const Handle file = create_file(folder / "a.h5");
  SUBCASE("no chunk") {
    create(file, {1U << 30}, properties_of({1U << 10}, true, true), {});
    const StoredArray array(open_dataset(file.get(), "x"));
    CHECK_THROWS_WITH_AS(array.check_storage(),
                         doctest::Contains("/x: 0 of 1048576 chunks are stored; expected all"), InputError);
    CHECK_THROWS_AS(read(array, {0}, {16}), InputError);
  }
  SUBCASE("no piece") {
    create_dataset(file.get(), "x", H5T_STD_I32LE, {hsize_t{1} << 60}, {});
    CHECK_THROWS_WITH_AS(StoredArray(open_dataset(file.get(), "x")).check_storage(),
                         doctest::Contains("/x: 0 bytes are stored; expected 4611686018427387904"),
                         InputError);
  }
  SUBCASE("more chunks than any stream could fill") {
    const Handle dataset = create(file, {1U << 20}, properties_of({1U << 20}, false, true), {});
    const hsize_t origin = 0;
    const std::vector<std::byte> raw(100);
    H5Dwrite_chunk(dataset.get(), H5P_DEFAULT, 0, &origin, raw.size(), raw.data());
    CHECK_THROWS_WITH_AS(StoredArray(open_dataset(file.get(), "x")).check_storage(),
                         doctest::Contains("/x: 4194304 bytes of values cannot come from the 100 bytes"),
                         InputError);
  }
}

TEST_CASE("what is stored in another way is refused by name") {
  const TemporaryFolder folder;
  const Handle file = create_file(folder / "a.h5");
  const auto refused = [&](const Handle& properties, const char* why) {
    create(file, {100}, properties, {});
    CHECK_THROWS_WITH_AS(StoredArray(open_dataset(file.get(), "x")), doctest::Contains(why), InputError);
  };
  const Handle properties = properties_of({10}, false, false);
  SUBCASE("checksums") {
    H5Pset_fletcher32(properties.get());
    refused(properties,
            "/x: filter 3 (number 1 of 1); expected shuffle (2), then deflate (1), or one of them");
  }
  SUBCASE("filters in another order") {
    H5Pset_deflate(properties.get(), 4);
    H5Pset_shuffle(properties.get());
    refused(properties, "/x: filter 2 (number 2 of 2); expected");
  }
  SUBCASE("twice") {
    H5Pset_deflate(properties.get(), 4);
    H5Pset_deflate(properties.get(), 4);
    refused(properties, "/x: filter 1 (number 2 of 2); expected");
  }
  SUBCASE("large chunks") {
    const Shape shape{1U << 23};
    create(file, shape, properties_of(shape, false, true), {});
    CHECK_THROWS_WITH_AS(
        StoredArray(open_dataset(file.get(), "x")),
        doctest::Contains(
            "/x: chunks of [8388608] values of 4 bytes; expected chunks of at most 16777216 bytes"),
        InputError);
  }
  SUBCASE("other files") {
    const Handle external(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_external(external.get(), "/etc/passwd", 0, H5F_UNLIMITED);
    refused(external, "/x: stored in other files; expected the values in this one");
  }
  SUBCASE("virtual, of itself") {
    const Handle itself(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    const hsize_t extent = 100;
    const Handle space(H5Screate_simple(1, &extent, nullptr), H5Sclose);
    H5Pset_virtual(itself.get(), space.get(), ".", "/x", space.get());
    refused(itself, "/x: virtual dataset; expected the values in this file");
  }
}

}  // namespace kvr::hdf5
