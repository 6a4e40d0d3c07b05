// k-means of keys by direction, segment by segment, whose last step is over all of them:
//
//   waiting:  the first `sinks` entries for good, the last `recent` ones, and what is not clustered yet
//   build:    all others are clustered, in round(entries / segment_entries) segments of one length
//   append:   the entry waits; when `window` entries do besides the first and the last, they are clustered as
//             one segment, apart from all others, and what was a unit before stays as it is
//
//   cluster:  x = key - mean key
//             n entries of a segment have round(n / entries_per_cluster) centroids, at first x at equal steps
//             iterations - 1 times: x joins the centroid of its segment with the largest product;
//                                   centroid = mean of its x, of length 1
//             at last:              x joins the centroid of all segments with the largest product
//
// Entries that the segments' one length leaves over join at the end alone. A centroid that none joins stays
// where it was, and is no unit in the end. What waits is attended to, in DRAM.
#include <algorithm>
#include <cmath>
#include <vector>

#include "policies/clustering/prompt_kmeans.hpp"
#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/clustering.hpp"
#include "sim/kernels/dot.hpp"
#include "sim/kernels/nearest.hpp"

namespace kvr {
namespace {

class SegmentedKMeans final : public Clustering {
 public:
  static constexpr std::string_view kName = "segmented_kmeans";
  static constexpr std::string_view kDoc =
      "Clusters segments of the prompt's keys by direction, and each window of generated keys apart from all "
      "others; the first entries, the last and the open window are attended to in full.";
  static constexpr std::string_view kSource =
      "RetroInfer, arXiv 2505.02922 (code RetrievalAttention @6b1228c)";

  struct Params {
    std::int64_t entries_per_cluster = 16;
    std::int64_t segment_entries = 8192;
    std::int64_t iterations = 10;
    std::int64_t sinks = 4;
    std::int64_t recent = 64;
    std::int64_t window = 1024;
  };
  static ParamTable<Params> params();

  SegmentedKMeans(Params params, const Context& context) : params_(params), context_(context) {}

  void build(const HeadView& prompt, const EntrySet& live, ChangeList& changes, Work& work) override {
    waiting_ = listed(live);
    entries_ = prompt.entries();
    removed_ = entries_ - live.size();
    members_.resize(1);
    const std::int64_t settled = std::max<std::int64_t>(0, std::ssize(waiting_) - sinks() - params_.recent);
    const std::vector<EntryIndex> entries = take_oldest(settled);
    for (const EntryIndex entry : waiting_) {
      changes.push_back({.kind = ChangeKind::buffered, .unit = kWaitingRoom, .entry = entry});
    }
    const double segments =
        std::round(static_cast<double>(settled) / static_cast<double>(params_.segment_entries));
    cluster(entries, static_cast<std::int64_t>(segments), prompt, changes, work);
  }

  void append(EntryIndex entry, const HeadView& view, const ResidentUnits&, ChangeList& changes,
              Work& work) override {
    KVR_CHECK(entry == entries_, "entry {} follows {} entries", entry, entries_);
    ++entries_;
    waiting_.push_back(entry);
    changes.push_back({.kind = ChangeKind::buffered, .unit = kWaitingRoom, .entry = entry});
    if (std::ssize(waiting_) >= sinks() + params_.window + params_.recent) {
      cluster(take_oldest(params_.window), 1, view, changes, work);
    }
  }

  void remove(std::span<const EntryIndex> entries, const HeadView&, ChangeList& changes, Work&) override {
    for (UnitId unit = 0; unit < unit_count(); ++unit) {
      report_removed(entries, unit, members(unit), changes);
      report_removed(entries, unit, pending(unit), changes);
      take_out(entries, members_[static_cast<std::size_t>(unit)]);
    }
    take_out(entries, waiting_);
    removed_ += std::ssize(entries);
  }

  std::int64_t unit_count() const override { return std::ssize(members_); }
  std::span<const EntryIndex> members(UnitId unit) const override {
    return members_[static_cast<std::size_t>(unit)];
  }
  std::span<const EntryIndex> pending(UnitId unit) const override {
    return unit == kWaitingRoom ? std::span<const EntryIndex>(waiting_) : std::span<const EntryIndex>();
  }
  /// A list of entries for each unit; nothing is assigned to a centroid later.
  std::int64_t dram_bytes() const override {
    return (entries_ - removed_) * static_cast<std::int64_t>(sizeof(EntryIndex));
  }

