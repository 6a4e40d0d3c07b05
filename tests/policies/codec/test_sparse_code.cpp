// The codec of sparse codes by hand and by what it must keep; tests/kernels/test_sparse_codes.cpp has the
// properties of the codes themselves.
#include <doctest/doctest.h>

#include <cmath>
#include <span>
#include <vector>

#include "policies/codec/e4m3.hpp"
#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/interfaces/codec.hpp"
#include "tests/policies/codec/sample_rows.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

using test::Sequence;

TEST_CASE("fp8: every code comes back as itself, and a number within half a step") {
  for (int code = 0; code < 256; ++code) {
    if ((code & 0x7f) != 0x7f) {  // not a number
      CHECK(E4M3::encode(E4M3::decode(static_cast<std::uint8_t>(code))) == code);
    }
  }
  CHECK(E4M3::decode(E4M3::encode(1.0F)) == 1.0F);
  CHECK(E4M3::decode(E4M3::encode(-0.3F)) == -0.3125F);
  CHECK(E4M3::decode(E4M3::encode(448.0F)) == 448.0F);
  CHECK(E4M3::decode(E4M3::encode(1e9F)) == 448.0F);
  CHECK(E4M3::decode(E4M3::encode(0.0078125F)) == 0.0078125F);
  CHECK(E4M3::decode(E4M3::encode(1.94F)) == 2.0F);  // carries into the exponent
  Rng rng(2);
  for (int trial = 0; trial < 2000; ++trial) {
    const auto value = static_cast<float>(rng.normal() * std::exp(3.0 * rng.normal()));
    const float back = E4M3::decode(E4M3::encode(value));
    const float size = std::min(std::abs(value), E4M3::kLargest);
    CHECK(std::abs(std::abs(back) - size) <= std::max(size / 16.0F, 0x1p-10F));
  }
}

/// The codec of one head's keys, fitted to all of them.
struct Fitted {
  Fitted(const ParamValues& values, const MatrixView<Half>& keys)
      : codec(test::make<Codec>("sparse_code", values, {keys.cols})),
        head(codec->of_head(
            {.width = keys.cols, .head = {}, .plane = 0, .root_seed = 1, .rows = RowsOf::keys})),
        live(EntrySet::first(keys.rows)),
        rows(keys) {
    Work work;
    head->fit({rows, live}, work);
    CHECK(work.flops > 0.0);
  }

  StoredRow encode(EntryIndex entry) const {
    std::vector<float> row(static_cast<std::size_t>(rows.cols));
    to_float(rows.row(entry), row);
    StoredRow stored;
    Work work;
    head->encode(row, {rows, live}, stored, work);
    CHECK(std::ssize(stored.blob) == codec->row_bytes(rows.cols));
    return stored;
  }
  /// ||row - what comes back|| / ||row||.
  double error(EntryIndex entry) const {
    std::vector<float> row(static_cast<std::size_t>(rows.cols));
    std::vector<float> back(row.size());
    to_float(rows.row(entry), row);
    head->decode(encode(entry).blob, {}, back);
    double off = 0.0;
    for (std::size_t i = 0; i < row.size(); ++i) {
      off += std::pow(static_cast<double>(row[i]) - static_cast<double>(back[i]), 2.0);
    }
    return std::sqrt(off / std::max(1e-30, test::plain_dot(row, row)));
  }
  double mean_error() const {
    double sum = 0.0;
    for (EntryIndex entry = 0; entry < live.size(); ++entry) {
      sum += error(entry);
    }
    return sum / static_cast<double>(live.size());
  }

  std::unique_ptr<Codec> codec;
  std::unique_ptr<HeadCodec> head;
  EntrySet live;
  MatrixView<Half> rows;
};

TEST_CASE("sparse code by hand: two rows along two axes, three bits a number") {
  const Sequence sequence({2, 0, 0, -1, 4, 0}, 2);
  const Fitted fitted({{"nonzeros", std::int64_t{1}}, {"atoms", std::int64_t{2}}}, sequence.view(3).keys);
  CHECK(fitted.codec->row_bytes(2) == 2);  // one bit of index, eight of weight
  for (EntryIndex entry = 0; entry < 3; ++entry) {
    CHECK(fitted.error(entry) == 0.0);  // 2, 1 and 4 are numbers of fp8
  }
  // The lowest bit says which of the two atoms, the next eight are the weight's.
  const auto blob = fitted.encode(0).blob;
  const unsigned bits = std::to_integer<unsigned>(blob[0]) | std::to_integer<unsigned>(blob[1]) << 8;
  CHECK(std::abs(E4M3::decode(static_cast<std::uint8_t>(bits >> 1 & 0xff))) == 2.0F);
  const auto index = [&](EntryIndex entry) {
    return std::to_integer<unsigned>(fitted.encode(entry).blob[0]) & 1U;
  };
  CHECK(index(0) == index(2));
  CHECK(index(0) != index(1));
  const unsigned above = bits >> 9;
  CHECK(above == 0);
}

