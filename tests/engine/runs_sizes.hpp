#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/half.hpp"
#include "sim/interfaces/replacement.hpp"
#include "tests/engine/replay_fixture.hpp"
#include "tests/engine/runs_codec.hpp"

namespace kvr::test {

/// K and V of 16 channels at most.
constexpr std::int64_t kLargestRuns = 2 * (4 + 32 + 10);

/// A codec's configuration.
inline std::string runs(const std::string& parameters = "stride: 0") {
  return fmt::format("{{type: {}, {}}}", kRuns, parameters);
}

/// What every entry of small_trace takes as the codec stores it, by the bytes of the trace's rows alone.
class RunsSizes {
 public:
  /// As the codec's; where nothing is removed.
  RunsSizes(const ReplayFixture& fixture, std::int64_t stride);

  std::int64_t of(std::int64_t layer, std::int64_t head, std::int64_t entry) const {
    return bytes_.at({layer, head})[static_cast<std::size_t>(entry)];
  }
  std::int64_t of(CacheObject token) const { return of(token.layer, token.head, token.unit); }
  /// Of `entries` of one head.
  template <class Entries>
  double sum(std::int64_t layer, std::int64_t head, const Entries& entries) const {
    std::int64_t bytes = 0;
    for (const auto entry : entries) {
      bytes += of(layer, head, entry);
    }
    return static_cast<double>(bytes);
  }
  /// Of `entries` of all heads.
  template <class Entries>
  double of_all(const Entries& entries) const {
    double bytes = 0.0;
    for (std::int64_t head = 0; head < kHeads; ++head) {
      bytes += sum(head / 2, head % 2, entries);
    }
    return bytes;
  }

 private:
  std::map<std::pair<std::int64_t, std::int64_t>, std::vector<std::int64_t>> bytes_;  ///< by layer and head
};

inline std::vector<std::int64_t> from_to(std::int64_t begin, std::int64_t end) {
  std::vector<std::int64_t> entries;
  for (std::int64_t entry = begin; entry < end; ++entry) {
    entries.push_back(entry);
  }
  return entries;
}

}  // namespace kvr::test
