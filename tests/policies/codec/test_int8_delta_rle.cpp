#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "sim/base/error.hpp"
#include "tests/policies/codec/row_codec.hpp"

namespace kvr {
namespace {

using Blob = std::vector<std::byte>;
using Row = std::vector<float>;

std::unique_ptr<Codec> make(const std::string& runs, std::int64_t width = 64) {
  return test::make<Codec>("int8_delta_rle", {{"runs", runs}}, {.head_dim = width});
}

std::unique_ptr<HeadCodec> head_of(const Codec& codec, std::size_t width) {
  return codec.of_head({static_cast<std::int64_t>(width), {}, 0, 1});
}

Blob encoded(const std::string& runs, const Row& row) {
  StoredRow stored;
  Work work;
  const auto codec = make(runs);
  head_of(*codec, row.size())->encode(row, {{}, EntrySet::first(0)}, stored, work);
  CHECK(stored.references.empty());
  CHECK(std::ssize(stored.blob) <= codec->row_bytes(std::ssize(row)));
  CHECK(work.bytes == static_cast<double>(2 * row.size() + stored.blob.size()));
  return stored.blob;
}

Row decoded(const std::string& runs, const Blob& blob, std::size_t width) {
  Row row(width);
  const auto codec = make(runs);
  head_of(*codec, width)->decode(blob, {}, row);
  return row;
}

/// A scale and what follows it.
Blob blob_of(float scale, const std::vector<int>& bytes) {
  Blob blob(sizeof(scale));
  std::memcpy(blob.data(), &scale, sizeof(scale));
  std::ranges::transform(bytes, std::back_inserter(blob), [](int byte) { return std::byte(byte & 0xff); });
  return blob;
}

// Scale 2: the codes are 127, 127, 127, -64, -63, -62, -61, 10 and their differences 127, 0, 0, -191 = 65
// modulo 256, 1, 1, 1, 71.
const Row kRow = {254, 254, 254, -128, -126, -124, -122, 20};

TEST_CASE("int8_delta_rle: a row as (value, length) of every run of equal differences") {
  CHECK(encoded("pairs", kRow) == blob_of(2.0F, {127, 1, 0, 2, 65, 1, 1, 3, 71, 1}));
  CHECK(decoded("pairs", encoded("pairs", kRow), kRow.size()) == kRow);
  CHECK(make("pairs")->row_bytes(64) == 4 + 2 * 64);
}

TEST_CASE("int8_delta_rle: the same row packed: four differences as they are, a run of three, one more") {
  CHECK(encoded("packed", kRow) == blob_of(2.0F, {3, 127, 0, 0, 65, 254, 1, 0, 71}));
  CHECK(decoded("packed", encoded("packed", kRow), kRow.size()) == kRow);
  CHECK(make("packed")->row_bytes(64) == 4 + 64 + 1);
  CHECK(make("packed")->row_bytes(129) == 4 + 129 + 2);
}

TEST_CASE("int8_delta_rle: runs are cut where their length does not fit") {
  const Row zeros(300, 0.0F);
  CHECK(encoded("pairs", zeros) == blob_of(0.0F, {0, 255, 0, 45}));
  CHECK(encoded("packed", zeros) == blob_of(0.0F, {129, 0, 129, 0, 257 - 44, 0}));
  for (const char* runs : {"pairs", "packed"}) {
    CHECK(decoded(runs, encoded(runs, zeros), zeros.size()) == zeros);
  }
}

/// Steps of few sizes, so that there are runs and others of every length.
Row random_row(std::size_t width, Rng& rng) {
  Row row(width);
  const auto steps = static_cast<double>(1 + rng.below(40));
  float last = 0.0F;
  for (float& x : row) {
    last = std::remainder(last + static_cast<float>(std::round(steps * (rng.uniform() - 0.5))), 100.0F);
    x = last;
  }
  return row;
}

TEST_CASE(
    "int8_delta_rle: differences and runs lose nothing: what comes back is what int8 makes of the row") {
  const auto int8 = test::row_codec("int8", {}, {.head_dim = 64});
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const Row row = random_row(1 + rng.below(400), rng);
    Blob plain(static_cast<std::size_t>(int8->row_bytes(std::ssize(row))));
    Row expected(row.size());
    int8->encode(row, plain);
    int8->decode(plain, expected);
    for (const char* runs : {"pairs", "packed"}) {
      CHECK(decoded(runs, encoded(runs, row), row.size()) == expected);
    }
  }
}

TEST_CASE("int8_delta_rle: a blob that ends early, goes on or announces nothing is noticed") {
  for (const char* runs : {"pairs", "packed"}) {
    CAPTURE(runs);
    const Blob blob = encoded(runs, kRow);
    for (std::size_t length = 0; length < blob.size(); ++length) {
      CAPTURE(length);
      CHECK_THROWS_AS(
          decoded(runs, Blob(blob.begin(), blob.begin() + static_cast<std::ptrdiff_t>(length)), kRow.size()),
          InternalError);
    }
    Blob longer = blob;
    longer.insert(longer.end(), {std::byte{0}, std::byte{1}});
    CHECK_THROWS_AS(decoded(runs, longer, kRow.size()), InternalError);
  }
  CHECK_THROWS_AS(decoded("pairs", blob_of(1.0F, {5, 0, 5, 8}), 8), InternalError);
  CHECK_THROWS_AS(decoded("packed", blob_of(1.0F, {128, 5, 250, 5, 0, 5}), 8), InternalError);
}

TEST_CASE("int8_delta_rle: decoding costs a sum and a product an element, and what it reads and writes") {
  for (const char* runs : {"pairs", "packed"}) {
    const auto codec = make(runs);
    const Work work = codec->decode_work(64);
    CHECK(work.flops == 2.0 * 64);
    CHECK(work.bytes == static_cast<double>(codec->row_bytes(64) + 2 * 64));
    CHECK(codec->sizes_vary());
    CHECK_FALSE(codec->lossless());
  }
}

}  // namespace
}  // namespace kvr
