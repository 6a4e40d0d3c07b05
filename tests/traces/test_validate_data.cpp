#include <doctest/doctest.h>

#include <fstream>
#include <limits>
#include <numeric>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/base/sha256.hpp"
#include "tests/traces/sample.hpp"
#include "traces/checks/validate.hpp"
#include "traces/reader.hpp"

namespace kvr::trace {
namespace {

void poke_half(hid_t file, const std::string& path, const hdf5::Shape& index, float value) {
  const Half half = to_half(value);
  poke(file, path, hdf5::half_type(), index, &half);
}

/// The checksum the format asks for, of time-major rows.
std::string checksum_of_rows(const std::vector<Half>& rows) {
  Sha256 hash;
  hash.update(std::as_bytes(std::span(rows)));
  return "sha256:" + hash.hex();
}

}  // namespace

TEST_CASE("the first NaN or infinity is placed by head, position and channel") {
  const auto nan = std::numeric_limits<float>::quiet_NaN();
  const auto infinity = std::numeric_limits<float>::infinity();
  const Edit spoil_keys = [&](hid_t file) {
    poke_half(file, "/layers/3/keys", {0, 8, 0}, infinity);
    poke_half(file, "/layers/3/keys", {1, 7, 1}, nan);
  };
  CHECK(problems_after(spoil_keys).at(0) ==
        "/layers/3/keys: 2 value(s) not finite, first NaN at head 1, position 7, channel 1; expected finite "
        "values");
  CHECK_FALSE(reader_refuses(spoil_keys));
  CHECK(problems_after([&](hid_t file) {
          poke_half(file, "/layers/0/queries", {3, 0, 0}, -infinity);
        }).at(0) ==
        "/layers/0/queries: 1 value(s) not finite, first infinity at head 3, position 4, channel 0; expected "
        "finite "
        "values");
  CHECK(
      problems_after([&](hid_t file) {
        poke(file, "/layers/0/wo_v_norm", H5T_NATIVE_FLOAT, {2, 9}, &nan);
      }).at(0) ==
      "/layers/0/wo_v_norm: 1 value(s) not finite, first NaN at head 2, position 9; expected finite values");
}

TEST_CASE("data that do not match their checksum are named with both") {
  const std::string zeros = "sha256:" + std::string(64, '0');
  const std::string keys = checksum_of_rows(sample_rows(Field::keys, 0));
  CHECK(problems_after([&](hid_t file) { replace_string_at(file, "/layers/0/keys", "checksum", zeros); }) ==
        Messages{"/layers/0/keys: the data hash to " + keys + "; expected " + zeros +
                 " as the attribute says"});

  std::vector<Half> changed = sample_rows(Field::values, 1);
  const std::string before = checksum_of_rows(changed);
  changed[(5 * 2 + 1) * 2] = to_half(1.5F);  // Position 5, head 1, channel 0.
  CHECK(problems_after([](hid_t file) {
          poke_half(file, "/layers/3/values", {1, 5, 0}, 1.5F);
        }) == Messages{"/layers/3/values: the data hash to " + checksum_of_rows(changed) + "; expected " +
                       before + " as the attribute says"});
}

TEST_CASE("labels under /truth are checked by their checksum in C order") {
  std::vector<std::int32_t> labels(20, 3);
  const std::int32_t other = 4;
  labels[13] = other;
  Sha256 hash;
  hash.update(std::as_bytes(std::span(labels)));
  std::string before;
  const Messages problems = problems_after([&](hid_t file) {
    before = checksum_of(file, "/truth/labels");
    poke(file, "/truth/labels", H5T_NATIVE_INT32, {1, 3}, &other);
  });
  CHECK(problems == Messages{"/truth/labels: the data hash to sha256:" + hash.hex() + "; expected " + before +
                             " as the attribute says"});
}

TEST_CASE("whatever is under /truth is hashed in C order, whatever its shape and size") {
  const auto write = [](hid_t file, const hdf5::Shape& shape, std::int32_t wrong) {
    std::size_t count = 1;
    for (const hsize_t extent : shape) {
      count *= extent;
    }
    std::vector<std::int32_t> values(count);
    std::iota(values.begin(), values.end(), 0);
    const hdf5::Handle dataset = hdf5::create_dataset(file, "/truth/x", H5T_STD_I32LE, shape, {});
    if (count > 0) {
      hdf5::write_block(dataset.get(), H5T_NATIVE_INT32, hdf5::Shape(shape.size(), 0), shape, values.data());
      values.back() += wrong;
    }
    Sha256 hash;
    hash.update(std::as_bytes(std::span(values)));
    hdf5::write_string(dataset.get(), "units", "1");
    hdf5::write_string(dataset.get(), "long_name", "numbers");
    hdf5::write_string(dataset.get(), "checksum", "sha256:" + hash.hex());
  };
  for (const hdf5::Shape& shape : {hdf5::Shape{}, hdf5::Shape{0, 3}, hdf5::Shape{3, 1'500'000},
                                   hdf5::Shape{1'500'000, 3}, hdf5::Shape{2, 3, 1, 700'001}}) {
    CAPTURE(shape.size());
    CHECK(problems_after([&](hid_t file) { write(file, shape, 0); }).empty());
    const Messages wrong = problems_after([&](hid_t file) { write(file, shape, 1); });
    CHECK(wrong.size() == (shape == hdf5::Shape{0, 3} ? 0 : 1));
  }
}

TEST_CASE("tokens outside the vocabulary are named") {
  const std::int32_t token = 100;
  const Edit edit = [&](hid_t file) { poke(file, "/tokens", H5T_NATIVE_INT32, {5}, &token); };
  CHECK(problems_after(edit).at(0) ==
        "/tokens: 1 token(s) outside the vocabulary, first 100 at position 5; expected 0..99");
}

TEST_CASE("tokens of a class that there is not are named, and read by no one") {
  const std::uint8_t unknown = 3;
  const Edit edit = [&](hid_t file) { poke(file, "/token_class", H5T_NATIVE_UINT8, {5}, &unknown); };
  CHECK(problems_after(edit).at(0) ==
        "/token_class: 1 token(s) of no class, first 3 at position 5; expected 0..2");
  const TemporaryFolder folder;
  write_edited(folder / "a.h5", edit);
  const Reader reader(folder / "a.h5");
  std::vector<std::uint8_t> classes(4);
  CHECK_NOTHROW(reader.read_token_classes(0, 4, classes));
  CHECK_THROWS_WITH_AS(
      reader.read_token_classes(4, 8, classes),
      ((folder / "a.h5").string() + ": /token_class: 3 at position 5; expected 0..2").c_str(), InputError);
}

TEST_CASE("prompt attention sums that do not add up are named") {
  const float weight = 3.0F;
  const Edit edit = [&](hid_t file) {
    poke(file, "/layers/0/prompt_attention_sums", H5T_NATIVE_FLOAT, {2, 0}, &weight);
  };
  CHECK(problems_after(edit).at(0) ==
        "/layers/0/prompt_attention_sums: head 2 sums to 7; expected prefill_len 6 (within 1%)");
}

TEST_CASE("problems of the structure and of the data are reported together") {
  const Messages problems = problems_after([](hid_t file) {
    replace_string(file, "capture_mode", "dreamt");
    H5Ldelete(file, "/layers/0/values", H5P_DEFAULT);
    poke_half(file, "/layers/3/keys", {0, 0, 0}, std::numeric_limits<float>::infinity());
  });
  REQUIRE(problems.size() == 4);
  CHECK(problems[0].starts_with("/@capture_mode: 'dreamt'"));
  CHECK(problems[1].starts_with("/layers/0/values: missing"));
  CHECK(problems[2].starts_with("/layers/3/keys: 1 value(s) not finite"));
  CHECK(problems[3].starts_with("/layers/3/keys: the data hash to"));
}

TEST_CASE("a damaged chunk is named and the other datasets are still read") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "a.h5";
  haddr_t address = 0;
  write_edited(path, [&](hid_t file) {
    const hdf5::Handle keys = hdf5::open_dataset(file, "/layers/0/keys");
    hsize_t size = 0;
    unsigned mask = 0;
    hdf5::Shape offset(3);
    const hdf5::Handle space(H5Dget_space(keys.get()), H5Sclose);
    H5Dget_chunk_info(keys.get(), space.get(), 0, offset.data(), &mask, &address, &size);
    replace_string_at(file, "/layers/3/keys", "checksum", "sha256:" + std::string(64, '0'));
  });
  REQUIRE(address > 0);
  std::fstream bytes(path, std::ios::in | std::ios::out | std::ios::binary);
  bytes.seekp(static_cast<std::streamoff>(address));
  bytes << "damaged!";
  bytes.close();
  const Messages problems = validate(path);
  REQUIRE(problems.size() == 2);
  CHECK(problems[0].starts_with(path.string() + ": /layers/0/keys: cannot be read from [0, 0, 0] on: "));
  CHECK(problems[1].starts_with(path.string() + ": /layers/3/keys: the data hash to"));
  CHECK(problems[0].find('\n') == std::string::npos);
}

}  // namespace kvr::trace
