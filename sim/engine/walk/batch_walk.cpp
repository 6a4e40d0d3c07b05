#include "sim/engine/walk/batch_walk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "sim/base/error.hpp"
#include "sim/config/problem_list.hpp"

namespace kvr {
namespace {

/// What of a further sequence's trace is not as the first one's, in words.
std::vector<std::string> differences(const trace::Header& first, const trace::Header& other) {
  std::vector<std::string> found;
  if (!(other.geometry == first.geometry)) {
    found.push_back(fmt::format("model {} has another geometry", other.model_name));
  }
  if (other.captured_layers != first.captured_layers) {
    found.push_back(fmt::format("has layers {}", fmt::join(other.captured_layers, ", ")));
  }
  if (other.captured_kv_heads != first.captured_kv_heads) {
    found.push_back(fmt::format("has KV heads {} of each layer", fmt::join(other.captured_kv_heads, ", ")));
  }
  return found;
}

void check_alike(const RunConfig& config, BatchTraces traces) {
  const trace::Header& first = traces.front()->header();
  std::vector<std::string> problems;
  for (std::size_t i = 1; i < traces.size(); ++i) {
    for (const std::string& difference : differences(first, traces[i]->header())) {
      problems.push_back(
          fmt::format("{}: {} {}; allowed: a trace like that of the first sequence, {}, of layers {} and KV "
                      "heads {}",
                      config.place(config.sequences[i].trace_key), config.sequences[i].trace_path.string(),
                      difference, first.model_name, fmt::join(first.captured_layers, ", "),
                      fmt::join(first.captured_kv_heads, ", ")));
    }
  }
  if (!problems.empty()) {
    throw InputError(problems);
  }
}

Timetable timetable_of_alike(const RunConfig& config, BatchTraces traces) {
  ProblemList problems;
  Timetable timetable;
  problems.collect([&] { timetable = timetable_of(config, traces); });
  problems.collect([&] { check_alike(config, traces); });
  problems.throw_if_any();
  return timetable;
}

}  // namespace

BatchWalk::BatchWalk(const RunConfig& config, BatchTraces traces)
    : timetable_(timetable_of_alike(config, traces)), workers_(config.threads) {
  for (std::size_t i = 0; i < traces.size(); ++i) {
    walks_.emplace_back(*traces[i], timetable_.ranges[i]);
  }
}

HeadId BatchWalk::head_id(std::int64_t head) const {
  const std::int64_t in_layer = head % heads_of_layer();
  return {head / heads_of_layer(), in_layer % kv_heads(), in_layer / kv_heads()};
}

std::int64_t BatchWalk::in_walk(std::int64_t head) const {
  const HeadId id = head_id(head);
  return id.layer * kv_heads() + id.head;
}

std::int64_t BatchWalk::most_entries() const {
  std::int64_t most = 0;
  for (const TraceWalk& walk : walks_) {
    most = std::max(most, walk.steps().first_position + walk.steps().count);
  }
  return most;
}

void BatchWalk::enter_prompt(std::span<const std::int64_t> sequences) {
  for (const std::int64_t index : sequences) {
    sequence(index).enter_prompt();
  }
}

void BatchWalk::check_same(std::int64_t parent, std::int64_t child, const std::string& place) const {
  const auto same = [](const MatrixView<Half>& a, const MatrixView<Half>& b) {
    return std::memcmp(a.data, b.data, static_cast<std::size_t>(a.rows * a.cols) * sizeof(Half)) == 0;
  };
  const std::int64_t entries = sequence(child).entries();
  for (std::int64_t head = 0; head < layers() * kv_heads(); ++head) {
    const HeadView own = sequence(child).rows(head).view(entries);
    const HeadView before = sequence(parent).rows(head).view(entries);
    if (!same(own.keys, before.keys) || !same(own.values, before.values)) {
      throw InputError(
          fmt::format("{}: the first {} entries of sequence {} are not those of sequence {} (captured layer "
                      "{}, head {}); allowed: "
                      "a trace that agrees up to there",
                      place, entries, child, parent, head / kv_heads(), head % kv_heads()));
    }
  }
}

void BatchWalk::enter(std::span<const std::int64_t> sequences) {
  for (const std::int64_t index : sequences) {
    sequence(index).enter(sequence(index).entries());
  }
}

void BatchWalk::want_speculated(std::int64_t layer) {
  for (TraceWalk& walk : walks_) {
    walk.want_speculated(layer);
  }
}

}  // namespace kvr
