// The device `file`: batches on a real file in simulated time, its sparse addresses, and the models beside
// it.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "models/flash/address_map.hpp"
#include "models/flash/model_comparison.hpp"
#include "models/flash/storage/direct_io.hpp"
#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/interfaces/flash_device.hpp"
#include "tests/models/flash/scratch_folder.hpp"
#include "tests/models/flash/shipped_config.hpp"

namespace kvr::flash {

namespace {

using doctest::Approx;

constexpr std::int64_t kMiB = std::int64_t{1} << 20;
constexpr std::int64_t kRegion = std::int64_t{1} << 36;
constexpr double kNever = std::numeric_limits<double>::infinity();

FlashDevice::Context context() {
  return {test::fit_host(test::shipped_device("ufs40")), 1};
}

ParamValues values_at(const std::filesystem::path& path) {
  ParamValues values = test::shipped_values("device", "devices/ufs40.yaml");
  values["path"] = path.string();
  values["size"] = std::int64_t{8} * kMiB;
  return values;
}

std::unique_ptr<FlashDevice> make(const ParamValues& values) {
  return Registry<FlashDevice>::instance().create("file", values, context());
}

std::vector<IoDone> drain(FlashDevice& device) {
  std::vector<IoDone> done;
  while (device.next_event_s() < kNever) {
    device.advance(device.next_event_s(), done);
  }
  return done;
}

/// Up to 40 reads and writes of up to 1 MiB over three regions, some across the border of a chunk.
std::vector<IoRequest> random_batch(Rng& rng, std::uint64_t first_id, double submit_s) {
  std::vector<IoRequest> batch(1 + rng.below(40));
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const auto region = static_cast<std::int64_t>(rng.below(3)) * kRegion;
    const auto offset = static_cast<std::int64_t>(rng.below(256)) * 4096;
    const auto length = static_cast<std::int64_t>(1 + rng.below(256)) * 4096;
    const IoKind kind = rng.below(4) == 0 ? IoKind::write : IoKind::read;
    batch[i] = {first_id + i, kind, 0, region + offset, length, submit_s};
  }
  return batch;
}

}  // namespace

TEST_CASE("every request completes once, in order of time, after it was submitted, on both engines") {
  const test::ScratchFolder folder;
  if (!folder.has_direct_io()) {
    return;
  }
  for (const std::string engine : {"auto", "threads"}) {
    CAPTURE(engine);
    ParamValues values = values_at(folder.path() / "data");
    values["engine"] = engine;
    const auto device = make(values);
    Rng rng(5);
    double now_s = 0.25;
    std::uint64_t id = 0;
    std::int64_t bytes = 0;
    double response_s = 0.0;
    for (int round = 0; round < 20; ++round) {
      const std::vector<IoRequest> batch = random_batch(rng, id, now_s);
      device->submit(batch);
      const std::vector<IoDone> done = drain(*device);
      REQUIRE(done.size() == batch.size());
      std::set<std::uint64_t> ids;
      for (std::size_t i = 0; i < done.size(); ++i) {
        ids.insert(done[i].id);
        CHECK(now_s <= done[i].start_s);
        CHECK(done[i].start_s <= done[i].device_s);
        CHECK(done[i].device_s <= done[i].done_s);
        CHECK((i == 0 || done[i - 1].done_s < done[i].done_s ||
               (done[i - 1].done_s == done[i].done_s && done[i - 1].id < done[i].id)));
        response_s += done[i].done_s - now_s;
      }
      CHECK(ids.size() == batch.size());
      CHECK(*ids.begin() == id);
      for (const IoRequest& request : batch) {
        bytes += request.length_bytes;
      }
      id += batch.size();
      now_s = done.back().done_s + 1e-3;
    }
    const DeviceStats stats = device->stats();
    CHECK(stats.reads + stats.writes == static_cast<std::int64_t>(id));
    CHECK(stats.read_bytes + stats.written_bytes == bytes);
    CHECK(stats.commands >= stats.reads + stats.writes);
    CHECK(stats.response_s == Approx(response_s));
    CHECK(stats.busy_s < now_s);
    CHECK(device->energy(now_s).total_j() > 0.0);
    CHECK(device->next_event_s() == kNever);
  }
  CHECK(folder.files() == 0);
}

