#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace kvr {

/// Why a unit, or entries that are in none, stand in a record.
enum class UnitRole : std::int32_t {
  chosen,      ///< by a stage that selects
  demanded,    ///< of the memory, where that is not what the last such stage chose, as it chose it
  pinned,      ///< attended to wherever the budget ends, the current entry among them
  pending,     ///< in DRAM until a unit takes it
  prefetched,  ///< guessed to be demanded
  estimated,   ///< not read: summaries stand for it
  missed,      ///< truly among the best that the budget would have held, and not attended to
  kept,        ///< by a stage that evicts
  removed,     ///< by the stages that evict
  placed,      ///< by a stage that places
  reference,   ///< read because what was read refers to it
  loaded,      ///< read because a clustering changes it
};
constexpr std::array<std::string_view, 12> kUnitRoles = {"chosen",     "demanded",  "pinned",    "pending",
                                                         "prefetched", "estimated", "missed",    "kept",
                                                         "removed",    "placed",    "reference", "loaded"};

/// One unit of one decision. Its entries and extents follow those of the row before in their tables.
struct UnitRow {
  std::int32_t step = 0;
  std::int32_t layer = 0;
  std::int32_t sequence = 0;
  std::int32_t kv_head = -1;     ///< -1: all of the layer decide as one
  std::int32_t query_head = -1;  ///< -1: the choice is that of all
  std::int32_t stage = -1;
  std::int32_t role = 0;
  std::int32_t unit = -1;
  std::int32_t rank = 0;
  float score = std::numeric_limits<float>::quiet_NaN();
  float weight = std::numeric_limits<float>::quiet_NaN();
  std::int32_t entry_count = 0;
  std::int32_t in_first_tier = -1;  ///< -1: nothing was asked of the memory
  std::int32_t came_ahead = 0;
  std::int32_t extent_count = 0;

  bool is(UnitRole wanted) const { return role == static_cast<std::int32_t>(wanted); }
  friend bool operator==(const UnitRow&, const UnitRow&);
};

struct UnitEntry {
  std::int32_t position = 0;
  std::int32_t tier = -1;
  float weight = std::numeric_limits<float>::quiet_NaN();

  friend bool operator==(const UnitEntry&, const UnitEntry&);
};

struct UnitExtent {
  std::int64_t offset_bytes = 0;
  std::int64_t length_bytes = 0;

  friend bool operator==(const UnitExtent&, const UnitExtent&) = default;
};

/// What a captured layer asked the flash for, in whole blocks, over all heads and sequences.
struct ReadRequest {
  std::int32_t step = 0;
  std::int32_t layer = 0;
  std::int32_t use = 0;
  std::int64_t offset_bytes = 0;
  std::int64_t length_bytes = 0;

  friend bool operator==(const ReadRequest&, const ReadRequest&) = default;
};

/// One value of a row, and what results say of it.
template <class Row>
struct UnitColumn {
  std::string_view name;
  std::string_view unit;
  std::string_view long_name;
  std::variant<std::int32_t Row::*, std::int64_t Row::*, float Row::*> member;
};
std::span<const UnitColumn<UnitRow>> columns_of(const std::vector<UnitRow>&);
std::span<const UnitColumn<UnitEntry>> columns_of(const std::vector<UnitEntry>&);
std::span<const UnitColumn<UnitExtent>> columns_of(const std::vector<UnitExtent>&);
std::span<const UnitColumn<ReadRequest>> columns_of(const std::vector<ReadRequest>&);

/// Sizes of the tables, in the order of RecordedUnits::for_each_table.
constexpr std::size_t kUnitTables = 4;
using UnitCounts = std::array<std::int64_t, kUnitTables>;

/// What was recorded of a point's units, step by step, layer by layer, in one order whatever the threads.
struct RecordedUnits {
  std::vector<std::string> stages = {};  ///< what stages are called, in the order of the system
  std::vector<std::string> tiers = {};   ///< fastest first, the flash included
  std::vector<UnitRow> choices = {};
  std::vector<UnitEntry> entries = {};
  std::vector<UnitExtent> extents = {};
  std::vector<ReadRequest> requests = {};

  /// `act(name, rows)` of each table.
  template <class Act>
  void for_each_table(Act act) const {
    act(std::string_view("choices"), choices);
    act(std::string_view("entries"), entries);
    act(std::string_view("extents"), extents);
    act(std::string_view("requests"), requests);
  }
  template <class Act>
  void for_each_table(Act act) {
    act(std::string_view("choices"), choices);
    act(std::string_view("entries"), entries);
    act(std::string_view("extents"), extents);
    act(std::string_view("requests"), requests);
  }
  UnitCounts counts() const;
  friend bool operator==(const RecordedUnits&, const RecordedUnits&) = default;
};

/// All of a record but its rows.
struct UnitsOutline {
  std::vector<std::string> stages = {};
  std::vector<std::string> tiers = {};
  UnitCounts counts = {};
};
UnitsOutline outline_of(const RecordedUnits& units);

}  // namespace kvr
