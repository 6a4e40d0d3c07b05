#pragma once

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sim/config/tier_config.hpp"
#include "sim/engine/heads/head_policies.hpp"
#include "sim/engine/memory/flash_requests.hpp"
#include "sim/engine/memory/places/batch_layout.hpp"
#include "sim/engine/memory/records/head_records.hpp"
#include "sim/engine/memory/residency.hpp"
#include "sim/engine/memory/swap_area.hpp"
#include "sim/engine/memory/tiers/head_cache.hpp"
#include "sim/engine/memory/tiers/tier_levels.hpp"
#include "sim/interfaces/flash_device.hpp"
#include "sim/interfaces/layout.hpp"
#include "sim/interfaces/schedule.hpp"

namespace kvr {

/// What one head asked of the memory in one step.
struct HeadTraffic {
  std::int64_t demanded_units = 0;
  std::int64_t hit_units = 0;  ///< all of the unit's demanded entries were in the cache
  RecordSum demanded;
  RecordSum hit;
  RecordSum read;                           ///< from flash; the rest came from memory below the first tier
  RecordSum guessed;                        ///< read before they were demanded
  RecordSum rightly_guessed;                ///< of those, demanded
  RecordSum referred;                       ///< read because what was read refers to them
  RecordSum in_place;                       ///< missed, and read where they are
  std::int64_t decoded_entries = 0;         ///< for attention: all that came up
  std::int64_t update_decoded_entries = 0;  ///< for updates, likewise
};

/// A unit that a clustering changes and that came up for it.
struct UnitLoad {
  std::int64_t head;
  UnitId unit;
  std::vector<EntryIndex> entries;
  std::vector<std::int32_t> tiers;  ///< [entries]: see LayerMemory::tier_of
  std::vector<Extent> extents;      ///< of their records on flash
};

/// What a layer asks the flash for in a step, for one use: whole blocks, merged.
struct FlashTransfer {
  Use use;
  IoKind kind;
  std::vector<Extent> extents = {};
};

/// The memory side of one captured layer: where its entries lie on flash, what its heads have in DRAM, and
/// what a step reads and writes. Heads of a sequence's layer share one layout, hence requests that span
/// heads.
///
/// DRAM is the first tier here, whatever the system calls it. Without a tier below it all entries are in DRAM
/// and nothing is read or written; where the last tier is memory instead of flash there is no layout.
///
/// In a step, after every head has selected: `swap_in` plans what was on flash meanwhile, `prefetch`
/// plans the reads of what heads guessed and DRAM lacks, `read` splits demands into hits and misses and plans
/// the reads of what was not guessed; after the heads have followed the new entry: `settle` applies their
/// changes, lets the cache evict and brings the swap area up to date, and `write_representatives` follows
/// where they live on flash; after stages that evict `forget`, after those that place `move_placed`.
///
/// What is in DRAM is there to be attended to. What comes up is decoded, and so comes with what it refers to
/// and DRAM lacks, which stays in the working buffer and is given up with the step.
class LayerMemory {
 public:
  /// `layout`: on none without flash; what it does wrong is told as a PolicyFault of `layout_name`. `caches`
  /// [heads]: the cache each head belongs to; heads may share one. `tiers`: the memory below, which outlives
  /// this. `entry_bytes`: of the largest entries.
  LayerMemory(std::int64_t layer, std::span<HeadPolicies> heads, BatchLayout layout, std::string layout_name,
              std::int64_t capacity_entries, std::int64_t entry_bytes, std::int64_t block_bytes,
              std::vector<Cache*> caches, TierLevels& tiers);

  HeadResidency& residency(std::int64_t head) { return residencies_[static_cast<std::size_t>(head)]; }
  /// [heads]
  std::span<const HeadRecords> records() const { return records_; }

