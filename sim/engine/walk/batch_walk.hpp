#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "sim/config/resolve.hpp"
#include "sim/engine/walk/timetable.hpp"
#include "sim/engine/walk/trace_walk.hpp"
#include "sim/engine/walk/workers.hpp"

namespace kvr {

/// The sequences of a batch, side by side, turn by turn: all of a turn take a token before any takes the
/// next.
///
/// Heads are numbered layer by layer; in a layer those of the first sequence come first. `enter_prompt` of
/// those that are there, then `enter` for each token of each turn.
class BatchWalk {
 public:
  /// Throws InputError, with all that is wrong, where a trace is too short or not like the first.
  BatchWalk(const RunConfig& config, BatchTraces traces);

  std::int64_t sequences() const { return std::ssize(walks_); }
  TraceWalk& sequence(std::int64_t index) { return walks_[static_cast<std::size_t>(index)]; }
  const TraceWalk& sequence(std::int64_t index) const { return walks_[static_cast<std::size_t>(index)]; }
  /// Of the first, whose shape is that of all.
  const trace::Header& header() const { return walks_.front().trace().header(); }
  const Timetable& timetable() const { return timetable_; }
  /// Of decoding.
  std::int64_t steps() const { return timetable_.steps; }
  std::int64_t layers() const { return walks_.front().layers(); }
  /// Of a layer of one sequence.
  std::int64_t kv_heads() const { return walks_.front().kv_heads(); }
  std::int64_t heads_of_layer() const { return sequences() * kv_heads(); }
  HeadId head_id(std::int64_t head) const;
  /// Entries that the longest sequence comes to.
  std::int64_t most_entries() const;

  /// What is before the first position of some sequences.
  void enter_prompt(std::span<const std::int64_t> sequences);
  /// Throws InputError unless what has come in of `child` are the entries of `parent`. `place`: of the key
  /// that says so.
  void check_same(std::int64_t parent, std::int64_t child, const std::string& place) const;
  /// The next token of some sequences.
  void enter(std::span<const std::int64_t> sequences);
  /// See TraceWalk.
  void want_speculated(std::int64_t layer);

  const CapturedHead& rows(std::int64_t head) const { return walk_of(head).rows(in_walk(head)); }
  std::span<const Half> queries(std::int64_t head) const { return walk_of(head).queries(in_walk(head)); }
  std::span<const Half> speculated(std::int64_t head) const {
    return walk_of(head).speculated(in_walk(head));
  }
  HeadTruth& truth(std::int64_t head) { return sequence(head_id(head).sequence).truth(in_walk(head)); }
  Workers& workers() { return workers_; }

 private:
  const TraceWalk& walk_of(std::int64_t head) const { return sequence(head_id(head).sequence); }
  std::int64_t in_walk(std::int64_t head) const;

  Timetable timetable_;
  std::deque<TraceWalk> walks_;  // which stay where they are
  Workers workers_;
};

}  // namespace kvr
