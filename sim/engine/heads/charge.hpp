#pragma once

#include <cmath>
#include <cstdint>

#include "sim/base/error.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// That a policy has added to its work nothing that no processor could do.
inline void check_charge(const Work& before, const Work& after) {
  KVR_CHECK(std::isfinite(after.flops) && std::isfinite(after.bytes) && after.flops >= before.flops &&
                after.bytes >= before.bytes,
            "charges {} operations and {} bytes; allowed: finite numbers, 0 and more",
            after.flops - before.flops, after.bytes - before.bytes);
}

/// The same of the DRAM that it says it takes.
inline std::int64_t checked_dram_bytes(std::int64_t bytes) {
  KVR_CHECK(bytes >= 0, "takes {} bytes of DRAM; allowed: 0 and more", bytes);
  return bytes;
}

}  // namespace kvr
