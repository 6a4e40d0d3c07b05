#pragma once

#include <sys/types.h>

#include <cstdint>

#include "sim/sweep/runner.hpp"

namespace kvr::sweep {

/// What a worker says, each as a frame that begins with its word:
///   advanced  steps that its group has behind it, of how many
///   finished  place of the point, whether its record could not be written, why, the outline
///   failed    exit code, text: of the points of its group that are not finished
///   done      with its group
enum class Word : std::uint8_t { advanced, finished, failed, done };

/// Where a worker stands.
struct WorkerRole {
  std::int64_t place;  ///< among the workers
  std::int64_t of;     ///< how many they are
  pid_t parent;
  int descriptor;  ///< its socket: groups come as frames of places, words go back
};

/// The life of a worker process: replays groups until the parent closes the socket or dies. It leaves without
/// what the parent's end of the program does.
[[noreturn]] void serve(const Work& work, const WorkerRole& role);

}  // namespace kvr::sweep
