#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/config/resolve.hpp"
#include "sim/engine/walk/trace_demands.hpp"
#include "traces/reader.hpp"

namespace kvr {

/// The trace of each sequence of a batch, in order; sequences may share one.
using BatchTraces = std::span<const trace::Reader* const>;

/// A turn of a batch.
struct Turn {
  TurnAct act;
  std::int64_t tokens;                    ///< of each of its sequences
  std::vector<std::int64_t> sequences;    ///< ascending, at least one
  std::int64_t from = -1;                 ///< fork: the sequence that they begin as
  std::vector<std::int64_t> prefix = {};  ///< fork: tokens of each turn that `from` has read in
};

/// What the sequences of a batch do from their prompts on.
struct Timetable {
  std::vector<std::int64_t> begin;  ///< sequences that are there when the prompts are read
  std::vector<Turn> turns;
  std::vector<StepRange> ranges;  ///< [sequences]: the positions that each comes to after its prompt; of
                                  ///< one that forks, its parent's prompt
  std::int64_t steps = 0;         ///< of decoding, over all turns
};

/// Throws InputError, with all that is wrong, where a trace is too short or a turn asks for a sequence that
/// is not there.
Timetable timetable_of(const RunConfig& config, BatchTraces traces);

}  // namespace kvr
