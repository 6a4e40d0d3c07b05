#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/interfaces/lower_tiers.hpp"

namespace kvr {

/// Lays guesses and the reads that they lead to; a layer's attention waits for those made for it.
class GuessedReads {
 public:
  using After = GraphBuilder::After;

  explicit GuessedReads(std::size_t layers) : read_(layers) {}

  /// Each read after its guess, each guess after the one before it, all `after`. Returns the last guess;
  /// where transfers are `in_turn` what must be waited for when the reads must be as well.
  After lay(std::span<const GuessDemand> guesses, std::int32_t layer, const After& after, Transfers transfers,
            GraphBuilder& builder) {
    After last = after;
    for (const GuessDemand& guess : guesses) {
      last = builder.compute(Purpose::guess, layer, guess.guess_s, last);
      const After read =
          lay_transfers(builder, guess.transfers, {Use::prefetch}, guess.for_layer, last, transfers).all;
      if (!guess.transfers.empty()) {
        read_[static_cast<std::size_t>(guess.for_layer)] = read;
      }
      last = transfers == Transfers::in_turn ? read : last;
    }
    return last;
  }

  /// What was read ahead for a layer; empty: nothing.
  const After& of(std::int32_t layer) const { return read_[static_cast<std::size_t>(layer)]; }

 private:
  std::vector<After> read_;
};

}  // namespace kvr
