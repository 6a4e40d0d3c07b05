#pragma once

#include <cstdint>

namespace kvr {

/// IEEE 754 binary16 as stored on disk and in the replayed cache; converted by to_float of
/// sim/base/convert.hpp: a cast reads the bits.
enum class Half : std::uint16_t {};

}  // namespace kvr
