#include "sim/engine/heads/choosing/open_entries.hpp"

#include <algorithm>
#include <iterator>
#include <ranges>

namespace kvr {

void OpenEntries::begin(std::int64_t entries, std::span<const std::unique_ptr<HeadStage>> stages,
                        const Clustering& clustering) {
  entries_ = entries;
  range_ = range_of(entries, stages);
  pending_.clear();
  for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
    const auto pending = clustering.pending(unit);
    pending_.insert(pending_.end(), pending.begin(), pending.end());
  }
  settled_.assign(pending_.empty() ? 0 : static_cast<std::size_t>(entries), 1);
  for (const EntryIndex entry : pending_) {
    settled_[static_cast<std::size_t>(entry)] = 0;
  }
  chosen_.clear();
}

CandidateRange OpenEntries::range_of(std::int64_t entries,
                                     std::span<const std::unique_ptr<HeadStage>> stages) {
  CandidateRange range{0, static_cast<EntryIndex>(entries)};
  for (const auto& stage : stages) {
    if (stage && stage->config().effect == Effect::select) {
      const CandidateRange own = stage->range(entries);
      range.begin = std::max(range.begin, own.begin);
      range.end = std::max(range.begin, std::min(range.end, own.end));
    }
  }
  return range;
}

std::int64_t OpenEntries::pending() const {
  return std::ranges::count_if(pending_, [this](EntryIndex entry) { return range_.contains(entry); });
}

std::vector<EntryIndex> OpenEntries::all_pending() const {
  std::vector<EntryIndex> entries;
  std::ranges::copy_if(pending_, std::back_inserter(entries),
                       [this](EntryIndex entry) { return range_.contains(entry); });
  std::ranges::sort(entries);
  return entries;
}

bool OpenEntries::is_pending(EntryIndex entry) const {
  return std::ranges::find(pending_, entry) != pending_.end();
}

bool OpenEntries::narrowed_for(const HeadStage& stage) const {
  return stage.config().effect == Effect::select && !chosen_.empty();
}

std::vector<Candidates> OpenEntries::of(const HeadStage& stage) const {
  const bool narrowed = narrowed_for(stage);
  std::vector<Candidates> candidates(narrowed ? chosen_.size() : 1, Candidates{range_});
  for (Candidates& one : candidates) {
    if (narrowed) {
      one.within = chosen_[static_cast<std::size_t>(&one - candidates.data())];
    } else if (stage.ranks_tokens() && pending() > 0) {  // the clustering's units do not have those
      one.within = settled_;
    }
  }
  return candidates;
}

std::int64_t OpenEntries::count(const HeadStage& stage, const EntrySet& live) const {
  if (narrowed_for(stage)) {
    const auto count = [](const auto& chosen) { return std::ranges::count(chosen, 1); };
    return std::ranges::max(chosen_ | std::views::transform(count));
  }
  return live.count_in({range_.begin, range_.end}) - pending();
}

void OpenEntries::narrow(const HeadStage& stage) {
  chosen_.assign(stage.selections().size(), {});
  for (std::size_t s = 0; s < chosen_.size(); ++s) {
    chosen_[s].assign(static_cast<std::size_t>(entries_), 0);
    for (const EntryIndex entry : stage.selections()[s].entries) {
      chosen_[s][static_cast<std::size_t>(entry)] = 1;
    }
  }
}

std::vector<EntryIndex> OpenEntries::attended(const Selection& selection, const EntrySet& live) const {
  std::vector<EntryIndex> entries;
  const auto add_live = [&](EntryIndex begin, EntryIndex end) {
    for (const EntrySet::Interval& one : live.intervals()) {
      for (EntryIndex e = std::max(begin, one.begin); e < std::min(end, one.end); ++e) {
        entries.push_back(e);
      }
    }
  };
  add_live(0, range_.begin);
  entries.insert(entries.end(), selection.entries.begin(), selection.entries.end());
  std::ranges::copy_if(pending_, std::back_inserter(entries),
                       [this](EntryIndex entry) { return range_.contains(entry); });
  add_live(range_.end, static_cast<EntryIndex>(entries_ + 1));
  return entries;
}

}  // namespace kvr
