#include "sim/engine/heads/head_policies.hpp"

#include <algorithm>
#include <utility>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"

namespace kvr {

HeadPolicies::HeadPolicies(HeadId head, std::vector<MemberHead> members,
                           std::unique_ptr<Clustering> clustering, std::string clustering_name,
                           std::vector<std::unique_ptr<HeadStage>> stages, SetCodec codec)
    : head_(head),
      members_(std::move(members)),
      codec_(std::move(codec)),
      clustering_(std::move(clustering)),
      clustering_name_(std::move(clustering_name)),
      stages_(std::move(stages)),
      queries_(std::ssize(members_), members_.front().group(), members_.front().head_dim()),
      budgets_(stages_.size(), 0),
      acted_(stages_.size(), 0),
      all_(1) {
  for (std::size_t stage = 0; stage < stages_.size(); ++stage) {
    if (runs(stage) && stages_[stage]->config().effect == Effect::select) {
      last_select_ = stage;
      counts_pending_ &= stages_[stage]->config().counts_pending;
    }
    if (runs(stage) && stages_[stage]->config().effect == Effect::prefetch) {
      guess_ = stage;
    }
  }
}

bool HeadPolicies::wants_attention() const {
  return std::ranges::any_of(stages_, [](const auto& stage) { return stage && stage->wants_attention(); });
}

std::int64_t HeadPolicies::occupied_units() const {
  std::int64_t occupied = 0;
  for (UnitId unit = 0; unit < clustering_->unit_count(); ++unit) {
    occupied += clustering_->members(unit).empty() && clustering_->pending(unit).empty() ? 0 : 1;
  }
  return occupied;
}

std::int64_t HeadPolicies::representative_bytes() const {
  if (!there()) {
    return 0;
  }
  std::int64_t bytes = 0;
  for (const auto& stage : stages_) {
    bytes += stage ? stage->summary_bytes() : 0;
  }
  return bytes;
}

std::int64_t HeadPolicies::metadata_bytes() const {
  if (!there()) {
    return 0;
  }
  std::int64_t bytes = codec_.dram_bytes(live_.size());
  blame_clustering([&] { bytes += checked_dram_bytes(clustering_->dram_bytes()); });
  for (const auto& stage : stages_) {
    bytes += stage ? stage->unit_bytes() : 0;
  }
  return bytes;
}

void HeadPolicies::begin(const PromptView& prompt) {
  catch_up();
  visible_ = entries();
  live_ = EntrySet::first(visible_);
  PromptView whole = prompt;
  whole.rows = visible();
  place_keys();
  queries_.begin_with_last(prompt.window_queries);
  begin_account();
  for (const auto& stage : stages_) {
    if (stage) {
      stage->begin(whole, update_work_);
      stage->build(whole.rows, live_, update_work_);
    }
  }
}

void HeadPolicies::catch_up() {
  for (MemberHead& member : members_) {
    member.store().catch_up();
  }
  rows_.catch_up(members_);
}

void HeadPolicies::place_keys() {
  for (MemberHead& member : members_) {
    member.place(live_);
  }
}

void HeadPolicies::build() {
  const HeadView view = visible();
  changes_.clear();
  charge_clustering([&] { clustering_->build(view, live_, changes_, update_work_); });
  for (const auto& stage : stages_) {
    if (stage) {
      stage->follow(changes_, *clustering_, view, update_work_);
    }
  }
  built_ = true;
  observe(changes_, view);
  check_units();
}

void HeadPolicies::check_units() const {
  if (!built_) {
    return;
  }
  blame_clustering([&] {
    partition_.check(*clustering_);
    if (codec_.lossless()) {  // what it promises is of rows as they were handed over
      clustering_->check(rows(entries()));
    }
  });
}

void HeadPolicies::ask(std::span<const HeadQueries> queries) {
  before_current_ = entries();
  visible_ = before_current_;
  queries_.ask(queries);
  for (std::size_t member = 0; member < members_.size(); ++member) {
    members_[member].ask(queries[member].own);
  }
  open_.begin(before_current_, stages_, *clustering_);
}

void HeadPolicies::begin_step(std::span<const HeadQueries> queries, TokenClass token) {
  ask(queries);
  catch_up();
  live_.add(static_cast<EntryIndex>(before_current_));
  resting_ = false;
  reads_in_ = false;
  ++steps_;
  begin_account();
  store(update_work_);
  place_keys();
  for (const auto& stage : stages_) {
    if (stage) {
      stage->token(static_cast<EntryIndex>(before_current_), token);
    }
  }
}

void HeadPolicies::begin_account() {
  changes_.clear();
  removals_.clear();
  std::ranges::fill(acted_, std::uint8_t{0});
  std::ranges::for_each(members_, &MemberHead::begin_step);
  score_work_ = guess_work_ = update_work_ = {};
  times_ = {};
}

void HeadPolicies::choose(std::size_t stage, std::int64_t budget) {
  KVR_CHECK(budget >= 0, "layer {}, head {} is allotted {} entries", head_.layer, head_.head, budget);
  HeadStage& one = *stages_[stage];
  {
    const Stopwatch watch(times_.score_s);
    one.choose(without_pending(budget), units_of(one), open_.of(one));
  }
  note_choice(stage, budget);
}

void HeadPolicies::sketch(std::size_t stage, std::int64_t budget) {
  const Stopwatch watch(times_.score_s);
  HeadStage& one = *stages_[stage];
  one.sketch(budget, units_of(one), open_.of(one));
}

void HeadPolicies::choose_anew(HeadStage& stage, std::int64_t budget) {
  const Stopwatch watch(times_.score_s);
  stage.score(queries_.of(Queries::own), units_of(stage), met(), score_work_);
  stage.choose(without_pending(budget), units_of(stage), open_.of(stage));
}

void HeadPolicies::take(std::size_t stage, const HeadPolicies& from, std::size_t chosen) {
  HeadStage& one = *stages_[stage];
  if (one.config().recheck > 0.0 &&
      queries_.cosine_to(stages_[chosen]->config().queries) < one.config().recheck) {
    choose_anew(*stages_[chosen], budgets_[chosen]);
  }
  const std::vector<Candidates> candidates = open_.of(one);
  one.take(*from.stages_[chosen], &from == this, candidates.size(), [&](std::size_t s, EntryIndex entry) {
    return candidates[candidates.size() == 1 ? 0 : s].contains(entry) && live_.contains(entry) &&
           !open_.is_pending(entry);
  });
  note_choice(stage, from.budgets_[chosen]);
}

void HeadPolicies::note_choice(std::size_t stage, std::int64_t budget) {
  budgets_[stage] = budget;
  if (stage == guess_) {
    sum_up(*stages_[stage], guessed_);
  }
  if (stage == last_select_) {
    allotted_ = budget;
  } else if (stages_[stage]->config().effect == Effect::select) {
    open_.narrow(*stages_[stage]);
  }
}

void HeadPolicies::demand() {
  if (last_select_) {
    sum_up(*stages_[*last_select_], demanded_);
  } else {
    demand_all();
  }
  entries_read_ = codec_.sizes().sum(demanded_.entries) + always_visible();
}

void HeadPolicies::sum_up(const HeadStage& stage, Selection& into) const {
  if (stage.chose_units()) {
    unite(stage.selections(), into);
    return;
  }
  Selection united;
  unite(stage.selections(), united);
  regroup(
      united.entries, [this](EntryIndex entry) { return partition_.unit_of(entry); }, into);
}

/// Without a select stage the step needs all that is live.
void HeadPolicies::demand_all() {
  demanded_.clear();
  for (UnitId unit = 0; unit < clustering_->unit_count(); ++unit) {
    const std::span<const EntryIndex> members = clustering_->members(unit);
    if (!members.empty()) {
      demanded_.append(unit, members);
    }
  }
  all_.front() = demanded_;
  allotted_ = live_.count_in({range().begin, range().end});
}

std::span<const Selection> HeadPolicies::selections() const {
  return last_select_ && !reads_in_ ? stages_[*last_select_]->selections() : std::span(all_);
}

RecordSum HeadPolicies::always_visible() const {
  if (!there()) {
    return {};
  }
  const RecordSizes& sizes = codec_.sizes();
  const auto current = static_cast<EntryIndex>(before_current_);
  RecordSum visible = sizes.sum(live_, {0, range().begin}) + sizes.sum(live_, {range().end, current});
  if (before_current_ >= entries()) {
    visible += sizes.sum_to_come();
  } else if (live_.contains(current)) {
    visible += sizes.sum(current);
  }
  std::vector<EntryIndex> pending = open_.all_pending();
  std::erase_if(pending, [this](EntryIndex entry) { return !live_.contains(entry); });
  return visible + sizes.sum(pending);
}

void HeadPolicies::follow(const ResidentUnits& resident) {
  const HeadView view = rows(before_current_ + 1);
  const auto current = static_cast<EntryIndex>(before_current_);
  changes_.clear();
  {
    const Stopwatch watch(times_.update_s);
    loaded_.clear();
    for (const UnitChoice& choice : demanded_.units) {
      if (resident.resident(choice.unit)) {
        loaded_.push_back(choice.unit);
      }
    }
    charge_clustering([&] {
      clustering_->loaded(loaded_, view, changes_, update_work_);
      clustering_->append(current, view, resident, changes_, update_work_);
    });
    tell_scorers(changes_, view);
    for (const auto& stage : stages_) {
      if (stage) {
        stage->append(current, view, update_work_);
      }
    }
  }
  observe(changes_, view);
}

void HeadPolicies::follow_loads(std::span<const UnitId> units) {
  const HeadView view = rows(before_current_ + 1);
  ChangeList more;
  {
    const Stopwatch watch(times_.update_s);
    charge_clustering([&] { clustering_->loaded(units, view, more, update_work_); });
    tell_scorers(more, view);
  }
  blame_clustering([&] {
    for (const Change& change : more) {
      KVR_CHECK(change.kind != ChangeKind::wants_load, "unit {} asks for a load within one", change.unit);
    }
  });
  observe(more, view);
  changes_.insert(changes_.end(), more.begin(), more.end());
}

void HeadPolicies::tell_scorers(std::span<const Change> changes, const HeadView& view) {
  for (const auto& stage : stages_) {
    if (stage) {
      stage->follow(changes, *clustering_, view, update_work_);
    }
  }
}

void HeadPolicies::observe(std::span<const Change> changes, const HeadView& view) {
  blame_clustering([&] {
    partition_.follow(changes, *clustering_);
    partition_.expect(live_.size());
  });
  variance_.follow(changes, *clustering_, view);
}

void HeadPolicies::evict(std::size_t stage, std::int64_t budget) {
  KVR_CHECK(budget >= 0, "layer {}, head {} is allotted {} entries", head_.layer, head_.head, budget);
  HeadStage& one = *stages_[stage];
  acted_[stage] = 1;
  const Candidates candidates{one.range(visible_)};
  {
    const Stopwatch watch(times_.score_s);
    one.choose(budget, units_of(one), {&candidates, 1});
  }
  remove(left_over(one));
}

/// Live entries that the stage may remove and did not choose.
std::vector<EntryIndex> HeadPolicies::left_over(const HeadStage& stage) const {
  std::vector<std::uint8_t> kept(static_cast<std::size_t>(visible_), 0);
  const auto keep = [&kept](EntryIndex entry) { kept[static_cast<std::size_t>(entry)] = 1; };
  for (const Selection& selection : stage.selections()) {
    std::ranges::for_each(selection.entries, keep);
  }
  if (!stage.ranks_tokens()) {
    for (UnitId unit = 0; unit < clustering_->unit_count(); ++unit) {
      std::ranges::for_each(clustering_->pending(unit), keep);
    }
  }
  const CandidateRange range = stage.range(visible_);
  std::vector<EntryIndex> left;
  live_.for_each([&](EntryIndex entry) {
    if (range.contains(entry) && kept[static_cast<std::size_t>(entry)] == 0) {
      left.push_back(entry);
    }
  });
  return left;
}

void HeadPolicies::remove(std::span<const EntryIndex> entries) {
  if (entries.empty()) {
    return;
  }
  for (const EntryIndex entry : entries) {
    live_.remove(entry);
  }
  place_keys();
  const HeadView view = visible();
  const Stopwatch watch(times_.update_s);
  for (const auto& stage : stages_) {
    if (stage) {
      stage->remove(entries, view, update_work_);
    }
  }
  if (built_) {
    ChangeList changes;
    charge_clustering([&] { clustering_->remove(entries, view, changes, update_work_); });
    tell_scorers(changes, view);
    observe(changes, view);
    removals_.insert(removals_.end(), changes.begin(), changes.end());
  }
}

}  // namespace kvr
