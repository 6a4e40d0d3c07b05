#pragma once

#include <cstdint>

namespace kvr {

/// IEEE 754 binary16 as stored on disk and in the replayed cache; converted by sim/kernels/convert.hpp.
enum class Half : std::uint16_t {};

}  // namespace kvr
