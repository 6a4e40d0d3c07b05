#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>

#include "sim/base/error.hpp"
#include "sim/base/files/temporary_folder.hpp"
#include "sim/base/sha256.hpp"
#include "sim/results/result_file.hpp"
#include "sim/results/writer.hpp"
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

namespace {

constexpr std::size_t kHashBegin = std::string_view("kvreplay point 1\n").size();
constexpr std::size_t kBodyBegin = kHashBegin + 64;

/// With the sha256 of what it has now.
std::string sealed(std::string record) {
  Sha256 hash;
  hash.update(std::as_bytes(std::span(std::string_view(record).substr(kBodyBegin))));
  return record.replace(kHashBegin, 64, hash.hex());
}

/// Somebody wrote into the body of a record: a bit, a byte, a number where counts may stand, or a piece that
/// is missing, there twice or somewhere else.
class Scribbler {
 public:
  explicit Scribbler(unsigned seed) : random_(seed) {}

  std::string operator()(std::string record) {
    for (std::size_t times = between(1, 3); times > 0; --times) {
      scribble(record);
    }
    return sealed(std::move(record));
  }

 private:
  std::size_t between(std::size_t least, std::size_t most) {
    return std::uniform_int_distribution<std::size_t>(least, most)(random_);
  }

  void scribble(std::string& record) {
    constexpr std::array kNumbers{std::int64_t{0},
                                  std::int64_t{1},
                                  std::int64_t{-1},
                                  std::int64_t{2},
                                  std::int64_t{255},
                                  std::int64_t{1} << 20,
                                  std::int64_t{1} << 33,
                                  std::int64_t{1} << 60,
                                  std::numeric_limits<std::int64_t>::max(),
                                  std::numeric_limits<std::int64_t>::min()};
    const std::size_t place = between(kBodyBegin, record.size() - 1);
    const std::size_t room = record.size() - place;
    switch (between(0, 5)) {
      case 0:
        record[place] ^= static_cast<char>(1 << between(0, 7));
        break;
      case 1:
        record[place] = static_cast<char>(between(0, 255));
        break;
      case 2: {
        const std::int64_t number = kNumbers[between(0, kNumbers.size() - 1)];
        std::memcpy(record.data() + place, &number, std::min(sizeof number, room));
        break;
      }
      case 3:
        record.erase(place, std::min(room - 1, between(1, 16)));
        break;
      case 4:
        record.insert(place, record.substr(place, between(1, 64)));
        break;
      default:
        record.insert(between(kBodyBegin, record.size() - 1), record.substr(place, between(1, 16)));
    }
  }

  std::mt19937 random_;
};

/// What is read of a record goes into results as a run would put it there, and is read back from them.
void write_and_read(const PointOutline& outline, const std::shared_ptr<const PointData>& data,
                    const std::filesystem::path& path) {
  PointOutline point = outline;
  point.number = 0;  // as a run does, whose configuration says what a point is called
  point.name = "p";
  point.variant = "p";
  point.resolved_config = "a: 1\n";
  write_results(path, std::span(&point, 1), [&data](std::size_t) { return data; }, 1, {});
  ResultFile(path).check();
}

/// How many of `trials` records in which somebody wrote are read all the same.
int count_read(const PointResult& point, unsigned seed, int trials) {
  const TemporaryFolder folder;
  sweep::write_record(folder / "r", "k", outline_of(point), point.data);
  const std::string sound = bytes_of(folder / "r");
  Scribbler scribble(seed);
  int read = 0;
  for (int trial = 0; trial < trials; ++trial) {
    CAPTURE(trial);
    write(folder / "d", scribble(sound));
    std::shared_ptr<const PointData> data;
    std::optional<PointOutline> outline;
    try {
      outline = sweep::read_outline(folder / "d", "k");
    } catch (const InputError& error) {
      CHECK(std::string_view(error.what()).starts_with((folder / "d").string() + ": "));
      CHECK_THROWS_AS(sweep::read_values(folder / "d", "k"), InputError);
      continue;
    }
    CHECK_NOTHROW(data = sweep::read_values(folder / "d", "k"));  // whose outline is sound
    constexpr std::int64_t kQuick = 100'000;                      // an axis of more takes time
    if (data != nullptr && outline->steps < kQuick && outline->walked_sequences < kQuick &&
        outline->prefills < kQuick) {
      CHECK_NOTHROW(write_and_read(*outline, data, folder / "out.h5"));
    }
    ++read;
  }
  return read;
}

}  // namespace

TEST_CASE("a record that somebody made is damaged, or results can be written of it") {
  const unsigned seed = std::random_device()();
  INFO("seed " << seed);
  MESSAGE("seed " << seed);
  PointResult point = test::full_point();
  CHECK(count_read(point, seed, 1500) > 0);
  point.keep_steps = false;
  CHECK(count_read(point, seed, 500) > 0);
}

TEST_CASE("a record whose outline cannot be is damaged, whatever its sha256") {
  const TemporaryFolder folder;
  const PointResult point = test::full_point();
  const auto refused = [&](const char* what, auto change) {
    PointOutline outline = outline_of(point);
    change(outline);
    CAPTURE(what);
    CHECK_THROWS_WITH_AS(sweep::write_record(folder / "r", "k", outline, point.data), doctest::Contains(what),
                         SystemError);
  };
  refused("the number of its steps cannot be", [](PointOutline& one) { one.steps = 0; });
  refused("the number of its steps cannot be", [](PointOutline& one) { one.steps = std::int64_t{1} << 40; });
  refused("the number of its sequences cannot be", [](PointOutline& one) { one.walked_sequences = -1; });
  refused("the number of its prompts cannot be", [](PointOutline& one) { one.prefills = -1; });
  refused("the numbers of its layers cannot be", [](PointOutline& one) { one.layer_numbers = {8, 4}; });
  refused("the numbers of its heads cannot be", [](PointOutline& one) { one.head_numbers = {}; });
  refused("the names of its tiers cannot be", [](PointOutline& one) { one.tier_names = {"cxl", "cxl"}; });
  refused("summaries of its tiers cannot be", [](PointOutline& one) { one.summary.tiers.pop_back(); });
  refused("the list of its metrics cannot be",
          [](PointOutline& one) { one.written.push_back(static_cast<Metric>(100'000)); });
  refused("the list of its policies' figures cannot be",
          [](PointOutline& one) { one.figures.front().name = "a/b.c"; });
  refused("the list of its policies' figures cannot be",
          [](PointOutline& one) { one.figures.front().dims = Dims::point; });
  refused("the list of its policies' figures cannot be",
          [](PointOutline& one) { one.figures.push_back(one.figures.front()); });
}

TEST_CASE("values of another number than the outline says are damage") {
  const TemporaryFolder folder;
  const PointResult point = test::full_point();
  PointOutline outline = outline_of(point);
  outline.steps = 4;  // the values are of three
  sweep::write_record(folder / "r", "k", outline, point.data);
  CHECK_THROWS_WITH_AS(sweep::read_outline(folder / "r", "k"),
                       doctest::Contains("is damaged: recall has another number of values"), InputError);
  CHECK_THROWS_AS(sweep::read_values(folder / "r", "k"), InputError);
}
