#include "policies/layout/placing/contiguous_units.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "policies/layout/placing/append_extent.hpp"
#include "policies/layout/placing/removal.hpp"
#include "sim/base/error.hpp"

namespace kvr {
namespace {

/// The units that a list of changes creates, splits or regroups, each once, in order.
std::vector<UnitId> touched_units(std::span<const Change> changes, std::int64_t units) {
  std::vector<UnitId> touched;
  if (std::ranges::find(changes, ChangeKind::regrouped, &Change::kind) != changes.end()) {
    touched.resize(static_cast<std::size_t>(units));
    std::iota(touched.begin(), touched.end(), 0);
    return touched;
  }
  const auto touch = [&](UnitId unit) {
    if (std::ranges::find(touched, unit) == touched.end()) {
      touched.push_back(unit);
    }
  };
  for (const Change& change : changes) {
    if (change.kind == ChangeKind::created || change.kind == ChangeKind::split) {
      touch(change.unit);
    }
    if (change.kind == ChangeKind::split) {
      touch(change.other);
    }
  }
  return touched;
}

}  // namespace

ParamTable<ContiguousUnits::BufferParams> ContiguousUnits::buffer_params() {
  return {{"page_buffer",
           &BufferParams::page_buffer,
           {.doc = "page that new entries of a hot unit wait in DRAM to complete; 0: all are written at once",
            .quantity = Quantity::bytes,
            .min = 0,
            .max = bounds::kBytes,
            .source = "DynaKV, sec. 5, which does not say the size"}},
          {"hot_steps",
           &BufferParams::hot_steps,
           {.doc = "steps after an append for which a unit is hot, where there is a page_buffer",
            .unit = "steps",
            .min = 1,
            .max = bounds::kEntries,
            .source = "assumed"}}};
}

std::vector<IdleParam> ContiguousUnits::idle(const BufferParams& params) {
  return params.page_buffer == 0 ? std::vector<IdleParam>{{"hot_steps", "page_buffer is 0"}}
                                 : std::vector<IdleParam>{};
}

ContiguousUnits::ContiguousUnits(const BufferParams& params, const Context& context)
    : params_(params), context_(context), heads_(context.kv_heads) {}

std::int64_t ContiguousUnits::up_to_block(std::int64_t bytes) const {
  return (bytes + context_.block_bytes - 1) / context_.block_bytes * context_.block_bytes;
}

std::span<const EntryIndex> ContiguousUnits::entries_of(std::int64_t head, UnitId unit) const {
  return heads_[head].units[unit].records;
}

void ContiguousUnits::place(const PromptUnits& prompt, LayoutTraffic& traffic) {
  arrange(prompt);
  for (std::int64_t head = 0; head < std::ssize(prompt.heads); ++head) {
    const Clustering& clustering = *prompt.heads[static_cast<std::size_t>(head)];
    for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
      Unit& at = unit_at(head, unit);  // also where a stage has removed all members
      for (const EntryIndex entry : clustering.members(unit)) {
        at.records.push_back(kHole);
        put(head, unit, at.records.size() - 1, {entry, {}}, traffic);
      }
    }
  }
}

void ContiguousUnits::update(std::int64_t head, std::span<const Change> changes, const Clustering& clustering,
                             LayoutTraffic& traffic) {
  if (is_removal(changes)) {
    for (const Change& change : changes) {
      remove(head, change.entry, traffic);
    }
    list_unwritten(heads_[head]);
    return;
  }
  ++heads_[head].step;
  if (const std::vector<UnitId> touched = touched_units(changes, clustering.unit_count()); !touched.empty()) {
    restructure(head, touched, clustering, traffic);
  }
  for (const Change& change : changes) {  // last, lest an entry be written and split off at once
    if (change.kind == ChangeKind::appended && place_of(head, change.entry).unit < 0) {
      append(head, change.unit, change.entry, traffic);
    }
  }
  flush_cold(head, traffic);
  list_unwritten(heads_[head]);
}