TEST_CASE("batches that would overlap follow each other") {
  const test::ScratchFolder folder;
  if (!folder.has_direct_io()) {
    return;
  }
  const auto device = make(values_at(folder.path() / "data"));
  const std::vector<IoRequest> both{{0, IoKind::read, 0, 0, 65536, 1.0},
                                    {1, IoKind::read, 0, 65536, 65536, 1.0 + 1e-9}};
  device->submit(both);
  const std::vector<IoDone> done = drain(*device);
  REQUIRE(done.size() == 2);
  CHECK(done[1].start_s >= done[0].done_s);
}

TEST_CASE("the results can say what was measured, and how far the models were off") {
  const test::ScratchFolder folder;
  if (!folder.has_direct_io()) {
    return;
  }
  const auto device = make(values_at(folder.path() / "data"));
  CHECK(device->notes().empty());  // nothing was measured yet
  device->set_working_set(8 * kMiB);
  Rng rng(9);
  double now_s = 0.0;
  for (std::uint64_t round = 0; round < 10; ++round) {
    device->submit(random_batch(rng, round * 100, now_s));
    now_s = drain(*device).back().done_s;
  }
  std::string notes;
  for (const std::string& note : device->notes()) {
    notes += note + "\n";
  }
  for (const char* word : {"measured on this machine", "data", "8 MiB", "Linux", "scheduler", "nr_requests",
                           "max_sectors_kb", "engine", "O_DIRECT checked", "energy"}) {
    CAPTURE(word);
    CHECK(notes.find(word) != std::string::npos);
  }
  REQUIRE_FALSE(device->model_errors().empty());
  for (const ModelError& error : device->model_errors()) {
    CHECK(Catalogue::instance().find("device", error.model) != nullptr);
    CHECK(error.batches == 10);
    CHECK(error.median <= error.p95);
    CHECK(error.p95 <= error.p99);
  }
}

TEST_CASE("a model that is compared with itself is not off; against twice its time it is off by half") {
  const auto models = models_to_compare(test::shipped_device("ufs40"), context().root_seed);
  REQUIRE_FALSE(models.empty());
  for (const double factor : {1.0, 2.0}) {
    auto compared = models_to_compare(test::shipped_device("ufs40"), context().root_seed);
    for (ComparedModel& model : compared) {
      const std::string name = model.error().model;
      CAPTURE(name);
      CHECK(model.error().batches == 0);
      const auto reference = Registry<FlashDevice>::instance().create(
          name, test::shipped_values("device", "devices/ufs40.yaml"), context());
      reference->set_working_set(1 << 30);
      model.set_working_set(1 << 30);
      double now_s = 0.0;
      for (std::uint64_t round = 0; round < 20; ++round) {
        std::vector<IoRequest> batch;
        for (std::uint64_t i = 0; i <= round; ++i) {
          batch.push_back(
              {100 * round + i, IoKind::read, 0, static_cast<std::int64_t>(i) * kMiB, 4096, now_s});
        }
        reference->submit(batch);
        const double took_s = drain(*reference).back().done_s - now_s;
        model.compare(batch, round == 0 ? 0.0 : 1e-3, factor * took_s);
        now_s += took_s + 1e-3;
      }
      const ModelError error = model.error();
      CHECK(error.batches == 20);
      CHECK(error.median == Approx(factor == 1.0 ? 0.0 : 0.5).epsilon(1e-6));
      CHECK(error.p99 == Approx(factor == 1.0 ? 0.0 : 0.5).epsilon(1e-6));
      CHECK(error.total_time == Approx(factor == 1.0 ? 0.0 : -0.5).epsilon(1e-6));
    }
  }
}

