#pragma once

#include <cstdint>

namespace kvr {

/// IEEE 754 binary16 as stored on disk and in the replayed cache; converted by to_float and to_half of
/// sim/base/convert.hpp.
struct Half {
  std::uint16_t bits = 0;

  friend bool operator==(const Half&, const Half&) = default;
};
static_assert(sizeof(Half) == 2);

}  // namespace kvr
