#include "sim/engine/heads/head_policies.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/kernels/attention.hpp"

namespace kvr {
namespace {

/// Adds the time until its end of life to a total.
class Stopwatch {
 public:
  explicit Stopwatch(double& total_s) : total_s_(&total_s), begin_(std::chrono::steady_clock::now()) {}
  ~Stopwatch() {
    *total_s_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double* total_s_;
  std::chrono::steady_clock::time_point begin_;
};

double relative_distance(std::span<const float> a, std::span<const float> truth) {
  double difference = 0.0;
  double norm = 0.0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const double delta = static_cast<double>(a[i]) - static_cast<double>(truth[i]);
    difference += delta * delta;
    norm += static_cast<double>(truth[i]) * static_cast<double>(truth[i]);
  }
  return norm > 0.0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

double sum_over(std::span<const float> probabilities, std::span<const EntryIndex> entries) {
  double sum = 0.0;
  for (const EntryIndex entry : entries) {
    sum += static_cast<double>(probabilities[static_cast<std::size_t>(entry)]);
  }
  return sum;
}

}  // namespace

SelectRules select_rules_of(const StageConfig& stage) {
  return {fold_of(stage.fold), norm_of(stage.norm), last_unit_of(stage.last_unit), stage.sinks, stage.recent};
}

KernelTimes& KernelTimes::operator+=(const KernelTimes& other) {
  score_s += other.score_s;
  update_s += other.update_s;
  attention_s += other.attention_s;
  truth_s += other.truth_s;
  return *this;
}

HeadPolicies::HeadPolicies(HeadId head, std::int64_t group, double attention_scale, HeadStore store,
                           std::unique_ptr<Clustering> clustering, std::unique_ptr<Scorer> scorer,
                           const SelectRules& rules)
    : head_(head),
      group_(group),
      head_dim_(store.head_dim()),
      attention_scale_(static_cast<float>(attention_scale)),
      store_(std::move(store)),
      clustering_(std::move(clustering)),
      scorer_(std::move(scorer)),
      rules_(rules),
      queries_(static_cast<std::size_t>(group * head_dim_)),
      selections_(static_cast<std::size_t>(rules.fold == Fold::none ? group : 1)),
      selected_out_(queries_.size()) {}

void HeadPolicies::build() {
  store_.catch_up();
  const HeadView view = store_.view(store_.entries());
  changes_.clear();
  Work prefill;
  clustering_->build(view, changes_, prefill);
  scorer_->update(changes_, *clustering_, view, prefill);
  observe(changes_, view);
  check_units();
}

void HeadPolicies::check_units() const {
  partition_.check(*clustering_);
  clustering_->check(store_.view(store_.entries()));
}

void HeadPolicies::ask(std::span<const Half> queries) {
  before_current_ = store_.entries();
  to_float(queries, queries_);
  range_ = candidate_range(before_current_, rules_.sinks, rules_.recent);
}

void HeadPolicies::begin_step(std::span<const Half> queries) {
  ask(queries);
  store_.catch_up();
  quality_ = {};
  score_work_ = {};
  update_work_ = {};
  times_ = {};
}

void HeadPolicies::score() {
  const std::int64_t units = clustering_->unit_count();
  scores_.resize(static_cast<std::size_t>(group_ * units));
  const auto scores = matrix_ref(scores_.data(), group_, units);
  {
    const Stopwatch watch(times_.score_s);
    scorer_->score(matrix_view(queries_.data(), group_, head_dim_), *clustering_,
                   store_.view(before_current_), scores, score_work_);
    fold_scores(scores, rules_.norm, rules_.fold, folded_);
  }
  pending_.clear();
  sizes_.resize(static_cast<std::size_t>(units));
  for (UnitId unit = 0; unit < units; ++unit) {
    sizes_[static_cast<std::size_t>(unit)] = static_cast<std::int32_t>(clustering_->members(unit).size());
    const auto pending = clustering_->pending(unit);
    pending_.insert(pending_.end(), pending.begin(), pending.end());
  }
  if (rules_.fold == Fold::none) {
    fold_scores(scores, Norm::none, Fold::mean, budget_scores_);
  }
}

std::int64_t HeadPolicies::pending_candidates() const {
  return std::count_if(pending_.begin(), pending_.end(), [this](EntryIndex e) { return range_.contains(e); });
}

HeadCandidates HeadPolicies::candidates() const {
  const auto& scores = rules_.fold == Fold::none ? budget_scores_ : folded_;
  return {head_.layer, head_.head, before_current_ + 1, range_.size() - pending_candidates(), scores, sizes_};
}

void HeadPolicies::select(std::int64_t budget) {
  KVR_CHECK(budget >= 0, "layer {}, head {} is allotted {} entries", head_.layer, head_.head, budget);
  // Entries that a clustering keeps visible on its own account are part of what it may select.
  const std::int64_t to_select = std::max<std::int64_t>(0, budget - pending_candidates());
  const std::size_t units = sizes_.size();
  for (std::size_t s = 0; s < selections_.size(); ++s) {
    const Stopwatch watch(times_.score_s);
    select_units(std::span(folded_).subspan(s * units, units), *clustering_, range_, to_select,
                 rules_.last_unit, selections_[s]);
  }
  unite(selections_, demanded_);
}

void HeadPolicies::judge(std::int64_t budget, HeadTruth& truth) {
  {
    const Stopwatch watch(times_.truth_s);
    truth.find();
  }
  for (std::int64_t g = 0; g < group_; ++g) {
    const std::size_t s = selections_.size() == 1 ? 0 : static_cast<std::size_t>(g);
    if (g == 0 || s > 0) {
      collect_attended(selections_[s]);
      mark_attended();
      attend_selected(g, selections_.size() == 1 ? group_ : 1);
    }
    judge_query(selections_[s], g, budget, truth);
  }
}

void HeadPolicies::collect_attended(const Selection& selection) {
  attended_.clear();
  for (EntryIndex e = 0; e < range_.begin; ++e) {
    attended_.push_back(e);
  }
  attended_.insert(attended_.end(), selection.entries.begin(), selection.entries.end());
  std::copy_if(pending_.begin(), pending_.end(), std::back_inserter(attended_),
               [this](EntryIndex e) { return range_.contains(e); });
  for (EntryIndex e = range_.end; e <= static_cast<EntryIndex>(before_current_); ++e) {
    attended_.push_back(e);
  }
}

void HeadPolicies::mark_attended() {
  marked_.assign(static_cast<std::size_t>(before_current_ + 1), 0);
  for (const EntryIndex entry : attended_) {
    std::uint8_t& mark = marked_[static_cast<std::size_t>(entry)];
    KVR_CHECK(mark == 0, "layer {}, head {}: entry {} is attended to twice", head_.layer, head_.head, entry);
    mark = 1;
  }
}

void HeadPolicies::attend_selected(std::int64_t first_query, std::int64_t queries) {
  const Stopwatch watch(times_.attention_s);
  const HeadView view = store_.view(before_current_ + 1);
  const std::int64_t at = first_query * head_dim_;
  std::vector<kernels::AttentionResult> normalisers(static_cast<std::size_t>(queries));
  kernels::attend_selected(matrix_view(queries_.data() + at, queries, head_dim_), view.keys, view.values,
                           attended_, attention_scale_,
                           matrix_ref(selected_out_.data() + at, queries, head_dim_), normalisers);
}

void HeadPolicies::judge_query(const Selection& selection, std::int64_t query, std::int64_t budget,
                               HeadTruth& truth) {
  const auto d = static_cast<std::size_t>(head_dim_);
  const std::span<const float> out = std::span(selected_out_).subspan(static_cast<std::size_t>(query) * d, d);
  const std::span<const float> probabilities = truth.probabilities(query);
  // The best choice open to a policy takes the pending entries even where they alone exceed the budget.
  const std::int64_t pending = pending_candidates();
  const std::span<const EntryIndex> open =
      truth.best(query, range_, std::min(std::max(budget, pending), range_.size()));
  const auto best = open.first(static_cast<std::size_t>(std::min(budget, std::ssize(open))));
  const double best_mass = sum_over(probabilities, open) + pinned_mass(probabilities);
  const double mass = sum_over(probabilities, attended_);
  const double share = 1.0 / static_cast<double>(group_);
  quality_.recall += share * recall_of(best, probabilities);
  quality_.mass += share * mass;
  quality_.relative_mass += best_mass > 0.0 ? share * mass / best_mass : share;
  quality_.output_error += share * relative_distance(out, truth.out(query));
  quality_.selected += share * static_cast<double>(std::ssize(selection.entries) + pending);
  quality_.attended += share * static_cast<double>(attended_.size());
}

double HeadPolicies::pinned_mass(std::span<const float> probabilities) const {
  const double sinks = std::accumulate(probabilities.begin(), probabilities.begin() + range_.begin, 0.0);
  return std::accumulate(probabilities.begin() + range_.end, probabilities.end(), sinks);
}

double HeadPolicies::recall_of(std::span<const EntryIndex> best, std::span<const float> probabilities) const {
  if (best.empty()) {
    return 1.0;
  }
  const auto weight = [&](EntryIndex e) { return probabilities[static_cast<std::size_t>(e)]; };
  const float least = weight(best.back());
  const auto better =
      std::count_if(best.begin(), best.end(), [&](EntryIndex e) { return weight(e) > least; });
  std::int64_t found_better = 0;
  std::int64_t found_least = 0;
  for (const EntryIndex e : attended_) {
    if (range_.contains(e)) {
      found_better += weight(e) > least ? 1 : 0;
      found_least += weight(e) == least ? 1 : 0;
    }
  }
  const std::int64_t found = found_better + std::min<std::int64_t>(found_least, std::ssize(best) - better);
  return static_cast<double>(found) / static_cast<double>(best.size());
}

void HeadPolicies::follow(const ResidentUnits& resident) {
  const HeadView view = store_.view(before_current_ + 1);
  changes_.clear();
  {
    const Stopwatch watch(times_.update_s);
    loaded_.clear();
    for (const UnitChoice& choice : demanded_.units) {
      if (resident.resident(choice.unit)) {
        loaded_.push_back(choice.unit);
      }
    }
    clustering_->loaded(loaded_, view, changes_, update_work_);
    clustering_->append(static_cast<EntryIndex>(before_current_), view, resident, changes_, update_work_);
    scorer_->update(changes_, *clustering_, view, update_work_);
  }
  observe(changes_, view);
}

void HeadPolicies::follow_loads(std::span<const UnitId> units) {
  const HeadView view = store_.view(before_current_ + 1);
  ChangeList more;
  {
    const Stopwatch watch(times_.update_s);
    clustering_->loaded(units, view, more, update_work_);
    scorer_->update(more, *clustering_, view, update_work_);
  }
  for (const Change& change : more) {
    KVR_CHECK(change.kind != ChangeKind::wants_load, "layer {}, head {}: unit {} asks for a load within one",
              head_.layer, head_.head, change.unit);
  }
  observe(more, view);
  changes_.insert(changes_.end(), more.begin(), more.end());
}

void HeadPolicies::observe(std::span<const Change> changes, const HeadView& view) {
  partition_.follow(changes, *clustering_);
  partition_.expect(store_.entries());
  variance_.follow(changes, *clustering_, view);
}

}  // namespace kvr
