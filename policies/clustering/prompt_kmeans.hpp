#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policies/kmeans_work.hpp"
#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/base/params.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/clustering.hpp"

namespace kvr {

/// The keys of `entries` in float, [entries, head_dim].
inline std::vector<float> keys_of(std::span<const EntryIndex> entries, const HeadView& view) {
  const auto d = static_cast<std::size_t>(view.keys.cols);
  std::vector<float> keys(entries.size() * d);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    to_float(view.keys.row(entries[i]), std::span(keys).subspan(i * d, d));
  }
  return keys;
}

/// The entries of a set, ascending.
inline std::vector<EntryIndex> listed(const EntrySet& set) {
  std::vector<EntryIndex> entries;
  set.for_each([&entries](EntryIndex entry) { entries.push_back(entry); });
  return entries;
}

/// Takes those of `entries` that a list has out of it, in its order.
inline void take_out(std::span<const EntryIndex> entries, std::vector<EntryIndex>& list) {
  std::erase_if(list, [entries](EntryIndex entry) { return std::ranges::binary_search(entries, entry); });
}

/// `removed`, for each of `entries` that `list` of `unit` has.
inline void report_removed(std::span<const EntryIndex> entries, UnitId unit, std::span<const EntryIndex> list,
                           ChangeList& changes) {
  for (const EntryIndex entry : list) {
    if (std::ranges::binary_search(entries, entry)) {
      changes.push_back({.kind = ChangeKind::removed, .unit = unit, .entry = entry});
    }
  }
}

inline kernels::Metric metric_of(const std::string& name) {
  return name == "l2" ? kernels::Metric::kL2 : kernels::Metric::kCosine;
}

/// One stream of random numbers for each head, the same for every clustering that asks by the same name.
inline Rng head_stream(const Clustering::Context& context, std::string_view name) {
  return Rng::stream(context.root_seed, name,
                     static_cast<std::uint64_t>(context.head.layer * 65536 + context.head.head));
}

/// The k-means over the prompt's keys with which a clustering begins. Clusterings that begin so with the same
/// parameters, metric and seed begin with the same units, so that their updates can be compared.
struct PromptKMeans {
  std::int64_t clusters = 0;
  std::int64_t entries_per_cluster = 32;
  std::int64_t iterations = 20;
  double tolerance = 1e-4;
  std::string seeding = "plus_plus";

  static ParamTable<PromptKMeans> params() {
    return {{"clusters",
             &PromptKMeans::clusters,
             {.doc = "clusters of each head, no more than prompt entries; 0: by entries_per_cluster",
              .min = 0,
              .max = bounds::kEntries}},
            {"entries_per_cluster",
             &PromptKMeans::entries_per_cluster,
             {.doc = "prompt entries for each cluster, where `clusters` is 0",
              .unit = "entries",
              .min = 1,
              .max = bounds::kEntries,
              .source = "assumed; ClusterKV takes about 80"}},
            {"iterations",
             &PromptKMeans::iterations,
             {.doc = "Lloyd iterations at most", .min = 1, .max = 10000, .source = "ClusterKV, DAC'25"}},
            {"tolerance",
             &PromptKMeans::tolerance,
             {.doc = "stop when an iteration lowers the inertia by no more than this share of it",
              .min = 0,
              .max = 1,
              .source = "PQCache, SIGMOD'25"}},
            {"seeding",
             &PromptKMeans::seeding,
             {.doc = "first centroids: k-means++, or distinct keys at random",
              .choices = "plus_plus|random_rows",
              .source = "plus_plus: assumed; PQCache and ClusterKV: random_rows"}}};
  }

  std::vector<IdleParam> idle() const {
    return clusters > 0 ? std::vector<IdleParam>{{"entries_per_cluster", "clusters is not 0"}}
                        : std::vector<IdleParam>{};
  }

  std::int64_t clusters_for(std::int64_t entries) const {
    const std::int64_t automatic = (entries + entries_per_cluster - 1) / entries_per_cluster;
    return std::min(entries, clusters > 0 ? clusters : automatic);
  }

  kernels::KMeansOptions options(std::int64_t clusters_wanted, kernels::Metric metric) const {
    return {.clusters = clusters_wanted,
            .max_iterations = static_cast<int>(iterations),
            .tolerance = tolerance,
            .metric = metric,
            .seeding = seeding == "plus_plus" ? kernels::Seeding::kPlusPlus : kernels::Seeding::kRandomRows};
  }

  /// Of the keys of `entries`, in their order; `stream`: the name of its random numbers.
  kernels::KMeansResult run(std::span<const EntryIndex> entries, const HeadView& view, kernels::Metric metric,
                            const Clustering::Context& context, Work& work,
                            std::string_view stream = "clustering.kmeans") const {
    const std::int64_t count = std::ssize(entries);
    KVR_CHECK(count >= 1, "k-means of {} entries", count);
    const std::vector<float> keys = keys_of(entries, view);
    const auto all = options(clusters_for(count), metric);
    Rng rng = head_stream(context, stream);
    auto result = kernels::kmeans(matrix_view<float>(keys.data(), count, context.head_dim), all, rng);
    work += kmeans_work(count, context.head_dim, all.clusters, all.seeding, result.iterations);
    return result;
  }
};

}  // namespace kvr
