// Two units in a pool, at opposite ends, growing towards each other:
//
//   place:   pools of one size for a head, pool_factor times its largest prompt unit, in whole blocks; pairs
//            of units as `pairing` says, one pool after another, so that the second unit of a pool and the
//            first of the next touch
//   growth:  into the middle of the pool; nothing moves. A unit that meets its partner outgrows the pool and
//            goes on at an empty end of another one
//   split:   the old unit stays at its end and is closed up there; the new one goes to an empty end
//   removed: the record is a hole, which the unit's next growth fills; at the unit's inner end it is room
//   again empty end: of the first pool that has one, with half the pool free and all that the unit needs,
//   next
//            to a unit that is alone there; else of a new pool, at the end of the space
//
// Ends that a unit no longer needs are empty again. Choices that the paper leaves open: the pool is not
// enlarged when it is full, but the unit continued elsewhere; a new unit joins the first lone one, as
// co-retrieval is only counted over the prompt.
#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "policies/layout/placing/contiguous_units.hpp"
#include "policies/layout/placing/pairing.hpp"
#include "policies/layout/placing/pool_check.hpp"
#include "sim/base/error.hpp"
#include "sim/base/indexed.hpp"
#include "sim/base/registry.hpp"

namespace kvr {
namespace {

class DualHead final : public ContiguousUnits {
 public:
  static constexpr std::string_view kName = "dual_head";
  static constexpr std::string_view kDoc =
      "Keeps two units in a pool, at opposite ends, where they grow without moving anything.";
  static constexpr std::string_view kSource = "DynaKV, arXiv 2511.07427, sec. 5";

  struct Params {
    BufferParams buffer;
    double pool_factor = 2.0;
    std::int64_t min_pool_entries = 16;
    std::string pairing = "correlated";
  };
  static ParamTable<Params> params() {
    ParamTable<Params> rows = table_of_part(buffer_params(), &Params::buffer);
    const ParamTable<Params> own = {
        {"pool_factor",
         &Params::pool_factor,
         {.doc = "size of a head's pools, as a multiple of its largest unit of the prompt",
          .min = 2,
          .max = 64,
          .source = "DynaKV, sec. 5"}},
        {"min_pool_entries",
         &Params::min_pool_entries,
         {.doc = "entries that a pool holds at least",
          .unit = "entries",
          .min = 2,
          .max = 1 << 20,
          .source = "assumed"}},
        {"pairing",
         &Params::pairing,
         {.doc = "which units of the prompt share a pool: neighbours in number, or those that the prompt's "
                 "queries select together",
          .choices = "order|correlated",
          .source = "DynaKV, sec. 5: by co-retrieval; the algorithm is ours"}}};
    rows.insert(rows.end(), own.begin(), own.end());
    return rows;
  }
  static std::vector<IdleParam> idle(const Params& params) { return ContiguousUnits::idle(params.buffer); }

  DualHead(const Params& params, const Context& context)
      : ContiguousUnits(params.buffer, context), params_(params), heads_(context.kv_heads) {}

  bool wants_co_retrieval() const override { return params_.pairing == "correlated"; }
  std::int64_t space_bytes() const override { return end_bytes_; }
  /// What is counted agrees with what is held, and the places that come of it keep to the ends of pools.
  void check() const override {
    std::vector<Extent> all_pools;
    for (std::int64_t head = 0; head < heads_.size(); ++head) {
      check_counts(head);
      const std::vector<Extent> pools = pools_of(head);
      check_pool_ends(pools, records_of(head));
      all_pools.insert(all_pools.end(), pools.begin(), pools.end());
    }
    check_pools_apart(std::move(all_pools), end_bytes_);
  }

