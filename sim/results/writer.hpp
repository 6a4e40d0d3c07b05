#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sim/results/outline.hpp"

namespace kvr {

/// Version of the layout of a results file; raised when a reader of the old layout would be misled.
constexpr std::int64_t kResultsSchemaVersion = 1;

/// Where results come from, as named texts in the order given; names are unique.
struct Provenance {
  std::vector<std::pair<std::string, std::string>> entries;

  void add(std::string name, std::string value) { entries.emplace_back(std::move(name), std::move(value)); }
};

/// The values of a point of so many, which stay while they are held.
using LoadPoint = std::function<std::shared_ptr<const PointData>(std::size_t index)>;

/// Writes an HDF5 file that h5py, pandas and xarray read.
///
/// The root group has the dimension scales `point`, `step`, `layer`, `kv_head` and `window`, where some point
/// walks several sequences `sequence`, and where some point has memory below its first tier `tier`; a dataset
/// [point(, step(, layer(, (sequence,) kv_head(, window)) or tier))] for each metric that some point recorded
/// and for each figure of a policy's own, "POLICY.FIGURE" with an attribute `policy`, and one [point] for
/// each summary, for `variant` and for `seed`; `/host` has the same metrics and summaries for what was
/// measured on this machine, with scales of its own; `/provenance` has `provenance` as attributes and, per
/// point, the resolved configuration and the notes. Where some point ran on a real device,
/// `/device/model_errors` has [point, model] datasets with the members of ModelError. Points may differ in
/// steps, layers and heads; what one lacks is NaN. The root's datasets depend on nothing but `points`.
///
/// The root's attribute `points_planned` says of how many points these are, `complete` is 1 where they are
/// all and else 0.
///
/// The file is written under a temporary name in the same folder and renamed when complete, so what was at
/// `out` is replaced only on success. `load` is called once for each point that has values, in order; memory
/// is that of one point and of a buffer for each metric. Throws SystemError if it cannot be written. The HDF5
/// library is not thread-safe: call from one thread at a time.
void write_results(const std::filesystem::path& out, std::span<const PointOutline> points,
                   const LoadPoint& load, std::int64_t planned, const Provenance& provenance);
/// The same of points that are in memory, and all that were planned.
void write_results(const std::filesystem::path& out, const std::vector<PointResult>& points,
                   const Provenance& provenance);

/// The summaries as a table for a terminal, ending in a new line: one column per variant, or, if these are
/// too many for that, one row per variant with the most important summaries; of several seeds the mean and
/// its 95 % interval. Tiers of memory, figures of policies' own and model errors, where there are any, follow
/// as tables.
std::string summary_text(std::span<const PointOutline> points);

/// kvreplay's version, commit and build, this host's processor and system, and the schema version.
Provenance describe_build_and_host();

}  // namespace kvr
