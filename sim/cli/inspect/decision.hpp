#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/results/result_file.hpp"

namespace kvr::cli {

/// What the command line asks for; where a number is not given, the record has one alone.
struct Wanted {
  std::string point;  ///< empty: not given
  std::optional<std::int64_t> step;
  std::optional<std::int64_t> layer;
  std::optional<std::int64_t> head;
  std::optional<std::int64_t> sequence;
  std::string stage;  ///< its name or its place; empty: all
};

/// A unit with its entries and what was read for it, which lie in the Decision's record.
struct ShownUnit {
  const UnitRow& row;
  std::span<const UnitEntry> entries;
  std::span<const UnitExtent> extents;
};

/// What one set of heads did in one step.
struct Decision {
  std::string file;
  std::string point;
  std::int64_t step = 0;
  std::int64_t layer = 0;
  std::int64_t head = 0;  ///< where all of the layer decide as one, whose metrics are shown
  std::int64_t sequence = 0;
  bool several_sequences = false;
  RecordedUnits record = {};  ///< of the point
  std::vector<ShownUnit> units = {};
  std::vector<ReadRequest> requests = {};  ///< of the layer, for all its heads
  std::optional<double> position = {};     ///< metrics where results have them
  std::optional<double> recall = {};
  std::optional<double> mass = {};
  std::optional<double> read_bytes = {};  ///< of the layer, over the model
};

/// Throws InputError, with everything that is wrong, where there is no such decision in the file.
Decision find_decision(const ResultFile& file, const Wanted& wanted);

std::string decision_text(const Decision& decision);
std::string decision_json(const Decision& decision);

}  // namespace kvr::cli