 private:
  enum Side : std::uint8_t { begin, end };
  struct Pool {
    std::int64_t offset_bytes;
    std::array<std::int64_t, 2> records = {0, 0};  ///< by side; 0: empty
  };
  /// Records of a unit at one end of a pool.
  struct Stretch {
    std::size_t pool;
    Side side;
    std::int64_t records;
  };
  struct Head {
    std::int64_t pool_records = 0;
    std::vector<Pool> pools;
    Indexed<UnitId, std::vector<Stretch>> units;  ///< in order of their records; several where outgrown
  };

  Head& at(std::int64_t head) { return heads_[head]; }
  std::int64_t pool_bytes(const Head& head) const { return up_to_block(head.pool_records * entry_bytes()); }
  static std::int64_t room(const Head& head, const Pool& pool) {
    return head.pool_records - pool.records[begin] - pool.records[end];
  }

  void arrange(const PromptUnits& prompt) override {
    for (std::size_t i = 0; i < prompt.heads.size(); ++i) {
      const Clustering& clustering = *prompt.heads[i];
      Head& head = at(static_cast<std::int64_t>(i));
      std::int64_t largest = 0;
      for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
        largest = std::max<std::int64_t>(largest, std::ssize(clustering.members(unit)));
      }
      const auto wanted =
          static_cast<std::int64_t>(std::ceil(params_.pool_factor * static_cast<double>(largest)));
      const std::int64_t records = std::max(params_.min_pool_entries, wanted);
      head.pool_records = up_to_block(records * entry_bytes()) / entry_bytes();
      head.units.resize(clustering.unit_count());
      const bool correlated = wants_co_retrieval() && i < prompt.co_retrieval.size();
      for (const UnitPair& pair : correlated
                                      ? pair_correlated(clustering.unit_count(), prompt.co_retrieval[i])
                                      : pair_in_order(clustering.unit_count())) {
        const std::size_t pool = open_pool(head);
        settle(head, pool, begin, pair.first, clustering);
        settle(head, pool, end, pair.second, clustering);
      }
    }
  }

  void check_counts(std::int64_t head_index) const {
    const Head& head = heads_[head_index];
    std::vector<std::array<std::int64_t, 2>> found(head.pools.size());
    for (UnitId unit = 0; unit < head.units.size(); ++unit) {
      std::int64_t records = 0;
      for (const Stretch& stretch : head.units[unit]) {
        std::int64_t& at_end = found[stretch.pool][stretch.side];
        KVR_CHECK(at_end == 0 && stretch.records > 0, "head {}, unit {}: {} records where {} lie", head_index,
                  unit, stretch.records, at_end);
        at_end = stretch.records;
        records += stretch.records;
      }
      const auto held = std::ssize(entries_of(head_index, unit));
      KVR_CHECK(records == held, "head {}, unit {}: room for {} of {} records", head_index, unit, records,
                held);
    }
    for (std::size_t pool = 0; pool < found.size(); ++pool) {
      KVR_CHECK(found[pool] == head.pools[pool].records && room(head, head.pools[pool]) >= 0,
                "head {}, pool {} of {} records: {} and {} lie in it, {} and {} were counted", head_index,
                pool, head.pool_records, found[pool][begin], found[pool][end],
                head.pools[pool].records[begin], head.pools[pool].records[end]);
    }
  }

  std::vector<Extent> pools_of(std::int64_t head_index) const {
    const Head& head = heads_[head_index];
    std::vector<Extent> pools;
    for (const Pool& pool : head.pools) {
      pools.push_back({pool.offset_bytes, pool_bytes(head)});
    }
    return pools;
  }

  std::vector<UnitRecords> records_of(std::int64_t head_index) const {
    std::vector<UnitRecords> units;
    for (UnitId unit = 0; unit < heads_[head_index].units.size(); ++unit) {
      units.push_back({unit, {}});
      for (std::int64_t index = 0; index < std::ssize(entries_of(head_index, unit)); ++index) {
        units.back().records.push_back(record(head_index, unit, index));
      }
    }
    return units;
  }