std::span<const EntryIndex> ContiguousUnits::unwritten(std::int64_t head) const {
  return heads_[head].unwritten;
}

void ContiguousUnits::locate(std::int64_t head, UnitId, std::span<const EntryIndex> entries,
                             std::vector<Extent>& extents) const {
  const Head& at = heads_[head];
  for (const EntryIndex entry : entries) {
    const Place& place = at.of_entry[entry];
    KVR_CHECK(place.index >= 0, "entry {} of unit {} is not on flash", entry, place.unit);
    extents.push_back(record(head, place.unit, place.index));
  }
}

void ContiguousUnits::restructure(std::int64_t head, std::span<const UnitId> touched,
                                  const Clustering& clustering, LayoutTraffic& traffic) {
  std::vector<std::vector<Joining>> joins;
  for (const UnitId unit : touched) {
    unit_at(head, unit).buffer.clear();  // whoever is in it joins a unit below
    joins.push_back(joining(head, unit, clustering));
  }
  std::erase_if(heads_[head].waiting, [&](UnitId unit) { return unit_at(head, unit).buffer.empty(); });
  for (std::size_t i = 0; i < touched.size(); ++i) {  // first, so that others find the bytes left free
    if (joins[i].size() <= holes_in(head, touched[i])) {
      close_up(head, touched[i], joins[i], traffic);
      joins[i].clear();
    }
  }
  for (std::size_t i = 0; i < touched.size(); ++i) {
    join(head, touched[i], joins[i], traffic);
  }
}

/// The members that are not among the records of `unit`; they leave holes where they are.
std::vector<ContiguousUnits::Joining> ContiguousUnits::joining(std::int64_t head, UnitId unit,
                                                               const Clustering& clustering) {
  std::vector<Joining> result;
  for (const EntryIndex entry : clustering.members(unit)) {
    const Place place = place_of(head, entry);
    if (place.index < 0) {
      result.push_back({entry, {}});
    } else if (place.unit != unit) {
      result.push_back({entry, record(head, place.unit, place.index)});
      unit_at(head, place.unit).records[static_cast<std::size_t>(place.index)] = kHole;
    }
  }
  return result;
}

std::size_t ContiguousUnits::holes_in(std::int64_t head, UnitId unit) {
  return static_cast<std::size_t>(std::ranges::count(unit_at(head, unit).records, kHole));
}

/// No more than there are holes join the unit; what is left of the holes is filled from its end.
void ContiguousUnits::close_up(std::int64_t head, UnitId unit, std::span<const Joining> joining,
                               LayoutTraffic& traffic) {
  std::vector<EntryIndex>& records = unit_at(head, unit).records;
  const std::size_t before = records.size();
  std::size_t joined = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    while (joined == joining.size() && !records.empty() && records.back() == kHole) {
      records.pop_back();
    }
    if (i >= records.size() || records[i] != kHole) {
      continue;
    }
    if (joined < joining.size()) {
      put(head, unit, i, joining[joined++], traffic);
    } else {
      const Extent from = record(head, unit, std::ssize(records) - 1);
      const EntryIndex last = records.back();
      records.pop_back();
      put(head, unit, i, {last, from}, traffic);
    }
  }
  if (records.size() < before) {
    resize(head, unit, std::ssize(records), traffic);
  }
}

/// The holes are filled first. Room for the others is made before that: a layout that moves the unit for it
/// then moves no entry that has only just been written.
void ContiguousUnits::join(std::int64_t head, UnitId unit, std::span<const Joining> joining,
                           LayoutTraffic& traffic) {
  std::vector<EntryIndex>& records = unit_at(head, unit).records;
  if (const std::size_t holes = holes_in(head, unit); joining.size() > holes) {
    const std::size_t after = records.size() - holes + joining.size();
    resize(head, unit, static_cast<std::int64_t>(after), traffic);
    records.resize(after, kHole);
  }
  std::size_t index = 0;
  for (const Joining& one : joining) {
    while (records[index] != kHole) {
      ++index;
    }
    put(head, unit, index, one, traffic);
  }
}