TEST_CASE("sparse code: bytes are those of the formula, to the byte") {
  for (const std::int64_t nonzeros : {1, 3, 4, 8, 16, 30}) {
    for (const std::int64_t atoms : {2, 3, 256, 257, 1024, 65536}) {
      for (const char* const weights : {"fp8", "fp16"}) {
        const auto codec = test::make<Codec>(
            "sparse_code", {{"nonzeros", nonzeros}, {"atoms", atoms}, {"weights", std::string(weights)}},
            {64});
        const auto index_bits = static_cast<std::int64_t>(std::ceil(std::log2(static_cast<double>(atoms))));
        const std::int64_t bits = nonzeros * (index_bits + (weights == std::string("fp8") ? 8 : 16));
        CHECK(codec->row_bytes(64) == (bits + 7) / 8);
      }
    }
  }
  // One bit an element of heads of 64, int4's 4.5 and int8's 8.5.
  for (const auto& [nonzeros, bytes] : {std::pair{4, 8}, std::pair{18, 36}, std::pair{34, 68}}) {
    CHECK(test::make<Codec>("sparse_code", {{"nonzeros", std::int64_t{nonzeros}}}, {64})->row_bytes(64) ==
          bytes);
  }
  CHECK(test::make<Codec>("int4", {}, {64})->row_bytes(64) == 36);
  CHECK(test::make<Codec>("int8", {}, {64})->row_bytes(64) == 68);
}

TEST_CASE("sparse code: rows of a real model come back within what is left of them, less with more atoms") {
  const test::SampleRows all(2, 300);
  for (const std::int64_t part : {0, 3}) {  // keys and values of the first head
    const MatrixView<Half> rows{all.view().data + part * 64, 300, 64, all.width()};
    for (const char* const pursuit : {"matching", "orthogonal"}) {
      CAPTURE(part);
      CAPTURE(pursuit);
      double before = 1.0;
      for (const std::int64_t nonzeros : {2, 8, 24}) {
        const Fitted fitted(
            {{"nonzeros", nonzeros}, {"atoms", std::int64_t{64}}, {"pursuit", std::string(pursuit)}}, rows);
        double largest = 0.0;
        for (EntryIndex entry = 0; entry < 300; ++entry) {
          largest = std::max(largest, fitted.error(entry));
        }
        // Pursuit never leaves more than the row; least squares' weights are rounded afterwards, by a 16th.
        CHECK(largest <= (pursuit == std::string("matching") ? 1.0 : 1.0 + std::sqrt(24.0) / 16.0));
        const double mean = fitted.mean_error();
        CHECK(mean < before);
        before = mean;
      }
      CHECK(before < 0.35);
    }
  }
}

TEST_CASE("sparse code: what is left tells what rounding did, so that fp8 costs little") {
  const test::SampleRows all(1, 200);
  const MatrixView<Half> rows{all.view().data, 200, 64, all.width()};
  const auto mean = [&](const char* weights) {
    return Fitted({{"nonzeros", std::int64_t{16}},
                   {"atoms", std::int64_t{64}},
                   {"weights", std::string(weights)}},
                  rows)
        .mean_error();
  };
  const double fine = mean("fp16");
  CHECK(mean("fp8") < fine + 0.02);
}

TEST_CASE("sparse code: an index beyond the dictionary is noticed") {
  const Sequence sequence({2, 0, 0, -1, 4, 1}, 2);
  const Fitted fitted({{"nonzeros", std::int64_t{1}}, {"atoms", std::int64_t{3}}}, sequence.view(3).keys);
  std::vector<std::byte> blob = fitted.encode(0).blob;
  blob[0] |= std::byte{3};
  std::vector<float> row(2);
  CHECK_THROWS_WITH_AS(fitted.head->decode(blob, {}, row), doctest::Contains("atom 3 of 3"), InternalError);
}

TEST_CASE("sparse code: the dictionary is in DRAM, two bytes an element") {
  const Sequence sequence({2, 0, 0, -1, 4, 1}, 2);
  const Fitted fitted({{"nonzeros", std::int64_t{1}}, {"atoms", std::int64_t{16}}}, sequence.view(3).keys);
  CHECK(fitted.head->dram_bytes() == 16 * 2 * 2);
}

}  // namespace
}  // namespace kvr
