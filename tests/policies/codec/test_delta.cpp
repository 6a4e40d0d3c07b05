// The codec of residuals by hand and by what it must keep: the names follow DeltaKV's list of properties.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/interfaces/codec.hpp"
#include "tests/policies/codec/sample_rows.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

using test::SampleRows;

double distance(std::span<const float> a, std::span<const float> b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += (static_cast<double>(a[i]) - static_cast<double>(b[i])) *
           (static_cast<double>(a[i]) - static_cast<double>(b[i]));
  }
  return std::sqrt(sum);
}

std::vector<float> floats(std::span<const Half> row) {
  std::vector<float> values(row.size());
  to_float(row, values);
  return values;
}

/// The codec of one set of heads, as the engine uses it: fitted to all rows, which are then stored in order.
class Stored {
 public:
  Stored(const ParamValues& values, const MatrixView<Half>& rows)
      : Stored(values, rows, EntrySet::first(rows.rows)) {}
  Stored(const ParamValues& values, const MatrixView<Half>& rows, const EntrySet& live)
      : codec(test::make<Codec>("delta", values, {rows.cols / 2})),
        head(codec->of_head({.width = rows.cols, .head = {}, .plane = 0, .root_seed = 1})),
        captured(rows) {
    Work work;
    head->fit({rows, live}, work);
    for (EntryIndex entry = 0; entry < rows.rows; ++entry) {
      StoredRow& stored = blobs.emplace_back();
      std::vector<float> row = floats(rows.row(entry));
      if (live.contains(entry)) {
        head->encode(row, {known(entry), live}, stored, work);
        CHECK(std::ssize(stored.blob) == head->bytes_at(entry));
        row = decode(entry);
      }
      back.resize(back.size() + row.size());
      to_half(row, std::span(back).last(row.size()));
    }
  }

  MatrixView<Half> known(std::int64_t entries) const {
    return {back.data(), entries, captured.cols, captured.cols};
  }
  std::vector<float> references(EntryIndex entry) const {
    std::vector<float> rows;
    for (const EntryIndex to : blobs[static_cast<std::size_t>(entry)].references) {
      const std::vector<float> row = floats(known(std::ssize(blobs)).row(to));
      rows.insert(rows.end(), row.begin(), row.end());
    }
    return rows;
  }
  std::vector<float> decode(EntryIndex entry) const {
    const std::vector<float> rows = references(entry);
    return decode(entry, rows);
  }
  std::vector<float> decode(EntryIndex entry, const std::vector<float>& rows) const {
    std::vector<float> row(static_cast<std::size_t>(captured.cols));
    head->decode(blobs[static_cast<std::size_t>(entry)].blob,
                 matrix_view<float>(rows.data(), std::ssize(rows) / captured.cols, captured.cols), row);
    return row;
  }
  /// ||row - mean of its references||.
  double beside_base(EntryIndex entry) const {
    const std::vector<float> rows = references(entry);
    std::vector<float> base(static_cast<std::size_t>(captured.cols), 0.0F);
    const auto count = static_cast<float>(std::ssize(rows) / captured.cols);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      base[i % base.size()] += rows[i] / count;
    }
    return distance(base, floats(captured.row(entry)));
  }
  double error(EntryIndex entry) const { return distance(decode(entry), floats(captured.row(entry))); }

  std::unique_ptr<Codec> codec;
  std::unique_ptr<HeadCodec> head;
  MatrixView<Half> captured;
  std::vector<StoredRow> blobs;
  std::vector<Half> back;
};

ParamValues with(std::int64_t rank, std::int64_t references = 1) {
  return {
      {"stride", std::int64_t{10}}, {"sinks", std::int64_t{8}}, {"rank", rank}, {"references", references}};
}

