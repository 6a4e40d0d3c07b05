#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "sim/base/files/temporary_folder.hpp"
#include "sim/config/resolve.hpp"
#include "sim/results/writer.hpp"
#include "traces/header.hpp"

namespace kvr::test {

/// One layer, two KV heads with two query heads each, a few channels, a short prompt and a few steps: enough
/// for units to be formed, split, placed, cached and dropped.
inline constexpr std::int64_t kHeads = 2;
inline constexpr std::int64_t kChannels = 8;
inline constexpr std::int64_t kPrompt = 36;
inline constexpr std::int64_t kWindow = 33;  ///< queries of the prompt that are there
inline constexpr std::int64_t kSteps = 4;

/// A row of keys, values or queries.
using Row =
    std::function<void(trace::Field field, std::int64_t position, std::int64_t head, std::span<float>)>;

/// Keys around two points, as anybody's.
void ordinary_row(trace::Field field, std::int64_t position, std::int64_t head, std::span<float> row);

/// A trace of `row` and a configuration that replays it with every kind of component at work.
class SmallRun {
 public:
  explicit SmallRun(const Row& row = ordinary_row, std::int64_t steps = kSteps);

  RunConfig config(const std::vector<std::string>& sets) const;
  /// The results with `sets` laid over the configuration; InputError as on the command line.
  PointResult run(const std::vector<std::string>& sets) const;
  std::filesystem::path file(const std::string& name) const { return folder_ / name; }

 private:
  TemporaryFolder folder_;
};

/// The metrics that are infinite or not a number somewhere, a word each, but for those that are undefined
/// where nothing was read or too few steps have passed.
std::string not_finite(const PointResult& result);

/// Whether two results agree in every bit of what was simulated.
bool same_bits(const PointResult& a, const PointResult& b);

}  // namespace kvr::test