  static void settle(Head& head, std::size_t pool, Side side, UnitId unit, const Clustering& clustering) {
    const std::int64_t records = unit < 0 ? 0 : std::ssize(clustering.members(unit));
    if (records > 0) {
      head.pools[pool].records[side] = records;
      head.units[unit].push_back({pool, side, records});
    }
  }

  std::size_t open_pool(Head& head) {
    head.pools.push_back({end_bytes_});
    end_bytes_ += pool_bytes(head);
    return head.pools.size() - 1;
  }

  void resize(std::int64_t head_index, UnitId unit, std::int64_t records, LayoutTraffic& traffic) override {
    Head& head = at(head_index);
    std::vector<Stretch>& stretches = head.units.reach(unit);
    std::int64_t more = records;
    for (const Stretch& stretch : stretches) {
      more -= stretch.records;
    }
    while (more < 0) {
      more += shorten(head, stretches, -more);
    }
    while (more > 0) {
      if (stretches.empty() || room(head, head.pools[stretches.back().pool]) == 0) {
        traffic.outgrown += stretches.empty() ? 0 : 1;
        stretches.push_back(empty_end(head, more));
      }
      more -= lengthen(head, stretches.back(), more);
    }
  }

  /// Up to `records` fewer in the last stretch, which goes when nothing is left of it.
  static std::int64_t shorten(Head& head, std::vector<Stretch>& stretches, std::int64_t records) {
    Stretch& last = stretches.back();
    const std::int64_t fewer = std::min(records, last.records);
    last.records -= fewer;
    head.pools[last.pool].records[last.side] -= fewer;
    if (last.records == 0) {
      stretches.pop_back();
    }
    return fewer;
  }

  static std::int64_t lengthen(Head& head, Stretch& stretch, std::int64_t records) {
    Pool& pool = head.pools[stretch.pool];
    const std::int64_t more = std::min(records, room(head, pool));
    stretch.records += more;
    pool.records[stretch.side] += more;
    return more;
  }

  Stretch empty_end(Head& head, std::int64_t records) {
    const std::int64_t needed = std::clamp(records, head.pool_records / 2, head.pool_records);
    const auto has_room = [&](const Pool& pool) {
      return (pool.records[begin] == 0 || pool.records[end] == 0) && room(head, pool) >= needed;
    };
    const auto found = std::ranges::find_if(head.pools, has_room);
    const std::size_t pool =
        found == head.pools.end() ? open_pool(head) : static_cast<std::size_t>(found - head.pools.begin());
    return {pool, head.pools[pool].records[begin] == 0 ? begin : end, 0};
  }

  Extent record(std::int64_t head_index, UnitId unit, std::int64_t index) const override {
    const Head& head = heads_[head_index];
    for (const Stretch& stretch : head.units[unit]) {
      if (index < stretch.records) {
        return record_at(head, stretch, index);
      }
      index -= stretch.records;
    }
    KVR_CHECK(false, "unit {} lacks its record {}", unit, index);
  }

  Extent record_at(const Head& head, const Stretch& stretch, std::int64_t index) const {
    const std::int64_t pool = head.pools[stretch.pool].offset_bytes;
    return {stretch.side == begin ? pool + index * entry_bytes()
                                  : pool + pool_bytes(head) - (index + 1) * entry_bytes(),
            entry_bytes()};
  }

  std::int64_t to_page_end(std::int64_t head_index, UnitId unit, std::int64_t page_bytes) const override {
    const Head& head = heads_[head_index];
    const Stretch& last = head.units[unit].back();
    const Extent record = record_at(head, last, last.records - 1);
    return last.side == begin ? page_bytes - record.end_bytes() % page_bytes
                              : (record.offset_bytes + page_bytes - 1) % page_bytes + 1;
  }

  Params params_;
  Indexed<std::int64_t, Head> heads_;
  std::int64_t end_bytes_ = 0;
};

const Registration<Layout, DualHead> registered;

}  // namespace
}  // namespace kvr