 private:
  /// Entries can only wait in a unit, which is one of the clusters as soon as there are any.
  static constexpr UnitId kWaitingRoom = 0;

  /// Keys less their mean, and centroids as they move.
  struct Directions {
    std::vector<float> keys;       // [entries, head_dim]
    std::vector<float> centroids;  // [clusters, head_dim]
    std::vector<std::int32_t> of;  // [entries]: the cluster
  };

  /// First entries that wait.
  std::int64_t sinks() const {
    return std::ranges::count_if(waiting_, [this](EntryIndex entry) { return entry < params_.sinks; });
  }

  std::vector<EntryIndex> take_oldest(std::int64_t count) {
    const auto first = waiting_.begin() + sinks();
    std::vector<EntryIndex> taken(first, first + count);
    waiting_.erase(first, first + count);
    return taken;
  }

  void cluster(const std::vector<EntryIndex>& entries, std::int64_t wanted, const HeadView& view,
               ChangeList& changes, Work& work) {
    const std::int64_t count = std::ssize(entries);
    if (count == 0) {
      return;
    }
    const std::int64_t segments = std::clamp<std::int64_t>(wanted, 1, count);
    const std::int64_t length = count / segments;
    const std::int64_t each = std::max<std::int64_t>(
        1, std::llround(static_cast<double>(length) / static_cast<double>(params_.entries_per_cluster)));
    Directions directions = centred(entries, view, work);
    seed(directions, segments * each);
    for (std::int64_t i = 1; i < params_.iterations; ++i) {
      for (std::int64_t segment = 0; segment < segments; ++segment) {
        iterate(directions, {segment * length, length}, {segment * each, each}, work);
      }
    }
    assign(directions, {0, count}, {0, segments * each}, work);
    create(entries, directions.of, segments * each, changes);
  }

  struct Range {
    std::int64_t first;
    std::int64_t count;
  };

  MatrixView<float> rows_of(const std::vector<float>& rows, Range range) const {
    return matrix_view(rows.data(), std::ssize(rows) / context_.head_dim, context_.head_dim)
        .slice(range.first, range.count);
  }
  std::span<float> row_of(std::vector<float>& rows, std::int64_t row) const {
    return std::span(rows).subspan(static_cast<std::size_t>(row * context_.head_dim),
                                   static_cast<std::size_t>(context_.head_dim));
  }

  Directions centred(const std::vector<EntryIndex>& entries, const HeadView& view, Work& work) const {
    Directions directions{.keys = keys_of(entries, view), .centroids = {}, .of = {}};
    directions.of.resize(entries.size());
    const auto d = static_cast<std::size_t>(context_.head_dim);
    std::vector<double> mean(d, 0.0);
    for (std::size_t i = 0; i < directions.keys.size(); ++i) {
      mean[i % d] += static_cast<double>(directions.keys[i]) / static_cast<double>(entries.size());
    }
    for (std::size_t i = 0; i < directions.keys.size(); ++i) {
      directions.keys[i] -= static_cast<float>(mean[i % d]);
    }
    const auto elements = static_cast<double>(directions.keys.size());
    work += {2.0 * elements, 3.0 * 2.0 * elements};
    return directions;
  }

  /// Keys in the middles of as many equal parts.
  void seed(Directions& directions, std::int64_t clusters) const {
    const double part = static_cast<double>(directions.of.size()) / static_cast<double>(clusters);
    for (std::int64_t cluster = 0; cluster < clusters; ++cluster) {
      const auto at = static_cast<std::int64_t>(static_cast<double>(cluster) * part + part / 2.0);
      const auto key = row_of(directions.keys, at);
      directions.centroids.insert(directions.centroids.end(), key.begin(), key.end());
    }
  }

