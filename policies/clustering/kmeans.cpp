// k-means over the prompt's keys, never revised ("static" update), or all anew now and then:
//
//   build:  k = clusters, or prompt entries / entries_per_cluster rounded up; at most one per prompt entry
//           units = k-means(prompt keys, k)
//   append: the new key joins the unit of its nearest centroid; the centroids stay where k-means put them
//   remove: the key leaves its unit; the centroid stays
//   refit, after every refit_every appended keys:
//           all units are read; units = k-means(all keys, k), k of their number now; units that are too many
//           because keys were removed stay empty
//           the two of old and new units that share most entries have the same number, then the next two
#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "policies/clustering/prompt_kmeans.hpp"
#include "sim/base/convert.hpp"
#include "sim/base/indexed.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/clustering.hpp"

namespace kvr {
namespace {

class KMeans final : public Clustering {
 public:
  static constexpr std::string_view kName = "kmeans";
  static constexpr std::string_view kDoc =
      "Clusters the prompt's keys; each later key joins the nearest centroid, and centroids never move "
      "again, unless all keys are read and clustered anew now and then.";
  static constexpr std::string_view kSource = "PQCache, SIGMOD'25, whose update DynaKV calls static (sec. 2)";

  struct Params {
    PromptKMeans prompt;
    std::string metric = "l2";
    std::int64_t refit_every = 0;
  };
  static ParamTable<Params> params();
  static std::vector<IdleParam> idle(const Params& params) { return params.prompt.idle(); }

  KMeans(Params params, const Context& context) : params_(std::move(params)), context_(context) {}

  void build(const HeadView& prompt, const EntrySet& live, ChangeList& changes, Work& work) override {
    live_ = live;
    const std::vector<EntryIndex> entries = listed(live);
    auto result = params_.prompt.run(entries, prompt, metric_of(params_.metric), context_, work);
    centroids_ = std::move(result.centroids);
    members_.resize(params_.prompt.clusters_for(std::ssize(entries)));
    for (std::size_t i = 0; i < entries.size(); ++i) {
      members_[result.assignment[i]].push_back(entries[i]);
    }
    entries_ = prompt.entries();
    for (UnitId unit = 0; unit < unit_count(); ++unit) {
      changes.push_back({.kind = ChangeKind::created, .unit = unit});
    }
  }

  void append(EntryIndex entry, const HeadView& view, const ResidentUnits&, ChangeList& changes,
              Work& work) override {
    std::vector<float> key(static_cast<std::size_t>(context_.head_dim));
    to_float(view.keys.row(entry), key);
    const auto centroids = matrix_view<float>(centroids_.data(), unit_count(), context_.head_dim);
    const UnitId unit = kernels::nearest_centroid(key, centroids, metric_of(params_.metric));
    KVR_CHECK(entry == entries_, "entry {} follows {} entries", entry, entries_);
    ++entries_;
    live_.add(entry);
    members_[unit].push_back(entry);
    changes.push_back({.kind = ChangeKind::appended, .unit = unit, .entry = entry});
    work += nearest_work(unit_count(), context_.head_dim, metric_of(params_.metric));
    refit_is_due_ = params_.refit_every > 0 && ++since_fit_ >= params_.refit_every;
    for (UnitId one = 0; refit_is_due_ && one < unit_count(); ++one) {
      changes.push_back({.kind = ChangeKind::wants_load, .unit = one});
    }
  }

  void loaded(std::span<const UnitId>, const HeadView& view, ChangeList& changes, Work& work) override {
    if (refit_is_due_) {
      refit(view, work);
      changes.push_back({.kind = ChangeKind::regrouped, .unit = -1});
    }
  }

  void remove(std::span<const EntryIndex> entries, const HeadView&, ChangeList& changes, Work&) override {
    for (const EntryIndex entry : entries) {
      live_.remove(entry);
    }
    for (UnitId unit = 0; unit < unit_count(); ++unit) {
      report_removed(entries, unit, members(unit), changes);
      take_out(entries, members_[unit]);
    }
  }

  std::int64_t unit_count() const override { return members_.size(); }
  std::span<const EntryIndex> members(UnitId unit) const override { return members_[unit]; }
  /// A list of entries for each cluster, and the centroids in fp16, which a phone would keep.
  std::int64_t dram_bytes() const override {
    return live_.size() * static_cast<std::int64_t>(sizeof(EntryIndex)) +
           unit_count() * context_.head_dim * 2;
  }