TEST_CASE("delta codec by hand: two references whole, a residual along the one direction that there is") {
  // Entries 0 and 2 are whole. 1 is nearest to 0, the only one before it; 3 to 2.
  const test::Sequence sequence({1, 0, 1, 2, 5, 5, 5, 4}, 2);
  const ParamValues params = {{"stride", std::int64_t{2}},
                              {"sinks", std::int64_t{0}},
                              {"rank", std::int64_t{1}},
                              {"latent", std::string("int4")}};
  const Stored stored(params, sequence.view(4).keys);
  CHECK(stored.blobs[0].blob.size() == 4);
  CHECK(stored.blobs[1].blob.size() == 2 + 2 + 1);  // check sum, scale, one code
  CHECK(stored.blobs[1].references == std::vector<EntryIndex>{0});
  CHECK(stored.blobs[3].references == std::vector<EntryIndex>{2});
  CHECK(stored.decode(0) == std::vector<float>{1, 0});
  CHECK(stored.error(1) < 2e-3);  // the scale 2 / 7 in fp16
  CHECK(stored.error(3) < 1e-3);
  CHECK(stored.head->dram_bytes() == 2 * 2 + 2 * 4);
}

TEST_CASE("delta codec: with as many directions as elements rows come back up to fp16") {
  const SampleRows rows(1, 150);
  const Stored stored(with(rows.width()), rows.view());
  for (EntryIndex entry = 0; entry < 150; ++entry) {
    CHECK(stored.error(entry) <= 2e-3 * stored.beside_base(entry) + 1e-3);
  }
}

TEST_CASE("delta codec: with no direction a row is the mean of its nearest references") {
  const SampleRows rows(2, 120);
  const Stored stored(with(0, 3), rows.view());
  for (EntryIndex entry = 9; entry < 120; ++entry) {
    const StoredRow& row = stored.blobs[static_cast<std::size_t>(entry)];
    if (!row.references.empty()) {
      CHECK(row.blob.size() == 2);  // the check sum
      CHECK(stored.error(entry) == doctest::Approx(stored.beside_base(entry)).epsilon(1e-4));
    }
  }
}

TEST_CASE("delta codec: references are whole earlier entries, the nearest of them by a plain search") {
  const SampleRows rows(0, 140);
  const Stored stored(with(24, 2), rows.view());
  for (EntryIndex entry = 8; entry < 140; ++entry) {
    if ((entry - 8) % 10 == 0) {
      CHECK(stored.blobs[static_cast<std::size_t>(entry)].references.empty());
      continue;
    }
    std::vector<std::pair<double, EntryIndex>> all;
    for (EntryIndex to = 0; to < entry; ++to) {
      if (to < 8 || (to - 8) % 10 == 0) {
        all.emplace_back(distance(floats(rows.view().row(to)), floats(rows.view().row(entry))), to);
      }
    }
    std::ranges::sort(all);
    CHECK(stored.blobs[static_cast<std::size_t>(entry)].references ==
          std::vector<EntryIndex>{all[0].second, all[1].second});
  }
}

TEST_CASE("delta codec: what is its own reference has no residual and comes back bit by bit") {
  const SampleRows rows(3, 100);
  const Stored stored(with(8), rows.view());
  for (const EntryIndex entry : {0, 7, 8, 18, 88}) {
    CHECK(stored.error(entry) == 0.0);
    CHECK(std::ssize(stored.blobs[static_cast<std::size_t>(entry)].blob) == 2 * rows.width());
  }
}

TEST_CASE("delta codec: no row is told worse than by its references alone, and more directions tell more") {
  const SampleRows rows(1, 256);
  for (const std::int64_t references : {1, 4}) {
    double before = 0.0;
    for (const std::int64_t rank : {0, 16, 64, 192}) {
      CAPTURE(rank);
      const Stored stored(with(rank, references), rows.view());
      double sum = 0.0;
      for (EntryIndex entry = 0; entry < 256; ++entry) {
        CHECK(stored.error(entry) <= stored.beside_base(entry) * (1.0 + 1e-3) + 1e-3);
        sum += stored.error(entry) * stored.error(entry);
      }
      CHECK((rank == 0 || sum < before));
      before = sum;
    }
  }
}

