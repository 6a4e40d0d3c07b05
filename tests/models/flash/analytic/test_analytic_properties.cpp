// Properties of what the closed formulas say of one read and of constant load, over random devices and hosts.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

#include "models/flash/analytic_model.hpp"
#include "tests/models/flash/random_device.hpp"

namespace kvr::flash {
namespace {

using doctest::Approx;

constexpr double kSlack = 1.0 + 1e-12;

struct Setup {
  ReadPath path;
  double bytes;  ///< of a read, some of them longer than a command
};

template <class Property>
void for_random_setups(std::string_view name, Property property) {
  test::for_random_sets(name, [&](Rng& rng, std::uint64_t) {
    const DeviceParams device = test::random_device(rng);
    const HostCost host = test::random_host(rng, static_cast<std::int64_t>(1 + rng.below(8)));
    const double range = test::between(rng, 16e6, 64e9);
    const double bytes = 4096.0 * std::round(test::between(rng, 1.0, 512.0));
    property(rng, Setup{read_path(device, host, range), bytes});
  });
}

/// A size that one command can have.
double one_command(const Setup& setup) {
  return std::min(setup.bytes, static_cast<double>(setup.path.device.max_transfer));
}

TEST_CASE("monotonicity (analytic): throughput and latency grow with the queue depth") {
  for_random_setups("analytic/depth", [](Rng&, const Setup& setup) {
    double rate = 0.0;
    double latency = 0.0;
    for (std::int64_t depth = 1; depth <= 80; ++depth) {
      const double next = requests_per_s(setup.path, setup.bytes, depth);
      REQUIRE(next * kSlack >= rate);
      REQUIRE(static_cast<double>(depth) / next * kSlack >= latency);
      rate = next;
      latency = static_cast<double>(depth) / next;
    }
  });
}

TEST_CASE("monotonicity (analytic): latency and service grow with the size") {
  for_random_setups("analytic/size", [](Rng&, const Setup& setup) {
    const ReadPath& path = setup.path;
    double latency = 0.0;
    double service = 0.0;
    const std::int64_t most = path.device.max_transfer;
    for (std::int64_t bytes = 4096; bytes <= most; bytes += 4096) {
      const auto size = static_cast<double>(bytes);
      REQUIRE(latency_s(path, size) >= latency);
      REQUIRE(service_s(path, size) >= service);
      latency = latency_s(path, size);
      service = service_s(path, size);
    }
    REQUIRE(batch_s(path, std::vector{most + 4096}) * kSlack >= latency);
    REQUIRE(batch_s(path, std::vector{2 * most}) * kSlack >= batch_s(path, std::vector{most + 4096}));
  });
}

TEST_CASE("monotonicity (analytic): range, misses, dies and host never speed anything up as they grow") {
  // The formulas have no firmware of their own for reads: it is in what hit_time and latency were fitted to.
  for_random_setups("analytic/slower", [](Rng& rng, const Setup& setup) {
    const auto depth = static_cast<std::int64_t>(1 + rng.below(64));
    const std::vector<std::int64_t> batch(1 + rng.below(100), static_cast<std::int64_t>(setup.bytes));
    const double size = one_command(setup);
    const auto never_faster = [&](std::string_view what, const ReadPath& slow) {
      CAPTURE(what);
      const ReadPath& path = setup.path;
      REQUIRE(requests_per_s(slow, setup.bytes, depth) <= requests_per_s(path, setup.bytes, depth) * kSlack);
      REQUIRE(latency_s(slow, size) * kSlack >= latency_s(path, size));
      REQUIRE(service_s(slow, size) * kSlack >= service_s(path, size));
      REQUIRE(batch_s(slow, batch) * kSlack >= batch_s(path, batch));
    };
    const auto part = [&](std::string_view what, double DeviceParams::*time, double factor) {
      ReadPath slow = setup.path;
      slow.device.*time *= factor;
      never_faster(what, slow);
    };
    const double factor = test::between(rng, 1.0, 3.0);
    part("hit_time", &DeviceParams::hit_time, factor);
    part("miss_time", &DeviceParams::miss_time, factor);
    part("map_latency", &DeviceParams::map_latency, factor);
    part("latency", &DeviceParams::latency, factor);
    const double range = test::between(rng, 16e6, 64e9);
    never_faster("range", read_path(setup.path.device, setup.path.host,
                                    range + setup.path.device.map_coverage / setup.path.map_hits));
    ReadPath slow_host = setup.path;
    slow_host.host.per_command_s *= factor;
    never_faster("host", slow_host);
    ReadPath slow_bus = setup.path;
    slow_bus.device.read_bandwidth /= factor;
    never_faster("read_bandwidth", slow_bus);
  });
}

TEST_CASE("monotonicity (analytic): writes gain throughput with depth and bandwidth, up to a limit") {
  for_random_setups("analytic/writes", [](Rng& rng, const Setup& setup) {
    const DeviceParams& d = setup.path.device;
    const HostCost& host = setup.path.host;
    double before = 0.0;
    for (std::int64_t depth = 1; depth <= 80; ++depth) {
      const double rate = writes_per_s(d, host, setup.bytes, depth, d.slc_bandwidth);
      REQUIRE(rate >= before);
      REQUIRE(writes_per_s(d, host, setup.bytes, depth, d.tlc_bandwidth) <= rate);
      before = rate;
    }
    const auto depth = static_cast<std::int64_t>(1 + rng.below(1000));
    const double parts = std::ceil(setup.bytes / static_cast<double>(d.max_transfer));
    const double rate = kSlack * writes_per_s(d, host, setup.bytes, d.queue_depth, d.slc_bandwidth);
    REQUIRE(writes_per_s(d, host, setup.bytes, d.queue_depth + depth, d.slc_bandwidth) <= rate);
    REQUIRE(rate * setup.bytes <= kSlack * kSlack * std::min(d.link, d.slc_bandwidth));
    REQUIRE(rate * parts * d.firmware_time <= kSlack * kSlack * static_cast<double>(d.firmware_servers));
  });
}

TEST_CASE("saturation (analytic): beyond the queue depth throughput stays the same, latency is linear") {
  for_random_setups("analytic/flat", [](Rng&, const Setup& setup) {
    const std::int64_t slots = setup.path.device.queue_depth;
    const double most = requests_per_s(setup.path, setup.bytes, slots);
    for (std::int64_t depth = slots; depth <= 4 * slots + 16; ++depth) {
      REQUIRE(requests_per_s(setup.path, setup.bytes, depth) == most);  // so depth / rate is linear
    }
  });
}

/// The closed network of one server (S) and one delay (Z) from its balance equations, the machine repairman's
/// model: the probability that k of N are at the server is proportional to N! / (N - k)! (S / Z)^k.
struct Repairman {
  double busy = 0.0;       ///< share of time that the server works
  double at_server = 0.0;  ///< mean number
};

Repairman repairman(double service, double delay, std::int64_t customers) {
  std::vector<double> logs{0.0};
  for (std::int64_t k = 1; k <= customers; ++k) {
    logs.push_back(logs.back() + std::log(static_cast<double>(customers - k + 1) * service / delay));
  }
  const double largest = *std::ranges::max_element(logs);
  double sum = 0.0;
  double weighted = 0.0;
  for (std::size_t k = 0; k < logs.size(); ++k) {
    const double weight = std::exp(logs[k] - largest);
    sum += weight;
    weighted += static_cast<double>(k) * weight;
  }
  return {1.0 - std::exp(-largest) / sum, weighted / sum};
}

TEST_CASE("Little's law and the utilisation law (analytic): hold for the balance equations of the network") {
  for_random_setups("analytic/little", [](Rng& rng, const Setup& setup) {
    const double bytes = one_command(setup);
    const double service = service_s(setup.path, bytes);
    const double delay = latency_s(setup.path, bytes) - service;
    const auto depth = static_cast<std::int64_t>(1 + rng.below(80));
    const double rate = requests_per_s(setup.path, bytes, depth);
    const std::int64_t inside = std::min(depth, setup.path.device.queue_depth);
    if (delay <= 1e-6 * service) {  // S bounds L from below: all wait at the server
      REQUIRE(rate == Approx(1.0 / service).epsilon(1e-5));
      return;
    }
    const Repairman expected = repairman(service, delay, inside);
    REQUIRE(rate * service == Approx(expected.busy).epsilon(1e-9));
    REQUIRE(rate * delay + expected.at_server == Approx(static_cast<double>(inside)).epsilon(1e-9));
  });
}

TEST_CASE("bounds (analytic): throughput keeps below server, latency, link, channels and dies") {
  for_random_setups("analytic/bounds", [](Rng& rng, const Setup& setup) {
    const DeviceParams& d = setup.path.device;
    const auto depth = static_cast<std::int64_t>(1 + rng.below(100));
    const double rate = requests_per_s(setup.path, setup.bytes, depth);
    const double parts = std::ceil(setup.bytes / static_cast<double>(d.max_transfer));
    const double command = setup.bytes / parts;
    const double host_s = setup.path.host.command_s(command);
    REQUIRE(rate <= kSlack / (parts * service_s(setup.path, command)));
    REQUIRE(rate <= kSlack * static_cast<double>(depth) / latency_s(setup.path, command));
    REQUIRE(rate * setup.bytes <= kSlack * d.read_bandwidth * d.thermal_factor());
    REQUIRE(rate * setup.bytes <= kSlack * d.link);
    REQUIRE(rate * setup.bytes <=
            kSlack * static_cast<double>(d.channels) * d.channel_bandwidth * d.thermal_factor());
    REQUIRE(rate * parts * d.hit_time <= kSlack);
    REQUIRE(rate * parts * host_s <=
            kSlack * static_cast<double>(std::min(setup.path.host.threads, d.hw_queues)));
  });
}

TEST_CASE("limits (analytic): with one slot throughput is the reciprocal of the latency") {
  for_random_setups("analytic/one slot", [](Rng& rng, const Setup& setup) {
    ReadPath path = setup.path;
    path.device.queue_depth = 1;
    const auto depth = static_cast<std::int64_t>(1 + rng.below(64));
    const double bytes = one_command(setup);
    REQUIRE(requests_per_s(path, bytes, depth) == Approx(1.0 / latency_s(path, bytes)).epsilon(1e-12));
  });
}

TEST_CASE("limits (analytic): without limits of bandwidth only die and host are left") {
  for_random_setups("analytic/wide", [](Rng&, const Setup& setup) {
    ReadPath path = setup.path;
    DeviceParams& d = path.device;
    d.read_bandwidth = d.latency_bandwidth = d.channel_bandwidth = 1e30;
    const double bytes = one_command(setup);
    const double operations = 1.0 + (bytes - 4096.0) / static_cast<double>(d.stripe);
    const double die_s = d.hit_time * operations + (1.0 - path.map_hits) * d.miss_time;
    const double host_s =
        path.host.command_s(bytes) / static_cast<double>(std::min(path.host.threads, d.hw_queues));
    const double slowdown = path.host.threads > 1 ? 1.0 + d.contention : 1.0;
    REQUIRE(service_s(path, bytes) == Approx(slowdown * std::max(die_s, host_s)).epsilon(1e-12));
    // One read alone no longer grows with its size, but for the host's share of it.
    const double grown_s = path.host.command_s(bytes) - path.host.command_s(4096.0);
    const double alone_s = std::max(latency_s(path, 4096.0) + grown_s, service_s(path, bytes));
    REQUIRE(latency_s(path, bytes) <= alone_s * kSlack);
  });
}

TEST_CASE("limits (analytic): unlimited mapping makes throughput independent of the range") {
  for_random_setups("analytic/coverage", [](Rng& rng, const Setup& setup) {
    DeviceParams device = setup.path.device;
    device.map_coverage = std::numeric_limits<double>::infinity();
    const auto rate = [&](double range) {
      return requests_per_s(read_path(device, setup.path.host, range), setup.bytes, 16);
    };
    REQUIRE(rate(test::between(rng, 1e6, 1e15)) == rate(0.0));
  });
}

}  // namespace
}  // namespace kvr::flash
