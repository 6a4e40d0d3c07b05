// k-means over the prompt's keys, never revised ("static" update):
//
//   build:  k = clusters, or prompt entries / entries_per_cluster rounded up; at most one per prompt entry
//           units = k-means(prompt keys, k)
//   append: the new key joins the unit of its nearest centroid; the centroids stay where the prompt put them
#include "sim/kernels/kmeans.hpp"

#include <algorithm>

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
    std::int64_t clusters = 0;
    std::int64_t entries_per_cluster = 32;
    std::int64_t iterations = 20;
    double tolerance = 1e-4;
    std::string metric = "l2";
  };
  static ParamTable<Params> params() {
    return {
        {"clusters",
         &Params::clusters,
         {.doc = "clusters of each head, no more than prompt entries; 0: by entries_per_cluster", .min = 0}},
        {"entries_per_cluster",
         &Params::entries_per_cluster,
         {.doc = "prompt entries for each cluster, where `clusters` is 0",
          .unit = "entries",
          .min = 1,
          .source = "assumed; ClusterKV takes about 80"}},
        {"iterations",
         &Params::iterations,
         {.doc = "Lloyd iterations at most", .min = 1, .max = 10000, .source = "ClusterKV, DAC'25"}},
        {"tolerance",
         &Params::tolerance,
         {.doc = "stop when an iteration lowers the inertia by no more than this share of it",
          .min = 0,
          .source = "PQCache, SIGMOD'25"}},
        {"metric",
         &Params::metric,
         {.doc = "what makes a centroid near",
          .choices = "l2|cosine",
          .source = "PQCache: l2; ClusterKV: cosine"}}};
  }

  KMeans(Params params, const Context& context) : params_(std::move(params)), context_(context) {}

  void build(const HeadView& prompt, ChangeList& changes, Work& work) override {
    KVR_CHECK(prompt.entries() >= 1, "a prompt of {} entries", prompt.entries());
    std::vector<float> keys(static_cast<std::size_t>(prompt.entries() * context_.head_dim));
    kernels::to_float(prompt.keys, kernels::matrix_ref(keys.data(), prompt.entries(), context_.head_dim));
    const auto head = static_cast<std::uint64_t>(context_.head.layer * 65536 + context_.head.head);
    Rng rng = Rng::stream(context_.root_seed, "clustering.kmeans", head);
    auto result =
        kernels::kmeans(kernels::matrix_view<float>(keys.data(), prompt.entries(), context_.head_dim),
                        {.clusters = clusters_for(prompt.entries()),
                         .max_iterations = static_cast<int>(params_.iterations),
                         .tolerance = params_.tolerance,
                         .metric = metric()},
                        rng);
    centroids_ = std::move(result.centroids);
    members_.resize(static_cast<std::size_t>(clusters_for(prompt.entries())));
    for (const UnitId unit : result.assignment) {
      join(entries_, unit);
    }
    for (UnitId unit = 0; unit < unit_count(); ++unit) {
      changes.push_back({.kind = ChangeKind::created, .unit = unit});
    }
    work += build_work(prompt.entries(), result.iterations);
  }

  void append(EntryIndex entry, const HeadView& view, const ResidentUnits&, ChangeList& changes,
              Work& work) override {
    std::vector<float> key(static_cast<std::size_t>(context_.head_dim));
    kernels::to_float(view.keys.row(entry), key);
    const auto centroids = kernels::matrix_view<float>(centroids_.data(), unit_count(), context_.head_dim);
    const UnitId unit = kernels::nearest_centroid(key, centroids, metric());
    join(entry, unit);
    changes.push_back({.kind = ChangeKind::appended, .unit = unit, .entry = entry});
    work += nearest_work();
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
  kernels::Metric metric() const {
    return params_.metric == "l2" ? kernels::Metric::kL2 : kernels::Metric::kCosine;
  }

  std::int64_t clusters_for(std::int64_t entries) const {
    const std::int64_t automatic = (entries + params_.entries_per_cluster - 1) / params_.entries_per_cluster;
    return std::min(entries, params_.clusters > 0 ? params_.clusters : automatic);
  }

  void join(EntryIndex entry, UnitId unit) {
    KVR_CHECK(entry == entries_, "entry {} follows {} entries", entry, entries_);
    members_[static_cast<std::size_t>(unit)].push_back(entry);
    ++entries_;
  }

  /// k-means++ reads all keys once for each seed; an iteration reads them once to assign (a product for each
  /// centroid) and once to average. Keys are fp16 in DRAM, centroids float32.
  Work build_work(std::int64_t entries, int iterations) const {
    const auto keys = static_cast<double>(entries * context_.head_dim);
    const auto clusters = static_cast<double>(unit_count());
    const auto d = static_cast<double>(context_.head_dim);
    const Work seeding = {3.0 * clusters * keys, 2.0 * clusters * keys};
    const Work iteration = {2.0 * clusters * keys + keys, 2.0 * 2.0 * keys + 2.0 * 4.0 * clusters * d};
    return seeding + static_cast<double>(iterations) * iteration;
  }

  /// A difference, a product and a sum for each element; the cosine needs the centroids' norms as well.
  Work nearest_work() const {
    const auto elements = static_cast<double>(unit_count() * context_.head_dim);
    return {(metric() == kernels::Metric::kL2 ? 3.0 : 4.0) * elements, 2.0 * elements};
  }

  Params params_;
  Context context_;
  std::vector<float> centroids_;  // [units, head_dim], fixed once built
  std::vector<std::vector<EntryIndex>> members_;
  EntryIndex entries_ = 0;
};

const Registration<Clustering, KMeans> registered;

}  // namespace
}  // namespace kvr
