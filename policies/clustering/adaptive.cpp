// Clusters whose variance is bounded, and that are divided without being read for it:
//
//   build:   units = k-means(prompt keys); n, r, s2 of each: number, mean, mean squared distance to the mean
//            tau = multiple * (matched variance | mean of the s2 | a quantile of them)
//            a unit that exceeds tau already is flagged
//   append x, after `loaded`:
//     j = unit of nearest r
//     s2 of j with x <= tau, from n, r, s2 and x alone:  x joins j
//     j in DRAM:                                         x joins j, divide j
//     else:                                              x waits in j, which flags it
//                                                        buffer_entries wait: load the unit where most do
//   loaded j: flagged -> divide j
//   remove x: x leaves its unit; n, r and s2 anew from the members that are left
//   divide:   members and waiting ones by 2-means; the larger half stays j, the other becomes a unit;
//             a half that still exceeds tau, which is in DRAM, is divided again
//
//   matched variance, from the prompt alone: k-means of its first quarter; append the rest, all units in
//     DRAM, with a threshold x; the x, found by halving an interval below the variance of all the prompt's
//     keys, with which there are in the end as many units as one for each entries_per_unit entries of the
//     prompt, or nearly so. The median of the s2 for a prompt of fewer than four such units.
//
//   trigger size: "s2 <= tau" reads "no more than max_entries members" throughout.
//
// A unit is flagged while something waits in it or its variance exceeds tau. Keys that wait have no part in
// n, r and s2. So the variance of a unit that is not flagged is at most tau, up to the rounding of the
// running update (double precision, some 1e-13 of it). Equal keys have variance 0 exactly, because sums of
// fp16 numbers are exact in double, and are never divided.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <initializer_list>
#include <iterator>
#include <limits>

#include "policies/clustering/prompt_kmeans.hpp"
#include "sim/base/indexed.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/clustering.hpp"
#include "sim/kernels/running_variance.hpp"