  /// Each of `keys` joins one of `clusters`.
  void assign(Directions& directions, Range keys, Range clusters, Work& work) const {
    const std::vector<float> bias(static_cast<std::size_t>(clusters.count), 0.0F);
    const kernels::CandidatePanels panels(rows_of(directions.centroids, clusters), bias);
    std::vector<float> products(static_cast<std::size_t>(keys.count));
    const auto of = std::span(directions.of).subspan(static_cast<std::size_t>(keys.first), products.size());
    kernels::best_products(rows_of(directions.keys, keys), panels, of, products);
    for (std::int32_t& cluster : of) {
      cluster += static_cast<std::int32_t>(clusters.first);
    }
    work += kmeans_work(keys.count, context_.head_dim, clusters.count, kernels::Seeding::kRandomRows, 1);
  }

  void iterate(Directions& directions, Range keys, Range clusters, Work& work) const {
    assign(directions, keys, clusters, work);
    std::vector<float> sums(static_cast<std::size_t>(clusters.count * context_.head_dim), 0.0F);
    for (std::int64_t key = keys.first; key < keys.first + keys.count; ++key) {
      const std::int64_t cluster = directions.of[static_cast<std::size_t>(key)] - clusters.first;
      kernels::add_scaled(1.0F, row_of(directions.keys, key), row_of(sums, cluster));
    }
    for (std::int64_t cluster = 0; cluster < clusters.count; ++cluster) {
      const std::span<float> sum = row_of(sums, cluster);
      const float length = std::sqrt(kernels::dot(std::span<const float>(sum), sum));
      if (length > 0.0F) {
        std::ranges::transform(sum, row_of(directions.centroids, clusters.first + cluster).begin(),
                               [length](float element) { return element / length; });
      }
    }
  }

  void create(const std::vector<EntryIndex>& entries, const std::vector<std::int32_t>& of,
              std::int64_t clusters, ChangeList& changes) {
    std::vector<std::vector<EntryIndex>> lists(static_cast<std::size_t>(clusters));
    for (std::size_t i = 0; i < entries.size(); ++i) {
      lists[static_cast<std::size_t>(of[i])].push_back(entries[i]);
    }
    std::erase_if(lists, [](const std::vector<EntryIndex>& list) { return list.empty(); });
    members_.resize(static_cast<std::size_t>(created_) + lists.size());
    for (std::vector<EntryIndex>& list : lists) {
      const auto unit = static_cast<UnitId>(created_++);
      members_[static_cast<std::size_t>(unit)] = std::move(list);
      changes.push_back({.kind = ChangeKind::created, .unit = unit});
    }
  }

  Params params_;
  Context context_;
  std::vector<std::vector<EntryIndex>> members_;  // one unit at least, the waiting room
  std::int64_t created_ = 0;                      // units that have been clusters
  std::vector<EntryIndex> waiting_;               // ascending
  EntryIndex entries_ = 0;                        // handed over
  std::int64_t removed_ = 0;
};

ParamTable<SegmentedKMeans::Params> SegmentedKMeans::params() {
  return {{"entries_per_cluster",
           &Params::entries_per_cluster,
           {.doc = "entries of a segment for each of its clusters",
            .unit = "entries",
            .min = 1,
            .max = bounds::kEntries,
            .source = "RetroInfer: 16 (two pages of 8)"}},
          {"segment_entries",
           &Params::segment_entries,
           {.doc = "entries of a segment of the prompt, about",
            .unit = "entries",
            .min = 1,
            .max = bounds::kEntries,
            .source = "RetroInfer: 16 segments of 120,000 entries"}},
          {"iterations",
           &Params::iterations,
           {.doc = "times that keys join centroids, the last time those of all segments",
            .min = 1,
            .max = 10000,
            .source = "RetroInfer: 10"}},
          {"sinks",
           &Params::sinks,
           {.doc = "first entries of the sequence, which are never clustered",
            .unit = "entries",
            .min = 0,
            .max = bounds::kEntries,
            .source = "RetroInfer: 4"}},
          {"recent",
           &Params::recent,
           {.doc = "last entries, which are not clustered yet",
            .unit = "entries",
            .min = 0,
            .max = bounds::kEntries,
            .source = "RetroInfer: 64"}},
          {"window",
           &Params::window,
           {.doc = "entries that are clustered together once they are not among the recent ones",
            .unit = "entries",
            .min = 1,
            .max = bounds::kEntries,
            .source = "RetroInfer: 1024"}}};
}

const Registration<Clustering, SegmentedKMeans> registered;

}  // namespace
}  // namespace kvr
