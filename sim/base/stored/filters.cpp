#include "sim/base/stored/filters.hpp"

#include <zlib.h>

#include "sim/base/error.hpp"

namespace kvr::hdf5 {
namespace {

template <std::size_t bytes>
void unshuffle_fixed(std::span<const std::byte> in, std::span<std::byte> out) {
  const std::size_t count = in.size() / bytes;
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t byte = 0; byte < bytes; ++byte) {
      out[i * bytes + byte] = in[byte * count + i];
    }
  }
}

}  // namespace

bool inflate_exactly(std::span<const std::byte> in, std::span<std::byte> out) {
  uLongf made = out.size();
  uLong used = in.size();
  const int status = uncompress2(reinterpret_cast<Bytef*>(out.data()), &made,
                                 reinterpret_cast<const Bytef*>(in.data()), &used);
  return status == Z_OK && made == out.size() && used == in.size();
}

void unshuffle(std::span<const std::byte> in, std::size_t element_bytes, std::span<std::byte> out) {
  KVR_CHECK(in.size() == out.size() && in.size() % element_bytes == 0, "{} and {} bytes for elements of {}",
            in.size(), out.size(), element_bytes);
  switch (element_bytes) {
    case 2:
      return unshuffle_fixed<2>(in, out);
    case 4:
      return unshuffle_fixed<4>(in, out);
    case 8:
      return unshuffle_fixed<8>(in, out);
    default:
      break;
  }
  const std::size_t count = in.size() / element_bytes;
  for (std::size_t byte = 0; byte < element_bytes; ++byte) {
    for (std::size_t i = 0; i < count; ++i) {
      out[i * element_bytes + byte] = in[byte * count + i];
    }
  }
}

}  // namespace kvr::hdf5
