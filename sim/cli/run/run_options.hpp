#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kvr::cli {

/// What was asked of `kvreplay run`, as written.
struct RunOptions {
  std::string config;
  std::vector<std::string> sets;
  std::optional<std::string> out;
  std::optional<std::string> timeline;
  std::optional<std::string> timeline_steps;
  std::optional<std::string> store;
  std::optional<std::string> shard;
  std::int64_t together = 0;
  std::int64_t jobs = 0;
  bool force = false;
  bool json = false;
};

/// Empty when only help was asked for, which is printed. Throws InputError.
std::optional<RunOptions> parse_run_options(std::span<const std::string> args);

/// Of the points of a configuration, every `of`-th from `index` on.
struct Shard {
  std::int64_t index = 0;
  std::int64_t of = 1;

  bool has(std::int64_t place) const { return place % of == index; }
};

/// "2/4": the second of four. Throws InputError.
Shard shard_of(const RunOptions& options);

}  // namespace kvr::cli
