#include <doctest/doctest.h>

#include <algorithm>
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

TEST_CASE("int4: a row is half a byte an element and an fp16 scale for each 32") {
  const auto codec = test::row_codec("int4", {}, {.head_dim = 4});
  CHECK(codec->row_bytes(128) == 72);
  CHECK(codec->row_bytes(33) == 21);
  CHECK_FALSE(codec->lossless());
  // Scale 2, so the codes are 7, -3, 1 and 0.
  const std::vector<float> row = {14.0F, -6.0F, 2.9F, 0.5F};
  CHECK(round_trip(*codec, row) == std::vector<float>{14.0F, -6.0F, 2.0F, 0.0F});
}

TEST_CASE("int4: the first code of a byte takes its low bits") {
  const auto codec = test::row_codec("int4", {}, {.head_dim = 2});
  std::vector<std::byte> blob(3);
  codec->encode(std::vector<float>{7.0F, -7.0F}, blob);
  CHECK(blob == std::vector<std::byte>{std::byte{0x00}, std::byte{0x3C}, std::byte{0x1F}});  // 1.0 in fp16
}

TEST_CASE("int4: no element is off by more than a 14th of its group's largest") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    std::vector<float> row(1 + seed % 80);
    const auto codec = test::row_codec("int4", {}, {.head_dim = std::ssize(row)});
    const double size = std::exp(rng.normal());
    std::ranges::generate(row, [&] { return static_cast<float>(size * rng.normal()); });
    const std::vector<float> back = round_trip(*codec, row);
    for (std::size_t i = 0; i < row.size(); ++i) {
      const auto group =
          std::span(row).subspan(i / 32 * 32, std::min<std::size_t>(32, row.size() - i / 32 * 32));
      float largest = 0.0F;
      for (const float x : group) {
        largest = std::max(largest, std::abs(x));
      }
      // The scale is off by a 2048th at most, seven times over.
      CHECK(std::abs(back[i] - row[i]) <= largest / 14.0F + largest / 2048.0F);
    }
  }
}

TEST_CASE("int4: rows of zeros and of numbers too small for a scale come back as zeros") {
  const auto codec = test::row_codec("int4", {}, {.head_dim = 3});
  CHECK(round_trip(*codec, std::vector<float>(3, 0.0F)) == std::vector<float>(3, 0.0F));
  CHECK(round_trip(*codec, std::vector<float>(3, 1e-8F)) == std::vector<float>(3, 0.0F));
}

}  // namespace
}  // namespace kvr