namespace kvr {
namespace {

/// Linear interpolation between the sorted values; `values` not empty.
double quantile_of(std::vector<double> values, double quantile) {
  std::ranges::sort(values);
  const double at = quantile * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

double mean_of(const std::vector<double>& values) {
  double sum = 0.0;
  for (const double value : values) {
    sum += value;
  }
  return sum / static_cast<double>(values.size());
}

class Adaptive final : public Clustering {
 public:
  static constexpr std::string_view kName = "adaptive";
  static constexpr std::string_view kDoc =
      "Clusters the prompt's keys; a later key joins the nearest cluster unless its variance would exceed "
      "the "
      "head's threshold: then the cluster is split, at once if it is in DRAM, else when it is next loaded. "
      "Ours where the paper is silent: threshold, number of clusters, 2-means, the larger half keeps its "
      "place, halves above the threshold are split again, the buffer is each head's own, a size as trigger.";
  static constexpr std::string_view kSource = "DynaKV, arXiv 2511.07427, sec. 4 (technique 1)";

  struct Params {
    PromptKMeans prompt;
    std::string trigger = "variance";
    std::int64_t max_entries = 0;
    std::string threshold = "matched";
    std::int64_t entries_per_unit = 0;
    double quantile = 0.9;
    double multiple = 1.0;
    std::string split = "delayed";
    std::int64_t buffer_entries = 16;
    std::int64_t split_iterations = 10;
  };
  static ParamTable<Params> params();
  static std::vector<IdleParam> idle(const Params& params);
  static std::vector<FigureInfo> figures();

  Adaptive(Params params, const Context& context) : params_(std::move(params)), context_(context) {}

  void build(const HeadView& prompt, const EntrySet& live, ChangeList& changes, Work& work) override {
    const std::vector<EntryIndex> entries = listed(live);
    cluster(entries, prompt, "clustering.kmeans", work);
    for (UnitId unit = 0; unit < unit_count(); ++unit) {
      changes.push_back({.kind = ChangeKind::created, .unit = unit});
    }
    threshold_ = params_.multiple * variance_rule(entries, prompt, work);
    entries_ = prompt.entries();
  }

  void append(EntryIndex entry, const HeadView& view, const ResidentUnits& resident, ChangeList& changes,
              Work& work) override {
    KVR_CHECK(entry == entries_, "entry {} follows {} entries", entry, entries_);
    ++entries_;
    add(entry, view, resident, changes, work);
  }

  void remove(std::span<const EntryIndex> entries, const HeadView& view, ChangeList& changes,
              Work& work) override {
    for (UnitId unit = 0; unit < unit_count(); ++unit) {
      const std::size_t before = changes.size();
      report_removed(entries, unit, members(unit), changes);
      if (changes.size() > before) {
        take_out(entries, units_[unit].members);
        measure(unit, view, work);
      }
      const std::size_t pending_before = changes.size();
      report_removed(entries, unit, pending(unit), changes);
      take_out(entries, units_[unit].pending);
      waiting_ -= static_cast<std::int64_t>(changes.size() - pending_before);
      held_ -= static_cast<std::int64_t>(changes.size() - before);
    }
  }

  void loaded(std::span<const UnitId> units, const HeadView& view, ChangeList& changes, Work& work) override {
    for (const UnitId unit : units) {
      if (flagged(unit)) {
        divide(unit, view, changes, work);
      }
    }
  }

  std::int64_t unit_count() const override { return units_.size(); }
  std::span<const EntryIndex> members(UnitId unit) const override { return units_[unit].members; }
  std::span<const EntryIndex> pending(UnitId unit) const override { return units_[unit].pending; }
  /// A list of entries for each unit; its number, variance and mean, in float32: a mean in fp16 would not
  /// move any more when a large unit grows.
  std::int64_t dram_bytes() const override {
    return held_ * static_cast<std::int64_t>(sizeof(EntryIndex)) +
           unit_count() * (4 + 4 + 4 * context_.head_dim);
  }
  /// Where nothing is flagged the variance, computed anew, is within the threshold, or the size within its
  /// own; what waits is counted right and less than what asks for a load.
  void check(const HeadView& view) const override {
    std::int64_t held = 0;
    std::int64_t waiting = 0;
    for (UnitId unit = 0; unit < unit_count(); ++unit) {
      held += std::ssize(members(unit)) + std::ssize(pending(unit));
      waiting += std::ssize(pending(unit));
      if (params_.split != "off" && !flagged(unit)) {
        check_bound(unit, view);
      }
    }
    KVR_CHECK(held == held_, "units hold {} entries of {}", held, held_);
    const std::int64_t most =
        params_.split == "delayed" ? std::max<std::int64_t>(params_.buffer_entries, 1) : 1;
    KVR_CHECK(waiting == waiting_ && waiting < most, "{} entries wait, {} were counted, {} ask for a load",
              waiting, waiting_, most);
  }

  void report(Report& report) const override {
    report.add("splits", static_cast<double>(splits_));
    report.add("loads_asked", static_cast<double>(loads_asked_));
    report.add("waiting", static_cast<double>(waiting_));
    report.add("flagged", static_cast<double>(flagged_units()));
    if (params_.split != "off" && !by_size()) {
      report.add("threshold", threshold_);
    }
  }

 private:
  /// Between the running variance and one computed anew, relative: far above what was seen, far below what
  /// matters.
  static constexpr double kRounding = 1e-9;
  static constexpr double kMedian = 0.5;
  /// How far below the variance of all keys the matched one is looked for, and how often: 2^(10/4096) is left
  /// open.
  static constexpr double kOctaves = 10.0;
  static constexpr int kTrials = 12;

  struct Unit {
    explicit Unit(std::int64_t head_dim) : statistics(head_dim) {}

    kernels::RunningCluster statistics;  ///< of the members, without what is pending
    std::vector<EntryIndex> members;
    std::vector<EntryIndex> pending;
  };

  /// A new entry, of this clustering or of one that is only tried.
  void add(EntryIndex entry, const HeadView& view, const ResidentUnits& resident, ChangeList& changes,
           Work& work) {
    ++held_;
    const std::vector<float> key = keys_of(std::span(&entry, 1), view);
    const UnitId unit = kernels::nearest_centroid(key, centroids());
    work += nearest_work(unit_count(), context_.head_dim, kernels::Metric::kL2) + update_work();
    const bool fits = params_.split == "off" || has_room(unit, key);
    if (!fits && !resident.resident(unit)) {
      wait(entry, unit, changes);
      return;
    }
    units_[unit].members.push_back(entry);
    changes.push_back({.kind = ChangeKind::appended, .unit = unit, .entry = entry});
    if (fits) {
      units_[unit].statistics.add(key);
      units_[unit].statistics.copy_centroid(centroid(unit));
    } else {
      divide(unit, view, changes, work);
    }
  }

  MatrixView<float> centroids() const {
    return matrix_view<float>(centroids_.data(), unit_count(), context_.head_dim);
  }
  std::span<float> centroid(UnitId unit) {
    return matrix_ref(centroids_.data(), unit_count(), context_.head_dim).row(unit);
  }

  bool by_size() const { return params_.trigger == "size"; }
  std::int64_t max_entries() const {
    return params_.max_entries > 0 ? params_.max_entries : 2 * params_.prompt.entries_per_cluster;
  }
  std::int64_t entries_per_unit() const {
    return params_.entries_per_unit > 0 ? params_.entries_per_unit : params_.prompt.entries_per_cluster;
  }

  /// Whether `key` may join the unit, as far as its members go.
  bool has_room(UnitId unit, std::span<const float> key) const {
    return by_size() ? std::ssize(members(unit)) < max_entries()
                     : units_[unit].statistics.variance_with(key) <= threshold_;
  }
  bool exceeds(UnitId unit) const {
    return by_size() ? std::ssize(members(unit)) > max_entries()
                     : units_[unit].statistics.variance() > threshold_;
  }
  bool flagged(UnitId unit) const {
    return params_.split != "off" && (!units_[unit].pending.empty() || exceeds(unit));
  }

  std::int64_t flagged_units() const {
    std::int64_t count = 0;
    for (UnitId unit = 0; unit < unit_count(); ++unit) {
      count += flagged(unit) ? 1 : 0;
    }
    return count;
  }

  void check_bound(UnitId unit, const HeadView& view) const {
    if (by_size()) {
      KVR_CHECK(std::ssize(members(unit)) <= max_entries(), "unit {} has {} members, {} are allowed", unit,
                members(unit).size(), max_entries());
      return;
    }
    const double variance = variance_of(members(unit), view);
    KVR_CHECK(variance <= threshold_ * (1.0 + kRounding), "unit {} has variance {}, the threshold is {}",
              unit, variance, threshold_);
  }

  double variance_of(std::span<const EntryIndex> entries, const HeadView& view) const {
    const std::vector<float> keys = keys_of(entries, view);
    return kernels::RunningCluster::of(
               matrix_view<float>(keys.data(), std::ssize(entries), context_.head_dim))
        .variance();
  }

  /// Begins with the units of k-means.
  void cluster(std::span<const EntryIndex> entries, const HeadView& prompt, std::string_view random_stream,
               Work& work) {
    const auto result =
        params_.prompt.run(entries, prompt, kernels::Metric::kL2, context_, work, random_stream);
    held_ = std::ssize(entries);
    units_.assign(params_.prompt.clusters_for(held_), Unit(context_.head_dim));
    for (std::size_t i = 0; i < entries.size(); ++i) {
      units_[result.assignment[i]].members.push_back(entries[i]);
    }
    centroids_.resize(static_cast<std::size_t>(unit_count() * context_.head_dim));
    for (UnitId unit = 0; unit < unit_count(); ++unit) {
      measure(unit, prompt, work);
    }
  }

  std::vector<double> variances() const {
    std::vector<double> variances;
    std::ranges::transform(units_, std::back_inserter(variances),
                           [](const Unit& unit) { return unit.statistics.variance(); });
    return variances;
  }

  double variance_rule(std::span<const EntryIndex> entries, const HeadView& prompt, Work& work) const {
    if (params_.threshold == "mean") {
      return mean_of(variances());
    }
    if (params_.threshold == "quantile") {
      return quantile_of(variances(), params_.quantile);
    }
    const bool calibrates =
        params_.split != "off" && !by_size() && std::ssize(entries) >= 4 * entries_per_unit();
    return calibrates ? matched_variance(entries, prompt, work) : quantile_of(variances(), kMedian);
  }

  double matched_variance(std::span<const EntryIndex> entries, const HeadView& prompt, Work& work) const {
    const std::int64_t count = std::ssize(entries);
    const std::int64_t wanted = (count + entries_per_unit() - 1) / entries_per_unit();
    const auto first = entries.first(entries.size() / 4);
    Adaptive quarter(params_, context_);
    quarter.cluster(first, prompt, "clustering.adaptive.matched", work);
    const double most = variance_of(entries, prompt);
    work += variance_work(count);
    double low = -kOctaves;
    double high = 0.0;
    double best = 0.0;
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for (int trial = 0; trial < kTrials && least > 0; ++trial) {
      const double octave = 0.5 * (low + high);
      Adaptive tried = quarter;
      tried.threshold_ = most * std::exp2(octave);
      tried.append_all(entries.subspan(first.size()), prompt, work);
      const std::int64_t off = tried.unit_count() - wanted;
      if (std::abs(off) < least) {
        least = std::abs(off);
        best = tried.threshold_;
      }
      (off > 0 ? low : high) = octave;
    }
    return best;
  }

  /// `rest` of the prompt, with all units in DRAM.
  void append_all(std::span<const EntryIndex> rest, const HeadView& prompt, Work& work) {
    struct AllResident final : ResidentUnits {
      bool resident(UnitId) const override { return true; }
    };
    ChangeList nobody_follows;
    for (UnitId unit = 0, units = static_cast<UnitId>(unit_count()); unit < units; ++unit) {
      loaded(std::span(&unit, 1), prompt, nobody_follows, work);
    }
    for (const EntryIndex entry : rest) {
      add(entry, prompt, AllResident(), nobody_follows, work);
      nobody_follows.clear();
    }
  }

  /// Computes n, r and s2 from the members.
  void measure(UnitId unit, const HeadView& view, Work& work) {
    const std::vector<float> keys = keys_of(units_[unit].members, view);
    const std::int64_t count = std::ssize(units_[unit].members);
    if (count == 0) {  // its mean stays where it was, for entries that come near it
      units_[unit].statistics = kernels::RunningCluster(context_.head_dim);
      return;
    }
    units_[unit].statistics =
        kernels::RunningCluster::of(matrix_view<float>(keys.data(), count, context_.head_dim));
    units_[unit].statistics.copy_centroid(centroid(unit));
    work += variance_work(count);
  }

  /// The keys are read once for the mean and once for the distances.
  Work variance_work(std::int64_t entries) const {
    const auto elements = static_cast<double>(entries * context_.head_dim);
    return {4.0 * elements, 2.0 * 2.0 * elements};
  }

  void wait(EntryIndex entry, UnitId unit, ChangeList& changes) {
    units_[unit].pending.push_back(entry);
    ++waiting_;
    changes.push_back({.kind = ChangeKind::buffered, .unit = unit, .entry = entry});
    if (params_.split == "now" || waiting_ >= params_.buffer_entries) {
      const auto fullest = std::ranges::max_element(
          units_, {}, [](const Unit& candidate) { return candidate.pending.size(); });
      changes.push_back(
          {.kind = ChangeKind::wants_load, .unit = static_cast<UnitId>(fullest - units_.begin())});
      ++loads_asked_;
    }
  }

  void divide(UnitId unit, const HeadView& view, ChangeList& changes, Work& work) {
    std::vector<UnitId> to_divide = {unit};
    while (!to_divide.empty()) {
      const UnitId one = to_divide.back();
      to_divide.pop_back();
      const UnitId other = divide_once(one, view, changes, work);
      for (const UnitId half : {one, other}) {
        if (exceeds(half)) {
          to_divide.push_back(half);
        }
      }
    }
  }

  /// `unit` has two entries or more: it exceeds its bound, or a key waits in it beside its members. 2-means
  /// leaves no half empty.
  UnitId divide_once(UnitId unit, const HeadView& view, ChangeList& changes, Work& work) {
    std::vector<EntryIndex> entries = std::move(units_[unit].members);
    entries.insert(entries.end(), units_[unit].pending.begin(), units_[unit].pending.end());
    waiting_ -= std::ssize(units_[unit].pending);
    units_[unit].pending.clear();
    units_[unit].members.clear();
    const std::vector<float> keys = keys_of(entries, view);
    const auto halves =
        kernels::two_means(matrix_view<float>(keys.data(), std::ssize(entries), context_.head_dim),
                           static_cast<int>(params_.split_iterations));
    work += divide_work(std::ssize(entries), halves.iterations);

    const auto ones = std::ranges::count(halves.assignment, 1);
    const std::int32_t kept = ones > std::ssize(entries) - ones ? 1 : 0;
    const auto other = static_cast<UnitId>(units_.size());
    units_.push_back(Unit(context_.head_dim));
    centroids_.resize(static_cast<std::size_t>(unit_count() * context_.head_dim));
    for (std::size_t i = 0; i < entries.size(); ++i) {
      units_[halves.assignment[i] == kept ? unit : other].members.push_back(entries[i]);
    }
    measure(unit, view, work);
    measure(other, view, work);
    changes.push_back({.kind = ChangeKind::split, .unit = unit, .other = other});
    ++splits_;
    return other;
  }

  /// The distance to the old mean, and the mean itself.
  Work update_work() const {
    const auto d = static_cast<double>(context_.head_dim);
    return {6.0 * d, 2.0 * d + 2.0 * 4.0 * d};
  }

  /// The mean, twice the distances to one key for the seeds, then the iterations.
  Work divide_work(std::int64_t entries, int iterations) const {
    const auto elements = static_cast<double>(entries * context_.head_dim);
    return Work{7.0 * elements, 3.0 * 2.0 * elements} +
           kmeans_work(entries, context_.head_dim, 2, kernels::Seeding::kRandomRows, iterations);
  }

  Params params_;
  Context context_;
  double threshold_ = 0.0;
  Indexed<UnitId, Unit> units_;
  std::vector<float> centroids_;  // [units, head_dim]: the units' means
  EntryIndex entries_ = 0;        // handed over
  std::int64_t held_ = 0;         // of them, not removed
  std::int64_t waiting_ = 0;
  std::int64_t splits_ = 0;
  std::int64_t loads_asked_ = 0;
};

std::vector<FigureInfo> Adaptive::figures() {
  constexpr FigureDims kDims = FigureDims::step_layer_head;
  return {
      {"splits", "splits", "clusters divided in two", "count", kDims, FigureKind::total},
      {"loads_asked", "units", "clusters that were to be read to be divided", "count", kDims,
       FigureKind::total},
      {"waiting", "entries", "entries that wait in DRAM for their cluster to be divided", "count", kDims},
      {"flagged", "units", "clusters to be divided when they are next in DRAM",
       "count of those in which something waits or that exceed their bound", kDims},
      {"threshold", "key^2", "variance that a cluster may have", "multiple * what `threshold` says", kDims}};
}

std::vector<IdleParam> Adaptive::idle(const Params& params) {
  std::vector<IdleParam> idle;
  const auto add = [&idle](std::initializer_list<const char*> names, const char* why) {
    for (const char* name : names) {
      idle.push_back({name, why});
    }
  };
  const bool splits = params.split != "off";
  const bool by_size = params.trigger == "size";
  const bool matches = splits && !by_size && params.threshold == "matched";
  if (!(matches && params.entries_per_unit == 0) && !(splits && by_size && params.max_entries == 0)) {
    idle = params.prompt.idle();
  }
  if (!splits) {
    add({"trigger", "max_entries", "threshold", "entries_per_unit", "quantile", "multiple",
         "split_iterations"},
        "split is off");
  } else if (by_size) {
    add({"threshold", "entries_per_unit", "quantile", "multiple"}, "trigger is size");
  } else {
    add({"max_entries"}, "trigger is variance");
    if (!matches) {
      add({"entries_per_unit"}, "threshold is not matched");
    }
    if (params.threshold != "quantile") {
      add({"quantile"}, "threshold is not quantile");
    }
  }
  if (params.split != "delayed") {
    add({"buffer_entries"}, "split is not delayed");
  }
  return idle;
}

ParamTable<Adaptive::Params> Adaptive::params() {
  ParamTable<Params> table = table_of_part(PromptKMeans::params(), &Params::prompt);
  table.push_back({"trigger",
                   &Params::trigger,
                   {.doc = "what a cluster is split for: a variance above the head's threshold, or a size",
                    .choices = "variance|size",
                    .source = "variance: the paper; size: for comparison"}});
  table.push_back(
      {"max_entries",
       &Params::max_entries,
       {.doc = "members of a cluster at most, where `trigger` is size; 0: twice entries_per_cluster",
        .unit = "entries",
        .min = 0,
        .max = bounds::kEntries,
        .source = "ours"}});
  table.push_back(
      {"threshold",
       &Params::threshold,
       {.doc =
            "what the head's threshold is made of. matched: the variance with which the prompt's last three "
            "quarters, appended to clusters of its first, end in as many units as a local clustering has; "
            "quantile, mean: that of the variances of its prompt clusters",
        .choices = "matched|quantile|mean",
        .source = "ours; not stated in the paper"}});
  table.push_back({"entries_per_unit",
                   &Params::entries_per_unit,
                   {.doc = "entries for each unit of that local clustering, where `threshold` is matched; 0: "
                           "entries_per_cluster. A prompt of fewer than four units takes the median variance "
                           "of its clusters",
                    .unit = "entries",
                    .min = 0,
                    .max = bounds::kEntries,
                    .source = "ours: as many units as ClusterKV has, DAC'25"}});
  table.push_back({"quantile",
                   &Params::quantile,
                   {.doc = "which quantile, where `threshold` is quantile; 1: the largest variance",
                    .min = 0,
                    .max = 1,
                    .source = "ours; not stated in the paper"}});
  table.push_back({"multiple",
                   &Params::multiple,
                   {.doc = "the threshold as a multiple of what `threshold` says",
                    .min = 0,
                    .max = 1e6,
                    .source = "ours; not stated in the paper"}});
  table.push_back(
      {"split",
       &Params::split,
       {.doc = "delayed: a cluster that is not in DRAM is split when it is next loaded; now: it is "
               "loaded for it; off: it grows without bound",
        .choices = "off|now|delayed",
        .source = "delayed: the paper; now, off: for comparison"}});
  table.push_back(
      {"buffer_entries",
       &Params::buffer_entries,
       {.doc =
            "where `split` is delayed: as soon as so many entries of a head wait in DRAM, the cluster where "
            "most wait (ties: the older) is loaded; 0 and 1: at once, as `now`",
        .unit = "entries",
        .min = 0,
        .max = bounds::kEntries,
        .source = "the paper tries 0 to 16; for each head: ours"}});
  table.push_back(
      {"split_iterations",
       &Params::split_iterations,
       {.doc = "Lloyd iterations of a split at most; it starts from the key farthest from the mean "
               "and the key farthest from that one",
        .min = 1,
        .max = 10000,
        .source = "ours; not stated in the paper"}});
  return table;
}

const Registration<Clustering, Adaptive> registered;

}  // namespace
}  // namespace kvr
