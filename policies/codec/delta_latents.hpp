#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "policies/codec/half_range.hpp"
#include "policies/codec/int4_groups.hpp"
#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/base/matrix.hpp"

namespace kvr {

/// Appends `values` in fp16.
inline void append_halves(std::span<const float> values, std::vector<std::byte>& blob) {
  std::vector<Half> halves(values.size());
  to_half(values, halves);
  const auto bytes = std::as_bytes(std::span(halves));
  blob.insert(blob.end(), bytes.begin(), bytes.end());
}

inline void read_halves(std::span<const std::byte> blob, std::span<float> values) {
  std::vector<Half> halves(values.size());
  std::memcpy(halves.data(), blob.data(), blob.size());
  to_float(halves, values);
}

/// CRC-16 (CCITT, begun with ones) of rows in fp16, which notices any damage of up to 16 bits side by side
/// and all but one in 65,536 others.
inline std::uint16_t check_sum(const MatrixView<float>& rows) {
  constexpr unsigned kPolynomial = 0x1021;
  unsigned sum = 0xffff;
  std::vector<Half> halves(static_cast<std::size_t>(rows.cols));
  for (std::int64_t i = 0; i < rows.rows; ++i) {
    to_half(rows.row(i), halves);
    for (const std::byte byte : std::as_bytes(std::span(halves))) {
      sum ^= std::to_integer<unsigned>(byte) << 8;
      for (int bit = 0; bit < 8; ++bit) {
        sum = (sum & 0x8000U) != 0 ? (sum << 1) ^ kPolynomial : sum << 1;
      }
    }
  }
  return static_cast<std::uint16_t>(sum & 0xffff);
}

/// How a row's residual is written; the same for all rows.
class Latents {
 public:
  Latents(std::int64_t rank, bool four_bits) : rank_(static_cast<std::size_t>(rank)), four_bits_(four_bits) {}

  std::int64_t bytes() const {
    return static_cast<std::int64_t>(sizeof(std::uint16_t) +
                                     (four_bits_ ? Int4Groups::bytes(rank_) : rank_ * sizeof(Half)));
  }

  void write(std::uint16_t sum, std::span<float> latents, std::vector<std::byte>& blob) const {
    blob.resize(sizeof(sum));
    std::memcpy(blob.data(), &sum, sizeof(sum));
    if (four_bits_) {
      blob.resize(static_cast<std::size_t>(bytes()));
      Int4Groups::encode(latents, std::span(blob).subspan(sizeof(sum)));
      return;
    }
    stay_in_half_range(latents);
    append_halves(latents, blob);
  }

  /// Throws where the rows referred to are not those that the row was stored with.
  std::vector<float> read(std::span<const std::byte> blob, const MatrixView<float>& references) const {
    std::uint16_t stored = 0;
    std::memcpy(&stored, blob.data(), sizeof(stored));
    const std::uint16_t found = check_sum(references);
    KVR_CHECK(
        found == stored,
        "what it refers to is not what it was stored with: the rows' check sum is {:04x}, it has {:04x}",
        found, stored);
    std::vector<float> latents(rank_);
    const auto rest = blob.subspan(sizeof(stored));
    four_bits_ ? Int4Groups::decode(rest, latents) : read_halves(rest, latents);
    return latents;
  }

 private:
  std::size_t rank_;
  bool four_bits_;
};

}  // namespace kvr
