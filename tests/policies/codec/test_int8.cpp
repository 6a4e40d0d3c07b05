#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>

#include "tests/policies/codec/row_codec.hpp"

namespace kvr {
namespace {

std::vector<float> round_trip(const RowCodec& codec, std::span<const float> row) {
  std::vector<std::byte> blob(static_cast<std::size_t>(codec.row_bytes(std::ssize(row))));
  codec.encode(row, blob);
  std::vector<float> back(row.size());
  codec.decode(blob, back);
  return back;
}

TEST_CASE("int8: a row is a float scale and a byte an element") {
  const auto codec = test::row_codec("int8", {}, {.head_dim = 4});
  CHECK(codec->row_bytes(128) == 132);
  CHECK_FALSE(codec->lossless());
  // Scale 2, so the codes are 127, -63, 1 and 0.
  const std::vector<float> row = {254.0F, -126.0F, 2.9F, 0.5F};
  CHECK(round_trip(*codec, row) == std::vector<float>{254.0F, -126.0F, 2.0F, 0.0F});
}

TEST_CASE("int8: no element is off by more than a 254th of the row's largest") {
  const auto codec = test::row_codec("int8", {}, {.head_dim = 64});
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    std::vector<float> row(64);
    const double size = std::exp(8.0 * rng.normal());
    std::ranges::generate(row, [&] { return static_cast<float>(size * rng.normal()); });
    float largest = 0.0F;
    for (const float x : row) {
      largest = std::max(largest, std::abs(x));
    }
    const std::vector<float> back = round_trip(*codec, row);
    for (std::size_t i = 0; i < row.size(); ++i) {
      CHECK(std::abs(back[i] - row[i]) <= largest / 254.0F * 1.0001F);
    }
  }
}

TEST_CASE("int8: a row of zeros comes back as zeros") {
  const auto codec = test::row_codec("int8", {}, {.head_dim = 3});
  const std::vector<float> zeros(3, 0.0F);
  CHECK(round_trip(*codec, zeros) == zeros);
}

}  // namespace
}  // namespace kvr