  bool on_flash() const { return layout_.on_flash(); }
  /// Of each sequence; none without flash.
  std::span<const std::unique_ptr<Layout>> layouts() const { return layout_.layouts(); }
  bool has_lower_tier() const { return on_flash() || tiers_->links() > 0; }
  bool wants_co_retrieval() const { return layout_.wants_co_retrieval(); }
  /// Places the units of prompts that were read, of all heads that do not rest. `co_retrieval` [heads], or
  /// empty where the layout does not want it.
  void place(std::span<const std::vector<CoRetrieval>> co_retrieval);
  /// `dim_ratio`: head dimension of the timed model over the captured one.
  void swap_in(const VirtualMemory& memory, double dim_ratio);
  /// An entry is looked up once a step: what is guessed is a miss, if it is demanded. Guesses that come true
  /// are admitted as what is read on demand; the others are given up with the step.
  void prefetch();
  void read();
  /// `all` [layer * heads + head]: the residencies of every layer, because a shared cache may evict any.
  void settle(std::span<HeadResidency* const> all);
  /// The sequence that `head` is of is over, and its entries are removed; `forget` follows.
  void drop(std::int64_t head) { layout_.drop(head); }
  /// What the sequence of `child` has so far, that of `parent` has on flash.
  void share(std::int64_t parent, std::int64_t child) { layout_.share(parent, child); }
  /// Entries that stages have removed since `settle` leave cache and flash.
  void forget();
  /// What a stage placed in the first tier comes to be there, and all else that is cached there leaves.
  void move_placed(std::span<HeadResidency* const> all);
  /// Adds the representatives that changed to `writes`, in whole blocks.
  void write_representatives(double dim_ratio);

  std::span<const HeadTraffic> head_traffic() const { return traffic_; }
  /// The tier in which an entry is found, 0 the first; before `read` that of what the step demands.
  std::int32_t tier_of(std::int64_t head, EntryIndex entry) const;
  /// Whether it must be read from flash.
  bool lies_on_flash(std::int64_t head, EntryIndex entry) const;
  /// Read in this step before it was demanded; after `prefetch`.
  bool came_ahead(std::int64_t head, EntryIndex entry) const;
  /// What `head` has read because others refer to it.
  const std::set<EntryIndex>& referred(std::int64_t head) const {
    return referred_[static_cast<std::size_t>(head)];
  }
  /// Appends the records of `entries`, members of `unit`, one extent each.
  void locate(std::int64_t head, UnitId unit, std::span<const EntryIndex> entries,
              std::vector<Extent>& extents) const {
    blame_layout([&] { layout_.locate(head, unit, entries, extents); });
  }
  /// From now on loads for updates are added to `loads`, unless it is null.
  void note_loads(std::vector<UnitLoad>* loads) { loads_ = loads; }
  /// Of the last step, one for each use and direction.
  std::span<const FlashTransfer> flash_transfers() const { return flash_transfers_; }
  std::span<const Extent> extents(Use use, IoKind kind = IoKind::read) const;
  /// Records of all live entries of heads that do not rest and that neither the first tier nor memory below
  /// it has.
  std::vector<Extent> live_on_flash() const;
  /// In the cache at the moment; without a lower tier, all that is not in DRAM on other grounds.
  std::int64_t cached_bytes() const;
  /// Of those, what the layout has not written yet.
  std::int64_t unwritten_cached_bytes() const;
  const Contiguity& contiguity() const { return contiguity_; }
  /// [links] of the memory below the first tier, in the last step.
  std::span<const TierTraffic> tier_traffic() const { return std::as_const(*tiers_).traffic(layer_); }
  /// That the step brings in for attention, wrong guesses included.
  std::int64_t bytes_brought() const;
  /// What the layout did in the last step.
  const LayoutTraffic& layout_traffic() const { return flash_; }
  /// Of entries in DRAM for no other reason than that the layout has not written them yet.
  std::int64_t waiting_bytes() const;
  /// What the layout keeps in DRAM to find records.
  std::int64_t index_bytes() const { return layout_.dram_bytes(); }
  /// Of the layout, and of what is on flash beside it while other layers compute.
  std::int64_t space_bytes() const;
  /// Where the entries' places end, in the region of the sequence that takes most.
  std::int64_t places_end_bytes() const { return layout_.most_space_bytes(); }