TEST_CASE("delta codec: int4 latents add no more than half a step of each direction's group") {
  const SampleRows rows(2, 150);
  ParamValues params = with(96);
  params["latent"] = std::string("int4");
  const Stored coarse(params, rows.view());
  const Stored fine(with(96), rows.view());
  for (EntryIndex entry = 0; entry < 150; ++entry) {
    // 96 latents, each off by at most a 14th of its group's largest, which is no longer than the residual.
    const double bound = fine.error(entry) + std::sqrt(96.0) / 14.0 * fine.beside_base(entry);
    CHECK(coarse.error(entry) <= bound * 1.01 + 1e-3);
  }
}

TEST_CASE("delta codec: bytes are those that are said, to the byte, in every layer") {
  const auto bytes = [](const ParamValues& values, std::int64_t layer, EntryIndex entry) {
    const auto codec = test::make<Codec>("delta", values, {192});
    CHECK(codec->row_bytes(384) == 768);
    return codec
        ->of_head({.width = 384,
                   .head = {},
                   .plane = 0,
                   .root_seed = 1,
                   .rows = RowsOf::both,
                   .layer_number = layer})
        ->bytes_at(entry);
  };
  CHECK(bytes({}, 0, 0) == 768);
  CHECK(bytes({}, 0, 8) == 768);
  CHECK(bytes({}, 0, 9) == 2 + 2 * 24);  // one direction for sixteen elements
  CHECK(bytes({{"rank", std::int64_t{100}}}, 0, 9) == 2 + 200);
  CHECK(bytes({{"rank", std::int64_t{100}}, {"latent", std::string("int4")}}, 0, 9) == 2 + 4 * 2 + 50);
  const ParamValues whole = {{"whole_layers", std::string("0..3,8")}};
  for (const std::int64_t layer : {0, 3, 8}) {
    CHECK(bytes(whole, layer, 9) == 768);
  }
  CHECK(bytes(whole, 4, 9) == 50);
}

TEST_CASE("delta codec: a damaged reference is noticed") {
  const SampleRows rows(1, 60);
  const Stored stored(with(24, 2), rows.view());
  const EntryIndex entry = 47;
  std::vector<float> references = stored.references(entry);
  CHECK(stored.decode(entry, references) == stored.decode(entry));
  for (const std::size_t at : {std::size_t{0}, references.size() / 2, references.size() - 1}) {
    std::vector<float> damaged = references;
    damaged[at] += 1.0F;
    CHECK_THROWS_WITH_AS(stored.decode(entry, damaged), doctest::Contains("is not what it was stored with"),
                         InternalError);
  }
  references.resize(references.size() / 2);  // one is missing
  CHECK_THROWS_AS(stored.decode(entry, references), InternalError);
}

TEST_CASE(
    "delta codec: removed references are passed over; without any a row is told by its own directions") {
  const SampleRows rows(0, 60);
  EntrySet live = EntrySet::first(60);
  live.remove({0, 8});
  live.remove(18);
  const Stored stored(with(rows.width()), rows.view(), live);
  CHECK(stored.blobs[19].references == std::vector<EntryIndex>{8});
  EntrySet none = EntrySet::first(60);
  for (EntryIndex entry = 0; entry < 60; ++entry) {
    if (entry < 8 || (entry - 8) % 10 == 0) {
      none.remove(entry);
    }
  }
  const Stored alone(with(rows.width()), rows.view(), none);
  CHECK(alone.blobs[19].references.empty());
  CHECK(alone.error(19) < 0.05);
}

TEST_CASE("delta codec: what cannot be is refused") {
  const auto made = [](const ParamValues& values) {
    return test::make<Codec>("delta", values, {4})
        ->of_head({.width = 8, .head = {}, .plane = 0, .root_seed = 1});
  };
  CHECK_THROWS_WITH_AS(made({{"rank", std::int64_t{9}}}), "rank: 9 directions of 8 elements; allowed: 0 to 8",
                       InputError);
  CHECK_THROWS_WITH_AS(
      made({{"rank", std::int64_t{7}}}),
      "rank: a residual takes 16 bytes, as a row that is stored whole; allowed: another rank", InputError);
  for (const char* const list : {"", "3..", "1,", "a", "1 2", "-1"}) {
    CHECK_THROWS_WITH_AS(made({{"whole_layers", std::string(list)}}),
                         doctest::Contains("whole_layers: is no list"), InputError);
  }
}

}  // namespace
}  // namespace kvr
