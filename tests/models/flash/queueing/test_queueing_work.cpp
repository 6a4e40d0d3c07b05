// That no part of the device `queueing` rests while work waits for it, and that what it works is what was
// asked of it, over random devices and loads.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/models/flash/device_runs.hpp"
#include "tests/models/flash/random_device.hpp"

namespace kvr::flash {
namespace {

using doctest::Approx;

constexpr std::int64_t kRange = 1'000'000'000;
constexpr HostCost kNoHost = {.per_command_s = 0.0, .cycles_per_command = 0.0, .wake_s = 0.0, .threads = 1};

/// A device every part of which takes no time, to which a test gives one that does.
DeviceParams instant_device() {
  DeviceParams d = test::plain_device();
  d.queue_depth = 65'536;
  d.firmware_time = 0.0;
  d.command_delay = 0.0;
  d.command_link_time = 0.0;
  d.read_time = 1e-18;
  d.link = 1e30;
  d.channel_bandwidth = 1e30;
  d.read_bandwidth = d.latency_bandwidth = 1e3;  // not asked, but must not exceed link and channels
  d.slc_bandwidth = d.tlc_bandwidth = 1e3;
  return d;
}

/// Reads within 16 KiB, which so neither cross stripes nor enter the link before they have left the channel;
/// some of them at once, some after the device has come to rest.
std::vector<IoRequest> random_arrivals(Rng& rng, double mean_gap_s) {
  auto reads = test::random_batch(rng, 300, 4, kRange, 1);
  double now_s = 0.0;
  for (IoRequest& read : reads) {
    read.offset_bytes -= read.offset_bytes % 16'384;
    now_s += rng.below(3) == 0 ? 0.0 : test::between(rng, 0.1, 4.0) * mean_gap_s;
    read.submit_s = now_s;
  }
  return reads;
}

/// Ends of `reads` on `servers` servers that take the next whenever one is free, which is as early as any can
/// (Kiefer and Wolfowitz 1955).
template <class Service>
std::vector<double> served_at_once(const std::vector<IoRequest>& reads, std::int64_t servers,
                                   Service service_s) {
  std::vector<double> free_s(static_cast<std::size_t>(servers), 0.0);
  std::vector<double> ends_s;
  for (const IoRequest& read : reads) {
    double& first_s = *std::ranges::min_element(free_s);
    first_s = std::max(first_s, read.submit_s) + service_s(static_cast<double>(read.length_bytes));
    ends_s.push_back(first_s);
  }
  return ends_s;
}

/// The part of `params` that takes time has `servers` servers, each of which takes `service_s(bytes)`.
template <class Service>
void require_work_conserved(const DeviceParams& params, std::uint64_t seed, Rng& rng, std::int64_t servers,
                            Service service_s) {
  const auto reads = random_arrivals(rng, service_s(8192.0) / static_cast<double>(servers));
  const auto done = test::run_batch(*test::make_device("queueing", params, kNoHost, seed), reads);
  const auto expected_s = served_at_once(reads, servers, service_s);
  for (std::size_t i = 0; i < reads.size(); ++i) {
    CAPTURE(i);
    REQUIRE(done[i].done_s == Approx(expected_s[i]).epsilon(1e-9));
  }
}

TEST_CASE("work conservation (queueing): firmware never rests while commands wait") {
  test::for_random_sets("work/firmware", [](Rng& rng, std::uint64_t seed) {
    DeviceParams d = instant_device();
    d.firmware_time = test::between(rng, 1e-7, 1e-4);
    d.firmware_servers = static_cast<std::int64_t>(1 + rng.below(8));
    require_work_conserved(d, seed, rng, d.firmware_servers, [&d](double) { return d.firmware_time; });
  });
}

TEST_CASE("work conservation (queueing): a die never rests while reads wait") {
  test::for_random_sets("work/die", [](Rng& rng, std::uint64_t seed) {
    DeviceParams d = instant_device();
    d.cache_read = rng.below(2) == 0;
    d.read_time = test::between(rng, 1e-6, 1e-3);
    require_work_conserved(d, seed, rng, 1, [&d](double) { return d.read_time; });
  });
}

TEST_CASE("work conservation (queueing): a channel never rests while sensed data wait") {
  test::for_random_sets("work/channel", [](Rng& rng, std::uint64_t seed) {
    DeviceParams d = instant_device();
    d.cache_read = rng.below(2) == 0;
    d.channel_bandwidth = test::between(rng, 50e6, 2e9);
    require_work_conserved(d, seed, rng, 1, [&d](double bytes) { return bytes / d.channel_bandwidth; });
  });
}

TEST_CASE("work conservation (queueing): the link never rests while data wait") {
  test::for_random_sets("work/link", [](Rng& rng, std::uint64_t seed) {
    DeviceParams d = instant_device();
    d.duplex = rng.below(2) == 0 ? "half" : "full";
    d.link = test::between(rng, 50e6, 8e9);
    d.command_link_time = test::between(rng, 1e-9, 4096.0 / d.link);
    require_work_conserved(d, seed, rng, 1,
                           [&d](double bytes) { return bytes / d.link + d.command_link_time; });
  });
}

TEST_CASE("work conservation (queueing): a thread never rests while it has commands to submit or complete") {
  // Completions go before submissions, so only the last end of all is that of the sum of both.
  test::for_random_sets("work/host", [](Rng& rng, std::uint64_t seed) {
    const DeviceParams d = instant_device();
    HostCost host = test::random_host(rng, 1);
    const auto reads = random_arrivals(rng, host.command_s(8192.0));
    const double end_s = test::makespan_s(*test::make_device("queueing", d, host, seed), reads);
    const auto expected_s = served_at_once(reads, 1, [&host](double bytes) { return host.command_s(bytes); });
    REQUIRE(end_s == Approx(expected_s.back() + host.wake_s).epsilon(1e-9));
  });
}

TEST_CASE(
    "utilisation law (queueing): utilisation is throughput times what each command demands of a resource") {
  test::for_random_sets("devices/busy", [](Rng& rng, std::uint64_t seed) {
    const DeviceParams d = test::random_device(rng);
    const auto threads = static_cast<std::int64_t>(1 + rng.below(4));
    const auto device = test::make_device("queueing", d, test::random_host(rng, threads), seed);
    device->set_working_set(kRange);
    const double end_s = test::makespan_s(*device, test::random_batch(rng, 200, 64, kRange, threads));
    const DeviceStats stats = device->stats();
    const double f = d.thermal_factor();
    const auto bytes = static_cast<double>(stats.read_bytes);
    const auto commands = static_cast<double>(stats.commands);
    const auto check = [&](const std::string& name, double busy_s) {
      CAPTURE(name);
      const ResourceStats one = test::resource(stats, name);
      const double commands_per_s = commands / end_s;
      const double demand_s = busy_s / commands / static_cast<double>(one.servers);
      REQUIRE(one.utilisation(end_s) == Approx(commands_per_s * demand_s).epsilon(1e-9));
      REQUIRE(end_s >= one.busy_s / static_cast<double>(one.servers));
    };
    check("firmware", d.firmware_time * commands);
    const ResourceStats dies = test::resource(stats, "dies");
    check("dies", d.read_time * (static_cast<double>(dies.served) - stats.map_misses) +
                      d.map_read_time * stats.map_misses);
    check("channels", (bytes + 4096.0 * stats.map_misses) / (d.channel_bandwidth * f));
    check(d.duplex == "half" ? "link" : "link_out", bytes / (d.link * f) + d.command_link_time * commands);
  });
}

}  // namespace
}  // namespace kvr::flash
