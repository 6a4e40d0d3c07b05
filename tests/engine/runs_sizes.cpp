#include "tests/engine/runs_sizes.hpp"

#include <bit>

#include "traces/reader.hpp"

namespace kvr::test {
namespace {

constexpr std::int64_t kRows = 105;
constexpr std::int64_t kDim = 16;

std::int64_t differing(std::span<const Half> rows, std::int64_t entry, std::int64_t base) {
  std::int64_t bytes = 0;
  for (std::int64_t d = 0; d < kDim; ++d) {
    const auto at = [&](std::int64_t row) {
      return std::bit_cast<std::uint16_t>(rows[static_cast<std::size_t>(row * kDim + d)]);
    };
    const int left = at(entry) ^ at(base);
    bytes += ((left & 0xff) != 0 ? 1 : 0) + ((left >> 8) != 0 ? 1 : 0);
  }
  return bytes;
}

}  // namespace

RunsSizes::RunsSizes(const ReplayFixture& fixture, std::int64_t stride) {
  const trace::Reader trace(fixture.trace_path());
  for (std::int64_t layer = 0; layer < 2; ++layer) {
    for (std::int64_t head = 0; head < 2; ++head) {
      std::vector<std::int64_t>& bytes = bytes_[{layer, head}];
      bytes.assign(kRows, 0);
      for (const trace::Field field : {trace::Field::keys, trace::Field::values}) {
        std::vector<Half> rows(kRows * kDim);
        trace.read(field, layer, head, 0, kRows, rows);
        for (std::int64_t entry = 0; entry < kRows; ++entry) {
          const std::int64_t base = stride > 0 ? entry / stride * stride : 0;
          const bool whole = base == entry;  // less the prompt's first row
          bytes[static_cast<std::size_t>(entry)] += 4 + differing(rows, entry, whole ? 0 : base) + entry % 11;
        }
      }
    }
  }
}

}  // namespace kvr::test
