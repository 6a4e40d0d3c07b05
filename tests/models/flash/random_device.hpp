#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/flash/device_params.hpp"
#include "sim/base/rng.hpp"
#include "sim/interfaces/flash_device.hpp"

namespace kvr::test {

/// Random sets that a property is tried on.
constexpr std::uint64_t kSets = 200;

/// Calls `property` with the seed of each set and numbers drawn from it.
template <class Property>
void for_random_sets(std::string_view name, Property property) {
  for (std::uint64_t seed = 0; seed < kSets; ++seed) {
    CAPTURE(name);
    CAPTURE(seed);
    Rng rng = Rng::stream(seed, name);
    property(rng, seed);
  }
}

/// The same for each of the two models, whose name is the property's first argument.
template <class Property>
void for_both_models(std::string_view name, Property property) {
  for (const std::string model : {"analytic", "queueing"}) {
    CAPTURE(model);
    for_random_sets(name, [&](Rng& rng, std::uint64_t seed) { property(model, rng, seed); });
  }
}

/// Log-uniform in [low, high).
double between(Rng& rng, double low, double high);

/// A sound device, every parameter drawn from a range that holds eMMC cards and NVMe drives alike; its
/// latency contains all that one read goes through. Sensing times are all equal (read_time_spread is 0).
flash::DeviceParams random_device(Rng& rng);

/// As above without what makes a read wait for anything but other reads: the mapping is always at hand, one
/// queue has no lock, and writes are not slowed by rest.
flash::DeviceParams random_read_device(Rng& rng);

/// A device that can program what its write path lets through: everything else has more than twice the rate.
/// The pool holds one stripe.
flash::DeviceParams random_writer(Rng& rng);

HostCost random_host(Rng& rng, std::int64_t threads);

/// `count` requests at 0 s, ids from 0, over `range_bytes`; writes with probability `write_share`; threads in
/// turn.
std::vector<IoRequest> random_batch(Rng& rng, std::size_t count, std::int64_t most_blocks,
                                    std::int64_t range_bytes, std::int64_t threads, double write_share = 0.0);

}  // namespace kvr::test