 private:
  void refit(const HeadView& view, Work& work) {
    const std::vector<EntryIndex> entries = listed(live_);
    const auto result = params_.prompt.run(entries, view, metric_of(params_.metric), context_, work,
                                           "clustering.kmeans.refit");
    const Indexed<std::int32_t, UnitId> unit_of = numbered_by_overlap(entries, result.assignment);
    members_.assign(std::max(unit_of.size(), members_.size()), {});
    centroids_.resize(static_cast<std::size_t>(unit_count() * context_.head_dim));
    const auto fitted = matrix_view<float>(result.centroids.data(), unit_of.size(), context_.head_dim);
    const auto centroids = matrix_ref(centroids_.data(), unit_count(), context_.head_dim);
    for (std::int32_t cluster = 0; cluster < unit_of.size(); ++cluster) {
      std::ranges::copy(fitted.row(cluster), centroids.row(unit_of[cluster]).begin());
    }
    for (std::size_t i = 0; i < entries.size(); ++i) {
      members_[unit_of[result.assignment[i]]].push_back(entries[i]);
    }
    since_fit_ = 0;
    refit_is_due_ = false;
  }

  /// A unit for each cluster of `assignment`, which is of `entries`: the units there are and, where clusters
  /// are more, new ones. The pair that shares most entries first (ties: the lower unit, then the lower
  /// cluster); then in order.
  Indexed<std::int32_t, UnitId> numbered_by_overlap(std::span<const EntryIndex> entries,
                                                    std::span<const std::int32_t> assignment) const {
    Indexed<std::int32_t, UnitId> unit_of(params_.prompt.clusters_for(std::ssize(entries)), -1);
    Indexed<UnitId, std::uint8_t> taken(std::max(unit_of.size(), members_.size()), 0);
    for (const Overlap& overlap : overlaps(entries, assignment)) {
      UnitId& unit = unit_of[overlap.cluster];
      if (unit < 0 && taken[overlap.unit] == 0) {
        unit = overlap.unit;
        taken[unit] = 1;
      }
    }
    for (UnitId& unit : unit_of) {
      if (unit < 0) {
        unit = static_cast<UnitId>(std::ranges::find(taken, 0) - taken.begin());
        taken[unit] = 1;
      }
    }
    return unit_of;
  }

  struct Overlap {
    UnitId unit;
    std::int32_t cluster;
    std::int64_t entries;
  };

  /// What units and clusters share, the most first, then by unit and cluster.
  std::vector<Overlap> overlaps(std::span<const EntryIndex> entries,
                                std::span<const std::int32_t> assignment) const {
    Indexed<EntryIndex, std::int32_t> cluster_of(entries_, -1);
    for (std::size_t i = 0; i < entries.size(); ++i) {
      cluster_of[entries[i]] = assignment[i];
    }
    std::map<std::pair<UnitId, std::int32_t>, std::int64_t> shared;
    for (UnitId unit = 0; unit < unit_count(); ++unit) {
      for (const EntryIndex entry : members(unit)) {
        ++shared[{unit, cluster_of[entry]}];
      }
    }
    std::vector<Overlap> result;
    for (const auto& [pair, count] : shared) {
      result.push_back({pair.first, pair.second, count});
    }
    std::ranges::sort(result, {}, [](const Overlap& overlap) {
      return std::tuple(-overlap.entries, overlap.unit, overlap.cluster);
    });
    return result;
  }

  Params params_;
  Context context_;
  std::vector<float> centroids_;  // [units, head_dim], fixed until a refit
  Indexed<UnitId, std::vector<EntryIndex>> members_;
  EntryIndex entries_ = 0;  // handed over
  EntrySet live_;
  std::int64_t since_fit_ = 0;  // entries appended
  bool refit_is_due_ = false;
};

ParamTable<KMeans::Params> KMeans::params() {
  ParamTable<Params> table = table_of_part(PromptKMeans::params(), &Params::prompt);
  table.push_back({"metric",
                   &Params::metric,
                   {.doc = "what makes a centroid near",
                    .choices = "l2|cosine",
                    .source = "PQCache: l2; ClusterKV: cosine"}});
  table.push_back({"refit_every",
                   &Params::refit_every,
                   {.doc = "appended entries after which all keys are clustered anew, which reads those that "
                           "are not in DRAM; 0: never",
                    .unit = "entries",
                    .min = 0,
                    .max = bounds::kEntries,
                    .source = "for comparison with updates that read nothing"}});
  return table;
}

const Registration<Clustering, KMeans> registered;

}  // namespace
}  // namespace kvr