TEST_CASE("gaps that are kept pass in real time") {
  const test::ScratchFolder folder;
  if (!folder.has_direct_io()) {
    return;
  }
  ParamValues values = values_at(folder.path() / "data");
  values["keep_gaps"] = true;
  const auto device = make(values);
  const std::vector<IoRequest> first{{0, IoKind::read, 0, 0, 4096, 0.0}};
  device->submit(first);
  const double end_s = drain(*device).back().done_s;
  const double begin_s = wall_s();
  const std::vector<IoRequest> second{{1, IoKind::read, 0, 0, 4096, end_s + 0.05}};
  device->submit(second);
  // The first batch ended a little before begin_s; a sleep never ends early.
  CHECK(wall_s() - begin_s > 0.04);
}

TEST_CASE("a full file is an input error that says which size would do, and nothing stays behind") {
  const test::ScratchFolder folder;
  if (!folder.has_direct_io()) {
    return;
  }
  const auto device = make(values_at(folder.path() / "data"));
  std::vector<IoRequest> batch;
  for (std::uint64_t i = 0; i < 10; ++i) {  // one chunk in each of ten regions, and the file has eight
    batch.push_back({i, IoKind::read, 0, static_cast<std::int64_t>(i) * kRegion, 4096, 0.0});
  }
  CHECK_THROWS_WITH_AS(device->submit(batch), doctest::Contains("device.size: 8 MiB are full"), InputError);
  CHECK_THROWS_WITH_AS(device->submit(batch), doctest::Contains("give at least 10MiB"), InputError);
  CHECK(folder.files() == 0);
}

TEST_CASE("a path that exists and parameters that contradict each other are told at once, before any I/O") {
  const test::ScratchFolder folder;
  ParamValues values = values_at(folder.path());
  values["max_transfer"] = std::int64_t{6000};
  try {
    make(values);
    FAIL("accepted");
  } catch (const InputError& error) {
    CHECK(error.problems().size() == 2);
    CHECK(error.problems().back().starts_with("path: "));
    CHECK(std::string(error.what()).find("max_transfer") != std::string::npos);
  }
}

TEST_CASE("making the device touches nothing, because every point is made once to be checked") {
  const test::ScratchFolder folder;
  ParamValues values = values_at(folder.path() / "data");
  values["keep"] = true;
  const auto device = make(values);
  CHECK(folder.files() == 0);
}

TEST_CASE("chunks take their places in the file by first touch and keep them") {
  AddressMap map(4 * kMiB);
  std::vector<Extent> pieces;
  map.place({5 * kRegion, 4096}, pieces);
  map.place({3 * kRegion + kMiB, 4096}, pieces);
  map.place({5 * kRegion + 8192, 4096}, pieces);
  CHECK(pieces == std::vector<Extent>{{0, 4096}, {kMiB, 4096}, {8192, 4096}});
  // From the end of the first chunk into one that lies third, and on into the fourth: the last two are
  // neighbours.
  pieces.clear();
  map.place({5 * kRegion + kMiB - 4096, 4096 + kMiB + 4096}, pieces);
  CHECK(pieces == std::vector<Extent>{{kMiB - 4096, 4096}, {2 * kMiB, kMiB + 4096}});
  CHECK(map.used_bytes() == 4 * kMiB);
  const std::vector<Extent> more{{5 * kRegion, 4096}, {9 * kRegion, 4096}, {9 * kRegion + 8192, 4096}};
  CHECK(map.needed_bytes(more) == 5 * kMiB);
}

TEST_CASE("an address map is one to one, and pieces add up to what was asked for") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    AddressMap map(64 * kMiB);
    std::map<std::int64_t, std::int64_t> owner;  // block of the file -> block of the simulator
    for (int i = 0; i < 30; ++i) {
      const auto region = static_cast<std::int64_t>(rng.below(4)) * kRegion;
      const Extent range{region + static_cast<std::int64_t>(rng.below(2048)) * 4096,
                         static_cast<std::int64_t>(1 + rng.below(700)) * 4096};
      std::vector<Extent> pieces;
      map.place(range, pieces);
      std::int64_t at = range.offset_bytes;
      for (const Extent& piece : pieces) {
        for (std::int64_t b = 0; b < piece.length_bytes; b += 4096, at += 4096) {
          CHECK(owner.try_emplace(piece.offset_bytes + b, at).first->second == at);
        }
      }
      CHECK(at == range.end_bytes());
    }
  }
}

}  // namespace kvr::flash
