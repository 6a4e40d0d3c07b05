#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "sim/interfaces/types.hpp"

namespace kvr::flash {

/// Places the simulator's sparse addresses, spread over regions of 2^36 B, in a file: chunks get the file's
/// chunks in the order in which they are first touched, as a coarse mapping table would give them.
class AddressMap {
 public:
  static constexpr std::int64_t kChunkBytes = std::int64_t{1} << 20;

  explicit AddressMap(std::int64_t file_bytes) : chunks_(file_bytes / kChunkBytes) {}

  std::int64_t used_bytes() const { return std::ssize(places_) * kChunkBytes; }
  /// What the file would have to hold for `ranges` and all that was touched before.
  std::int64_t needed_bytes(std::span<const Extent> ranges) const;
  /// Appends the pieces of the file that `range` becomes, in order; neighbours in the file are one piece.
  /// The file must hold them: see `needed_bytes`.
  void place(const Extent& range, std::vector<Extent>& pieces);

 private:
  std::int64_t chunks_;
  std::unordered_map<std::int64_t, std::int64_t> places_;  ///< chunk of the simulator -> chunk of the file
};

}  // namespace kvr::flash