  /// Throws InternalError where the layout's places do not fit together; see placement_check.hpp.
  void check_placement() const;

 private:
  template <class Act>
  void blame_layout(Act act) const {
    blaming(
        Layout::kKind, layout_name_, [this] { return fmt::format("layer {}", layer_); }, act);
  }
  void place_on_flash(std::span<const std::vector<CoRetrieval>> co_retrieval);
  void locate_cached(std::int64_t head);
  void swap_cache_in(CacheSwap swap);
  void check_regions() const;
  std::vector<Extent>& moved(Use use, IoKind kind = IoKind::read);
  void place_head(std::int64_t head);
  void displace(std::int64_t head, const Selection& placed);
  void admit(std::int64_t head, UnitId unit, std::span<const EntryIndex> entries);
  void evict_caches(std::span<HeadResidency* const> all);
  void prefetch_head(std::int64_t head);
  void read_head(std::int64_t head);
  void settle_head(std::int64_t head);
  /// Gives up what the step has read, where nothing is cached.
  void drop_uncached(std::int64_t head);
  void update_layout(std::int64_t head);
  void list_unwritten(std::int64_t head);
  void apply_to_cache(std::int64_t head, const Change& change);
  void load_wanted(std::int64_t head);
  /// `missing_` of `unit` comes up from the fastest tier that has it; what flash must give is left in it and
  /// its records are appended.
  void bring_up(std::int64_t head, UnitId unit, TierUse use, std::vector<Extent>& records);
  void note_load(std::int64_t head, UnitId unit) const;
  void count_arrived(std::int64_t head);
  /// What `entries`, which come up, refer to; its records are appended likewise. Each once a step.
  void bring_along(std::int64_t head, std::span<const EntryIndex> entries, TierUse use,
                   std::vector<Extent>& records);
  HeadId id(std::int64_t head) const { return {layer_, head}; }
  const RecordSizes& sizes(std::int64_t head) const {
    return heads_[static_cast<std::size_t>(head)].codec().sizes();
  }
  /// Merges `reads` and appends them to `runs_`.
  void add_runs(std::vector<Extent>& reads);
  CacheObject object(std::int64_t head, UnitId unit) const;
  HeadCache cache_of(std::int64_t head);

  std::int64_t layer_;
  std::span<HeadPolicies> heads_;
  BatchLayout layout_;
  std::string layout_name_;
  std::int64_t entry_bytes_;
  std::int64_t block_bytes_;
  std::vector<Cache*> caches_;
  TierLevels* tiers_;
  std::vector<HeadResidency> residencies_;
  std::vector<HeadRecords> records_;

  std::vector<HeadTraffic> traffic_;
  std::vector<std::vector<std::uint8_t>> unit_hit_;  ///< [heads][demanded units]
  std::vector<EntryIndex> missing_;
  std::vector<EntryIndex> arrived_;
  std::vector<std::vector<EntryIndex>> guessed_;  ///< [heads]: what comes before it is demanded, ascending
  std::vector<EntryIndex> brought_;               ///< by one head for one purpose
  std::vector<UnitLoad>* loads_ = nullptr;
  std::vector<std::set<EntryIndex>> referred_;  ///< [heads]: read in the step because others refer to them
  std::array<FlashTransfer, 7> flash_transfers_ = {{{Use::demand, IoKind::read},
                                                    {Use::prefetch, IoKind::read},
                                                    {Use::update, IoKind::read},
                                                    {Use::update, IoKind::write},
                                                    {Use::representatives, IoKind::read},
                                                    {Use::swap, IoKind::read},
                                                    {Use::placement, IoKind::read}}};
  std::vector<Extent> runs_;               ///< of entries, guessed ones first
  std::vector<std::int64_t> run_entries_;  ///< [runs]
  std::optional<SwapArea> swap_area_;      ///< since the first `swap_in` that asked for it
  Contiguity contiguity_;
  LayoutTraffic flash_;
  std::int64_t written_bytes_ = 0;  ///< since the beginning, without what was written again elsewhere
};

}  // namespace kvr
