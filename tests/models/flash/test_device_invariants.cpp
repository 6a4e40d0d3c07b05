// What no flash device may break, whatever is asked of it: conservation, order of times, resources, state of
// the pool, energy. Random devices, hosts and mixed loads, for the formulas and for the events.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "sim/base/error.hpp"
#include "tests/models/flash/device_runs.hpp"
#include "tests/models/flash/random_device.hpp"

namespace kvr::flash {
namespace {

using doctest::Approx;

constexpr std::int64_t kRange = 1'000'000'000;

/// A device that has gone through random batches, some submitted while earlier ones were outstanding, some at
/// the very end of the last completion, with pauses.
struct Run {
  DeviceParams params;
  HostCost host;
  std::vector<IoRequest> submitted;
  std::vector<IoDone> done;
  DeviceStats stats;  ///< long after the last completion
  DeviceEnergy energy;
  double end_s = 0.0;
};

/// How long a device may take to let go of what is in its write buffer, at the pace of a full pool.
double rest_s(const DeviceParams& d) {
  const auto most_bytes = static_cast<double>(d.write_buffer + d.max_transfer + d.stripe);
  return 1.0 + d.fold_delay + most_bytes * d.write_amplification / d.tlc_bandwidth;
}

/// Calls `look` with the statistics at every pause.
template <class Look>
Run random_run(const std::string& type, Rng& rng, std::uint64_t seed, Look look) {
  Run run;
  run.params = test::random_device(rng);
  run.params.read_time_spread = rng.below(2) == 0 ? 0.0 : 0.5 * rng.uniform();
  const auto threads = static_cast<std::int64_t>(1 + rng.below(4));
  run.host = test::random_host(rng, threads);
  const auto device = test::make_device(type, run.params, run.host, seed);
  device->set_working_set(kRange);
  double now_s = 0.0;
  for (int round = 0; round < 8; ++round) {
    auto batch = test::random_batch(rng, 1 + rng.below(30), 64, kRange, threads, 0.5);
    for (IoRequest& request : batch) {
      request.id += run.submitted.size();
      request.submit_s = now_s;
    }
    device->submit(batch);
    run.submitted.insert(run.submitted.end(), batch.begin(), batch.end());
    if (rng.below(3) == 0) {
      const auto rest = test::drain(*device);
      run.done.insert(run.done.end(), rest.begin(), rest.end());
      now_s = run.done.back().done_s;
    } else {
      now_s += test::between(rng, 1e-5, 1e-1);
      device->advance(now_s, run.done);
    }
    look(device->stats());
  }
  const auto rest = test::drain(*device);
  run.done.insert(run.done.end(), rest.begin(), rest.end());
  run.end_s = run.done.back().done_s + rest_s(run.params);
  device->advance(run.end_s, run.done);
  run.stats = device->stats();
  run.energy = device->energy(run.end_s);
  return run;
}

Run random_run(const std::string& type, Rng& rng, std::uint64_t seed) {
  return random_run(type, rng, seed, [](const DeviceStats&) {});
}

TEST_CASE(
    "conservation (both): every request ends once, after it began, in order of time; bytes in are bytes "
    "out") {
  test::for_both_models("devices/conservation", [](const std::string& type, Rng& rng, std::uint64_t seed) {
    const Run run = random_run(type, rng, seed);
    REQUIRE(run.done.size() == run.submitted.size());
    std::vector<bool> ended(run.submitted.size(), false);
    std::int64_t read_bytes = 0;
    std::int64_t written_bytes = 0;
    double response_s = 0.0;
    for (std::size_t i = 0; i < run.done.size(); ++i) {
      const IoDone& io = run.done[i];
      const IoRequest& request = run.submitted[io.id];
      REQUIRE(!ended[io.id]);
      ended[io.id] = true;
      REQUIRE(request.submit_s <= io.start_s);
      REQUIRE(io.start_s <= io.device_s);
      REQUIRE(io.device_s <= io.done_s);
      if (i > 0) {
        const IoDone& before = run.done[i - 1];
        REQUIRE((before.done_s < io.done_s || (before.done_s == io.done_s && before.id < io.id)));
      }
      (request.kind == IoKind::read ? read_bytes : written_bytes) += request.length_bytes;
      response_s += io.done_s - request.submit_s;
    }
    REQUIRE(run.stats.read_bytes == read_bytes);
    REQUIRE(run.stats.written_bytes == written_bytes);
    REQUIRE(run.stats.reads + run.stats.writes == static_cast<std::int64_t>(run.submitted.size()));
    REQUIRE(run.stats.response_s == Approx(response_s).epsilon(1e-9));
    REQUIRE(run.stats.outstanding_s == Approx(response_s).epsilon(1e-9));
    REQUIRE(run.stats.busy_s <= run.end_s);
  });
}

TEST_CASE("conservation (both): advance delivers what ended up to then, all of it, and never goes back") {
  test::for_both_models("devices/advance", [](const std::string& type, Rng& rng, std::uint64_t seed) {
    const DeviceParams params = test::random_device(rng);
    const auto threads = static_cast<std::int64_t>(1 + rng.below(4));
    const HostCost host = test::random_host(rng, threads);
    const auto batch = test::random_batch(rng, 100, 64, kRange, threads, 0.3);
    const auto expected = test::run_batch(*test::make_device(type, params, host, seed), batch);
    const auto device = test::make_device(type, params, host, seed);
    device->submit(batch);
    double now_s = 0.0;
    std::vector<bool> ended(batch.size(), false);
    while (std::ranges::count(ended, true) < static_cast<std::ptrdiff_t>(batch.size())) {
      const double to_s = now_s + test::between(rng, 1e-6, 1e-2);
      std::vector<IoDone> done;
      device->advance(to_s, done);
      for (const IoDone& io : done) {
        REQUIRE(io.done_s > now_s);
        REQUIRE(io.done_s <= to_s);
        REQUIRE(io.done_s == expected[io.id].done_s);
        ended[io.id] = true;
      }
      for (std::size_t i = 0; i < batch.size(); ++i) {
        REQUIRE(ended[i] == (expected[i].done_s <= to_s));
      }
      REQUIRE_THROWS_AS(device->advance(to_s * 0.999, done), InternalError);
      now_s = to_s;
    }
  });
}

TEST_CASE("bounds (both): what crosses the link takes its time there, both ways together if half duplex") {
  test::for_both_models("devices/link", [](const std::string& type, Rng& rng, std::uint64_t seed) {
    const DeviceParams params = test::random_device(rng);
    const auto threads = static_cast<std::int64_t>(1 + rng.below(4));
    const auto device = test::make_device(type, params, test::random_host(rng, threads), seed);
    const double end_s =
        test::makespan_s(*device, test::random_batch(rng, 1 + rng.below(100), 64, kRange, threads, 0.5));
    const DeviceStats stats = device->stats();
    const double out_s = static_cast<double>(stats.read_bytes) / params.link;
    const double in_s = static_cast<double>(stats.written_bytes) / params.link;
    REQUIRE(end_s >= (params.duplex == "half" ? out_s + in_s : std::max(out_s, in_s)));
  });
}

TEST_CASE("utilisation law (both): the host works as long as all commands and bytes ask of it") {
  test::for_both_models("devices/host", [](const std::string& type, Rng& rng, std::uint64_t seed) {
    const Run run = random_run(type, rng, seed);
    const auto bytes = static_cast<double>(run.stats.read_bytes + run.stats.written_bytes);
    const auto commands = static_cast<double>(run.stats.commands);
    REQUIRE(run.stats.host_busy_s ==
            Approx(run.host.command_s(0.0) * commands + run.host.per_byte_s * bytes).epsilon(1e-9));
    REQUIRE(run.stats.host_busy_s <= static_cast<double>(run.host.threads) * run.stats.busy_s * (1.0 + 1e-9));
  });
}

TEST_CASE("determinism (both): the same seed gives the same times, bit by bit") {
  test::for_both_models("devices/repeat", [](const std::string& type, Rng& rng, std::uint64_t seed) {
    Rng again = rng;
    const Run one = random_run(type, rng, seed);
    const Run two = random_run(type, again, seed);
    REQUIRE(one.done.size() == two.done.size());
    for (std::size_t i = 0; i < one.done.size(); ++i) {
      REQUIRE(one.done[i].id == two.done[i].id);
      REQUIRE(one.done[i].start_s == two.done[i].start_s);
      REQUIRE(one.done[i].device_s == two.done[i].device_s);
      REQUIRE(one.done[i].done_s == two.done[i].done_s);
    }
    REQUIRE(one.energy.total_j() == two.energy.total_j());
  });
}

TEST_CASE(
    "write state (both): the pool never holds less than nothing or more than it can, nor folds what it never "
    "took") {
  test::for_both_models("devices/pool", [](const std::string& type, Rng& rng, std::uint64_t seed) {
    std::vector<DeviceStats> seen;
    const Run run = random_run(type, rng, seed, [&](const DeviceStats& stats) { seen.push_back(stats); });
    seen.push_back(run.stats);
    for (const DeviceStats& stats : seen) {
      const double level = stats.slc_bytes - stats.folded_bytes;
      const double rounding = 1e-12 * stats.slc_bytes;
      REQUIRE(level >= -rounding);
      REQUIRE(level <= static_cast<double>(run.params.slc_pool) + rounding);
      REQUIRE(stats.slc_bytes <= static_cast<double>(stats.written_bytes));
      REQUIRE(stats.folded_bytes <= static_cast<double>(stats.written_bytes));
      // Bytes outside the pool: amplified ones and folded ones.
      const double direct = (stats.tlc_bytes - stats.folded_bytes) / run.params.write_amplification;
      REQUIRE(stats.slc_bytes + direct <= static_cast<double>(stats.written_bytes) * (1.0 + 1e-12));
    }
    // After that rest all that was written is in the array.
    const DeviceStats& last = run.stats;
    const double direct = (last.tlc_bytes - last.folded_bytes) / run.params.write_amplification;
    REQUIRE(last.slc_bytes + direct == Approx(static_cast<double>(last.written_bytes)).epsilon(1e-12));
  });
}

TEST_CASE("energy (both): it is the sum of non-negative parts, at least that of doing nothing") {
  test::for_both_models("devices/energy", [](const std::string& type, Rng& rng, std::uint64_t seed) {
    const Run run = random_run(type, rng, seed);
    const DeviceEnergy& e = run.energy;
    for (const double part_j : {e.idle_j, e.command_j, e.read_j, e.mapping_j, e.write_j}) {
      REQUIRE(part_j >= 0.0);
    }
    REQUIRE(e.total_j() == Approx(e.idle_j + e.command_j + e.read_j + e.mapping_j + e.write_j));
    REQUIRE(e.total_j() >= run.params.idle_power * run.end_s);
    REQUIRE(e.command_j == Approx(run.params.command_energy * static_cast<double>(run.stats.commands)));
    REQUIRE(run.stats.sensed_bytes >= static_cast<double>(run.stats.read_bytes));
  });
}

TEST_CASE("energy (both): what commands and reads cost does not depend on when they come") {
  test::for_both_models("devices/energy by request",
                        [](const std::string& type, Rng& rng, std::uint64_t seed) {
                          const DeviceParams params = test::random_device(rng);
                          const HostCost host = test::random_host(rng, 1);
                          auto batch = test::random_batch(rng, 60, 64, kRange, 1, 0.3);
                          const auto together = test::make_device(type, params, host, seed);
                          test::makespan_s(*together, batch);
                          const auto apart = test::make_device(type, params, host, seed);
                          double now_s = 0.0;
                          for (IoRequest& request : batch) {
                            request.submit_s = now_s;
                            now_s = test::makespan_s(*apart, {request});
                          }
                          REQUIRE(apart->energy(1.0).command_j == together->energy(1.0).command_j);
                          REQUIRE(apart->energy(1.0).read_j == together->energy(1.0).read_j);
                          REQUIRE(apart->energy(1.0).idle_j == together->energy(1.0).idle_j);
                        });
}

TEST_CASE("limits (both): unlimited mapping makes the working set irrelevant") {
  test::for_both_models("devices/coverage", [](const std::string& type, Rng& rng, std::uint64_t seed) {
    DeviceParams params = test::random_device(rng);
    params.map_coverage = std::numeric_limits<double>::infinity();
    const HostCost host = test::random_host(rng, 1);
    const auto batch = test::random_batch(rng, 60, 64, kRange, 1);
    const auto time_s = [&](std::int64_t working_set) {
      const auto device = test::make_device(type, params, host, seed);
      device->set_working_set(working_set);
      return test::makespan_s(*device, batch);
    };
    REQUIRE(time_s(std::int64_t{1} << 60) == time_s(0));
  });
}

TEST_CASE("work conservation (queueing): no resource works longer than there was time") {
  test::for_random_sets("devices/resources", [](Rng& rng, std::uint64_t seed) {
    const Run run = random_run("queueing", rng, seed);
    for (const ResourceStats& one : run.stats.resources) {
      CAPTURE(one.name);
      REQUIRE(one.utilisation(run.end_s) >= 0.0);
      REQUIRE(one.utilisation(run.end_s) <= 1.0);
      REQUIRE(one.waited_s >= 0.0);
    }
    const ResourceStats slots = test::resource(run.stats, "slots");
    REQUIRE(slots.served == run.stats.commands);
    const ResourceStats host = test::resource(run.stats, "host");
    REQUIRE(host.served == 2 * run.stats.commands);
  });
}

}  // namespace
}  // namespace kvr::flash
