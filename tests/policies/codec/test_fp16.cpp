#include <doctest/doctest.h>

#include <cstddef>

#include "tests/policies/codec/row_codec.hpp"

namespace kvr {
namespace {

TEST_CASE("fp16: rows of a trace come back bit for bit, in two bytes an element") {
  Rng rng(1);
  const test::Sequence sequence = test::Sequence::random(50, 20, rng);
  const auto codec = test::row_codec("fp16", {}, {.head_dim = 20});
  CHECK(codec->lossless());
  REQUIRE(codec->row_bytes(20) == 40);
  for (std::int64_t entry = 0; entry < 50; ++entry) {
    std::vector<std::byte> blob(40);
    std::vector<float> row(20);
    codec->encode(sequence.key(entry), blob);
    codec->decode(blob, row);
    CHECK(std::ranges::equal(row, sequence.key(entry)));
  }
}

TEST_CASE("fp16: one is stored as 0x3c00, little-endian") {
  const auto codec = test::row_codec("fp16", {}, {.head_dim = 1});
  const float one = 1.0F;
  std::vector<std::byte> blob(2);
  codec->encode({&one, 1}, blob);
  CHECK(blob == std::vector<std::byte>{std::byte{0x00}, std::byte{0x3c}});
}

}  // namespace
}  // namespace kvr
