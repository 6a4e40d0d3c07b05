// k-means over the prompt's keys, never revised ("static" update):
//
//   build:  k = clusters, or prompt entries / entries_per_cluster rounded up; at most one per prompt entry
//           units = k-means(prompt keys, k)
//   append: the new key joins the unit of its nearest centroid; the centroids stay where the prompt put them
#include "policies/clustering/prompt_kmeans.hpp"
#include "sim/interfaces/clustering.hpp"
#include "sim/kernels/convert.hpp"
#include "sim/registry.hpp"

namespace kvr {
namespace {

class KMeans final : public Clustering {
 public:
  static constexpr std::string_view kName = "kmeans";
  static constexpr std::string_view kDoc =
      "Clusters the prompt's keys; each later key joins the nearest centroid, and centroids never move "
      "again.";
  static constexpr std::string_view kSource = "PQCache, SIGMOD'25, whose update DynaKV calls static (sec. 2)";

  struct Params {
    PromptKMeans prompt;
    std::string metric = "l2";
  };
  static ParamTable<Params> params();
  static std::vector<IdleParam> idle(const Params& params) { return params.prompt.idle(); }

  KMeans(Params params, const Context& context) : params_(std::move(params)), context_(context) {}

  void build(const HeadView& prompt, ChangeList& changes, Work& work) override {
    auto result = params_.prompt.run(prompt, metric_of(params_.metric), context_, work);
    centroids_ = std::move(result.centroids);
    members_.resize(static_cast<std::size_t>(params_.prompt.clusters_for(prompt.entries())));
    for (const UnitId unit : result.assignment) {
      join(entries_, unit);
    }
    for (UnitId unit = 0; unit < unit_count(); ++unit) {
      changes.push_back({.kind = ChangeKind::created, .unit = unit});
    }
  }

  void append(EntryIndex entry, const HeadView& view, const ResidentUnits&, ChangeList& changes,
              Work& work) override {
    std::vector<float> key(static_cast<std::size_t>(context_.head_dim));
    kernels::to_float(view.keys.row(entry), key);
    const auto centroids = kernels::matrix_view<float>(centroids_.data(), unit_count(), context_.head_dim);
    const UnitId unit = kernels::nearest_centroid(key, centroids, metric_of(params_.metric));
    join(entry, unit);
    changes.push_back({.kind = ChangeKind::appended, .unit = unit, .entry = entry});
    work += nearest_work(unit_count(), context_.head_dim, metric_of(params_.metric));
  }

  std::int64_t unit_count() const override { return std::ssize(members_); }
  std::span<const EntryIndex> members(UnitId unit) const override {
    return members_[static_cast<std::size_t>(unit)];
  }
  /// A list of entries for each cluster, and the centroids in fp16, which a phone would keep.
  std::int64_t dram_bytes() const override {
    return entries_ * static_cast<std::int64_t>(sizeof(EntryIndex)) + unit_count() * context_.head_dim * 2;
  }

 private:
  void join(EntryIndex entry, UnitId unit) {
    KVR_CHECK(entry == entries_, "entry {} follows {} entries", entry, entries_);
    members_[static_cast<std::size_t>(unit)].push_back(entry);
    ++entries_;
  }

  Params params_;
  Context context_;
  std::vector<float> centroids_;  // [units, head_dim], fixed once built
  std::vector<std::vector<EntryIndex>> members_;
  EntryIndex entries_ = 0;
};

ParamTable<KMeans::Params> KMeans::params() {
  ParamTable<Params> table = table_of_part(PromptKMeans::params(), &Params::prompt);
  table.push_back({"metric",
                   &Params::metric,
                   {.doc = "what makes a centroid near",
                    .choices = "l2|cosine",
                    .source = "PQCache: l2; ClusterKV: cosine"}});
  return table;
}

const Registration<Clustering, KMeans> registered;

}  // namespace
}  // namespace kvr
