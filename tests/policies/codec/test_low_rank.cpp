#include <doctest/doctest.h>

#include <cmath>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/interfaces/codec.hpp"
#include "tests/policies/codec/fitted_codec.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

using test::FittedCodec;
using test::Sequence;

FittedCodec fit(std::int64_t rank, const Sequence& sequence, EntryIndex entries) {
  return {"low_rank", {{"rank", rank}}, sequence, entries};
}

TEST_CASE("low_rank codec: rows on one line come back from one number each, none of it on flash") {
  const Sequence sequence({3, 4, -6, -8, 1.5F, 2}, 2);
  FittedCodec fitted = fit(1, sequence, 3);
  CHECK(fitted.codec().row_bytes(2) == 0);
  CHECK(fitted.codec().kept_bytes(2) == 2);
  CHECK(fitted.head().dram_bytes() == 2 * 2);
  for (EntryIndex entry = 0; entry < 3; ++entry) {
    const auto row = fitted.round_trip(sequence.key(entry));
    CHECK(row[0] == doctest::Approx(sequence.key(entry)[0]).epsilon(1e-3));
    CHECK(row[1] == doctest::Approx(sequence.key(entry)[1]).epsilon(1e-3));
  }
}

double error_of(std::int64_t rank, const Sequence& sequence, EntryIndex entries) {
  FittedCodec fitted = fit(rank, sequence, entries);
  double sum = 0.0;
  for (EntryIndex entry = 0; entry < entries; ++entry) {
    const auto row = fitted.round_trip(sequence.key(entry));
    for (std::size_t i = 0; i < row.size(); ++i) {
      const double difference = static_cast<double>(row[i]) - static_cast<double>(sequence.key(entry)[i]);
      sum += difference * difference;
    }
  }
  return std::sqrt(sum);
}

TEST_CASE(
    "low_rank codec: all directions keep a row up to fp16, fewer lose more, and never more than the row") {
  Rng rng(5);
  const Sequence sequence = Sequence::random(100, 12, rng);
  double norm = 0.0;
  for (EntryIndex entry = 0; entry < 100; ++entry) {
    norm += test::plain_dot(sequence.key(entry), sequence.key(entry));
  }
  CHECK(error_of(12, sequence, 100) < 0.01 * std::sqrt(norm));
  double last = std::sqrt(norm);
  for (std::int64_t rank = 1; rank <= 12; ++rank) {
    const double error = error_of(rank, sequence, 100);
    CHECK(error < last);
    last = error;
  }
}

TEST_CASE(
    "low_rank codec: without a rank a sixth of the elements, rounded up; more than elements are refused") {
  const auto codec = test::make<Codec>("low_rank", {}, {64});
  CHECK(codec->kept_bytes(64) == 2 * 11);
  CHECK_THROWS_WITH_AS(test::make<Codec>("low_rank", {{"rank", std::int64_t{9}}}, {8}),
                       "rank: 9 directions of 8 elements; allowed: 1 to 8", InputError);
}

}  // namespace
}  // namespace kvr
