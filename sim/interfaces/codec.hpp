#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "sim/interfaces/report.hpp"

namespace kvr {

/// The stored form of one row (K or V of one entry): how many bytes, and what comes back.
/// Stateless once constructed; `encode` and `decode` are called from several threads.
class Codec {
 public:
  static constexpr std::string_view kKind = "codec";
  struct Context {
    std::int64_t head_dim;
  };

  virtual ~Codec() = default;

  /// Bytes of one row on flash and in the cache, scales included.
  virtual std::int64_t row_bytes(std::int64_t head_dim) const = 0;
  /// True when decode(encode(x)) == x for every fp16 row, so that the engine may skip both.
  virtual bool lossless() const = 0;
  /// `row` [head_dim] -> `blob` [row_bytes(head_dim)].
  virtual void encode(std::span<const float> row, std::span<std::byte> blob) const = 0;
  virtual void decode(std::span<const std::byte> blob, std::span<float> row) const = 0;
  /// See Report.
  virtual void report(Report& /*report*/) const {}
};

}  // namespace kvr
