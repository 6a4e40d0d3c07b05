#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "sim/config/stage_config.hpp"

namespace kvr {

/// One of the sequences that decode together: a trace, and the step at which it begins.
struct SequenceConfig {
  std::filesystem::path trace_path;  ///< absolute, or relative to the working directory
  std::int64_t first_step = 0;       ///< of its trace; entries before it are its prompt
  std::string trace_key;             ///< the keys that say so
  std::string first_step_key;
};

enum class TurnAct : std::uint8_t {
  decode,   ///< tokens are replayed step by step
  prefill,  ///< tokens are read in, as a user's further message is
  fork,     ///< sequences begin as another is, which has decoded nothing so far
  drop,     ///< sequences end, and what was theirs is free
};

/// What some sequences do after their prompts, or after the turn before.
struct TurnConfig {
  TurnAct act;
  std::int64_t tokens = 0;  ///< of each of the sequences
  std::int64_t from = 0;    ///< fork: the sequence that they begin as
  LayerSet sequences;       ///< their numbers
  std::string key;          ///< of the turn

  friend bool operator==(const TurnConfig&, const TurnConfig&) = default;
};

}  // namespace kvr