void ContiguousUnits::put(std::int64_t head, UnitId unit, std::size_t index, const Joining& joining,
                          LayoutTraffic& traffic) {
  unit_at(head, unit).records[index] = joining.entry;
  place_of(head, joining.entry) = {unit, static_cast<std::int32_t>(index)};
  write(joining.entry, joining.from, record(head, unit, static_cast<std::int64_t>(index)), traffic);
}

void ContiguousUnits::write(EntryIndex entry, const std::optional<Extent>& from, const Extent& to,
                            LayoutTraffic& traffic, std::int64_t head) const {
  if (from && *from == to) {
    return;
  }
  append_extent(to, traffic.writes);
  if (from) {
    traffic.moved.push_back({entry, *from, head});
  } else {
    traffic.appended_bytes += to.length_bytes;
  }
}

/// A pending entry has no place to give up.
void ContiguousUnits::remove(std::int64_t head, EntryIndex entry, LayoutTraffic& traffic) {
  const Place place = std::exchange(place_of(head, entry), {});
  if (place.unit < 0) {
    return;
  }
  Unit& unit = unit_at(head, place.unit);
  if (place.index >= 0) {
    unit.records[static_cast<std::size_t>(place.index)] = kHole;
    shorten(head, place.unit, traffic);
  } else if (std::erase(unit.buffer, entry); unit.buffer.empty()) {
    std::erase(heads_[head].waiting, place.unit);
  }
}

/// Gives up the holes at the end of `unit`.
void ContiguousUnits::shorten(std::int64_t head, UnitId unit, LayoutTraffic& traffic) {
  std::vector<EntryIndex>& records = unit_at(head, unit).records;
  const std::size_t before = records.size();
  while (shortens_in_place() && !records.empty() && records.back() == kHole) {
    records.pop_back();
  }
  if (records.size() < before) {
    resize(head, unit, std::ssize(records), traffic);
  }
}

void ContiguousUnits::append(std::int64_t head, UnitId unit, EntryIndex entry, LayoutTraffic& traffic) {
  Unit& at = unit_at(head, unit);
  const std::int64_t step = heads_[head].step;
  const bool hot =
      params_.page_buffer > 0 && at.last_append >= 0 && step - at.last_append <= params_.hot_steps;
  at.last_append = step;
  at.buffer.push_back(entry);
  place_of(head, entry) = {unit, -1};
  std::vector<UnitId>& waiting = heads_[head].waiting;
  if (at.buffer.size() == 1) {
    waiting.push_back(unit);
  }
  const std::int64_t bytes = std::ssize(at.buffer) * entry_bytes();
  if (!hot || at.records.empty() || bytes >= to_page_end(head, unit, params_.page_buffer)) {
    flush(head, unit, traffic);
  }
}

void ContiguousUnits::flush(std::int64_t head, UnitId unit, LayoutTraffic& traffic) {
  std::vector<Joining> joining;
  for (const EntryIndex entry : unit_at(head, unit).buffer) {
    joining.push_back({entry, {}});
  }
  unit_at(head, unit).buffer.clear();
  std::erase(heads_[head].waiting, unit);
  join(head, unit, joining, traffic);
}

void ContiguousUnits::flush_cold(std::int64_t head, LayoutTraffic& traffic) {
  const Head& at = heads_[head];
  const std::vector<UnitId> waiting = at.waiting;
  for (const UnitId unit : waiting) {
    if (at.step - unit_at(head, unit).last_append >= params_.hot_steps) {
      flush(head, unit, traffic);
    }
  }
}

void ContiguousUnits::list_unwritten(Head& head) const {
  head.unwritten.clear();
  for (const UnitId unit : head.waiting) {
    const std::vector<EntryIndex>& buffer = head.units[unit].buffer;
    head.unwritten.insert(head.unwritten.end(), buffer.begin(), buffer.end());
  }
}

}  // namespace kvr
