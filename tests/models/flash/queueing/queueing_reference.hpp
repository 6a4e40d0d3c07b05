#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/flash/device_params.hpp"
#include "sim/interfaces/flash_device.hpp"

namespace kvr::test {

/// When every request of a run ended (by id) and what each resource did, of a plain simulation of the reads
/// of the device `queueing`: an unsorted list of events that is searched for the next one, queues that hold
/// what waits, servers that are busy or not, and nothing reserved ahead. Covers threads, slots, the lock of a
/// shared queue, firmware, the LRU mapping, dies with registers, channels and the link. No writes,
/// no statistical misses. Two machines may decide differently who comes first of two that come at the very
/// same time; a spread of the sensing times, drawn alike, rules such ties out.
///
/// Two restrictions: threads that share a queue must find a slot whenever they ask for one, because who is
/// next in line is not modelled; and `lock_s`, the time that a lock is held, is given.
struct ReferenceRun {
  std::vector<IoDone> done;  ///< by id
  std::vector<ResourceStats> resources;
};

ReferenceRun run_reference(const flash::DeviceParams& device, const HostCost& host, std::uint64_t root_seed,
                           double lock_s, const std::vector<IoRequest>& requests);

}  // namespace kvr::test
