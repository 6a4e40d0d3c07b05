#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sim/base/half.hpp"
#include "sim/config/resolve.hpp"
#include "traces/header.hpp"

namespace kvr {

/// A rotary embedding of fixed frequencies: pairs of channels turned by position * frequency, so that a key
/// can be moved by turning it further.
class Rotary {
 public:
  /// `geometry`: whose frequencies are fixed, see `rotary_of_slots`.
  explicit Rotary(const trace::Geometry& geometry);

  /// Cosines and sines of the angles by which pairs turn, [head_dim / 2].
  struct Turn {
    std::vector<double> cosines;
    std::vector<double> sines;
  };
  Turn turn(std::int64_t positions) const;
  /// `key` [head_dim] as it would be so many positions further on.
  void move(std::span<const Half> key, const Turn& turn, std::span<Half> into) const;

 private:
  std::vector<double> frequencies_;  ///< [head_dim / 2], radians a position
  bool interleaved_;
};

/// What moves keys to their slots; none where the system leaves them where they are. Throws InputError where
/// the trace's keys cannot be moved.
std::optional<Rotary> rotary_of_slots(const RunConfig& config, const trace::Header& header);

/// Whether the frequencies of a model's keys are fixed, so that they can be turned.
bool can_turn(const trace::Geometry& geometry);

}  // namespace kvr
