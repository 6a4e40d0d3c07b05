#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kvr::bench {

/// What one process of its own took.
struct ChildUse {
  double wall_s = 0.0;
  double cpu_s = 0.0;           ///< user and system, all threads
  std::int64_t peak_bytes = 0;  ///< resident
};

/// Runs this program with `args` and waits; its output is thrown away. InputError with its message if it
/// exits with 2, SystemError if it fails otherwise or cannot be started. It ends with the caller,
/// and before a cli::Interrupted reaches that, where signals are waited for patiently.
///
/// The kernel counts the memory of the caller at the start towards the child's peak: call it while little is
/// held.
ChildUse run_self(const std::vector<std::string>& args);

}  // namespace kvr::bench
