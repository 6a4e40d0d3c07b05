// What a set's heads attend to, and what that comes to.
#include <algorithm>
#include <vector>

#include "sim/engine/heads/head_policies.hpp"

namespace kvr {

void HeadPolicies::attend(std::span<HeadTruth* const> truths) {
  for (HeadTruth* const truth : truths) {
    const Stopwatch watch(times_.truth_s);
    truth->find();
  }
  for (std::size_t member = 0; member < members_.size(); ++member) {
    attend(member, truths.empty() ? nullptr : truths[member]);
  }
}

void HeadPolicies::attend(std::size_t member, HeadTruth* truth) {
  const auto chosen = selections();
  MemberHead& head = members_[member];
  for (std::int64_t g = 0; g < head.group(); ++g) {
    const std::size_t query = member * static_cast<std::size_t>(head.group()) + static_cast<std::size_t>(g);
    const std::size_t selection = chosen.size() == 1 ? 0 : query;
    if (g == 0 || chosen.size() > 1) {
      const std::int64_t queries = chosen.size() == 1 ? head.group() : 1;
      attend_to(chosen[selection], head, g, queries);
      estimate(selection, member, g, queries);
      tell_attention(member, g, queries);
    }
    if (truth != nullptr) {
      judge(selection, head, g, *truth);
    }
  }
}

/// Consecutive query heads share the selection.
void HeadPolicies::attend_to(const Selection& selection, MemberHead& member, std::int64_t first_query,
                             std::int64_t queries) {
  const std::vector<EntryIndex> entries = open_.attended(selection, live_);
  if (member.moves_keys()) {
    score_work_ += rotation_work(std::ssize(entries), member.head_dim());
  }
  const Stopwatch watch(times_.attention_s);
  blame_clustering([&] {  // whose units overlap where an entry is there twice
    member.attend(first_query, queries, before_current_ + 1, entries);
  });
}

std::int64_t HeadPolicies::estimated(std::size_t selection) const {
  std::int64_t entries = 0;
  for (const SketchedUnit& one : sketched(selection)) {
    entries += one.entries;
  }
  return entries;
}

void HeadPolicies::estimate(std::size_t selection, std::size_t member, std::int64_t first_query,
                            std::int64_t queries) {
  if (!last_select_ || sketched(selection).empty()) {
    return;
  }
  MemberHead& head = members_[member];
  const MatrixView<float> all = queries_.of(Queries::own);
  const std::int64_t first = static_cast<std::int64_t>(member) * head.group() + first_query;
  std::vector<float> values(static_cast<std::size_t>(queries * all.cols));
  std::vector<PartialSoftmax> normalisers(static_cast<std::size_t>(queries));
  const auto out = matrix_ref(values.data(), queries, all.cols);
  stages_[*last_select_]->estimate(all.slice(first, queries), selection, out, normalisers, score_work_);
  const auto d = static_cast<std::size_t>(head.head_dim());
  for (std::int64_t query = 0; query < queries; ++query) {
    head.merge(first_query + query, out.view().row(query).subspan(member * d, d),
               normalisers[static_cast<std::size_t>(query)]);
  }
}

void HeadPolicies::tell_attention(std::size_t member, std::int64_t first_query, std::int64_t queries) {
  if (!wants_attention()) {
    return;
  }
  MemberHead& head = members_[member];
  const std::int64_t first_of_member = static_cast<std::int64_t>(member) * head.group();
  for (std::int64_t query = first_query; query < first_query + queries; ++query) {
    const std::span<const float> weights = head.weights(query, before_current_ + 1);
    for (const auto& stage : stages_) {
      if (stage && stage->wants_attention()) {
        stage->attended(first_of_member + query, head.attention().entries(), weights, update_work_);
      }
    }
  }
}

Attended HeadPolicies::attended_to(std::size_t selection, const MemberHead& member,
                                   std::span<const EntryIndex> pending) const {
  return {.entries = member.attention().entries(),
          .marked = member.attention().marked(),
          .chosen = std::ssize(selections()[selection].entries) + (counts_pending_ ? std::ssize(pending) : 0),
          .estimated = estimated(selection),
          .out = {},
          .live = live_,
          .range = range(),
          .budget = allotted_,
          .pending = counts_pending_ ? std::ssize(pending) : 0,
          .free = counts_pending_ ? std::span<const EntryIndex>() : pending,
          .span = recorded_};
}

void HeadPolicies::judge(std::size_t selection, MemberHead& member, std::int64_t query, HeadTruth& truth) {
  const std::vector<EntryIndex> pending = open_.all_pending();
  Attended attended = attended_to(selection, member, pending);
  attended.out = member.attention().out(query);
  member.judge(attended, query, truth);
}

std::vector<EntryIndex> HeadPolicies::pinned() const {
  std::vector<EntryIndex> entries;
  live_.for_each([&](EntryIndex entry) {
    if (!range().contains(entry) && entry <= before_current_) {
      entries.push_back(entry);
    }
  });
  return entries;
}

std::vector<EntryIndex> HeadPolicies::missed(std::size_t member, std::int64_t query, HeadTruth& truth) const {
  const auto chosen = selections();
  const MemberHead& head = members_[member];
  const std::size_t of_set =
      member * static_cast<std::size_t>(head.group()) + static_cast<std::size_t>(query);
  const std::size_t selection = chosen.size() == 1 ? 0 : of_set;
  const std::vector<EntryIndex> pending = open_.all_pending();
  std::vector<EntryIndex> attended = open_.attended(chosen[selection], live_);
  std::ranges::sort(attended);
  std::vector<EntryIndex> missed = best_open(attended_to(selection, head, pending), query, truth);
  std::erase_if(missed, [&](EntryIndex entry) { return std::ranges::binary_search(attended, entry); });
  return missed;
}

}  // namespace kvr
