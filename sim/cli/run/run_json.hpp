#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "sim/results/outline.hpp"

namespace kvr::cli {

/// What `kvreplay run --json` prints: the finished points of so many, each with its summaries, what is swept
/// and its notes, as `kvreplay result show --json` has them.
std::string run_json(std::span<const PointOutline> points, std::int64_t planned);

}  // namespace kvr::cli
