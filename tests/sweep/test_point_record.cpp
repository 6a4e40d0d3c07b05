#include <doctest/doctest.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "sim/base/error.hpp"
#include "sim/base/files/temporary_folder.hpp"
#include "sim/sweep/point_record.hpp"
#include "tests/sweep/points.hpp"

using namespace kvr;

namespace {

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

bool same_bits(std::span<const double> a, std::span<const double> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

}  // namespace

TEST_CASE("a record gives back an outline to the last byte, and every value to the last bit") {
  const TemporaryFolder folder;
  const PointResult point = test::full_point();
  const PointOutline outline = outline_of(point);
  sweep::write_record(folder / "r", "k", outline, point.data);

  CHECK(sweep::encode(sweep::read_outline(folder / "r", "k")) == sweep::encode(outline));
  CHECK(sweep::encode(sweep::decode_outline(sweep::encode(outline))) == sweep::encode(outline));
  CHECK_THROWS_WITH_AS(sweep::read_outline(folder / "r", "l"), doctest::Contains("is of another point"),
                       InputError);
  const auto data = sweep::read_values(folder / "r", "k");
  for (const MetricInfo& metric : metric_table()) {
    CHECK_MESSAGE(same_bits(data->values(metric.id), point.data.values(metric.id)), metric.name);
  }
  CHECK(data->broken(Metric::mass));
  REQUIRE(data->figures().size() == 1);
  CHECK(same_bits(data->figures()[0].values, point.data.figures()[0].values));
  CHECK(data->figures()[0].policy == "clustering 'shy'");
  REQUIRE(data->units() != nullptr);
  CHECK(*data->units() == test::two_units());
}

TEST_CASE("an outline says what the point was") {
  const PointOutline outline = outline_of(test::full_point());
  CHECK(outline.layer_numbers == std::vector<std::int64_t>{4, 8});
  CHECK(outline.walked_sequences == 2);
  CHECK(outline.seed == -3);
  REQUIRE(outline.summary.tiers.size() == 2);
  CHECK(outline.summary.tiers[1].name == "cxl");
  CHECK(outline.summary.values.size() == summary_table().size());
  REQUIRE(outline.summary.figures.size() == 1);
  CHECK(outline.summary.figures[0].mean == 7.0);  // of the one step that has values
}

TEST_CASE("a point that keeps no steps has a record of its summaries alone") {
  const TemporaryFolder folder;
  PointResult point = test::full_point();
  point.keep_steps = false;
  sweep::write_record(folder / "r", "k", outline_of(point), point.data);
  CHECK(sweep::read_outline(folder / "r", "k").written.empty());
  CHECK(sweep::read_outline(folder / "r", "k").summary.figures.size() == 1);
  CHECK_FALSE(sweep::read_values(folder / "r", "k")->recorded(Metric::latency_s));
}

TEST_CASE("a damaged record is noticed, wherever it is damaged") {
  const TemporaryFolder folder;
  const PointResult point = test::full_point();
  sweep::write_record(folder / "r", "k", outline_of(point), point.data);
  const std::string sound = bytes_of(folder / "r");
  constexpr unsigned kSeed = 16;
  INFO("seed " << kSeed);
  std::mt19937 random(kSeed);
  const auto place = [&random, &sound] {
    return std::uniform_int_distribution<std::size_t>(0, sound.size() - 1)(random);
  };
  for (int trial = 0; trial < 200; ++trial) {
    std::string damaged = sound;
    if (trial % 2 == 0) {
      damaged.resize(place());
    } else {
      damaged[place()] ^= static_cast<char>(1 << (trial / 2 % 8));
    }
    write(folder / "d", damaged);
    CHECK_THROWS_AS(sweep::read_outline(folder / "d", "k"), InputError);
    CHECK_THROWS_AS(sweep::read_values(folder / "d", "k"), InputError);
  }
}
