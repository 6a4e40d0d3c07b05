// k-means over the prompt's keys, then over each window of generated keys by itself ("local update"):
//
//   build:  units = k-means(prompt keys)
//   append: the key waits in the open window, which is attended to in full
//           the window is full: its keys become window_clusters units by a k-means of their own; what was a
//           unit before stays as it is
//
// Entries can only wait in a unit: those of the open window do so in unit 0, with which they have nothing in
// common. As pending entries they count against the budget.
#include "policies/clustering/prompt_kmeans.hpp"
#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/clustering.hpp"

namespace kvr {
namespace {

class KMeansLocal final : public Clustering {
 public:
  static constexpr std::string_view kName = "kmeans_local";
  static constexpr std::string_view kDoc =
      "Clusters the prompt's keys, and each window of generated keys apart from all others; the open window "
      "is "
      "attended to in full, as part of the budget.";
  static constexpr std::string_view kSource = "ClusterKV, DAC'25, whose update DynaKV calls local (sec. 2)";

  struct Params {
    PromptKMeans prompt;
    std::string metric = "cosine";
    std::int64_t window = 320;
    std::int64_t window_clusters = 8;
    bool cluster_generated = true;
  };
  static ParamTable<Params> params();
  static std::vector<IdleParam> idle(const Params& params) {
    std::vector<IdleParam> idle = params.prompt.idle();
    if (!params.cluster_generated) {
      idle.push_back({"window", "cluster_generated is false"});
      idle.push_back({"window_clusters", "cluster_generated is false"});
    }
    return idle;
  }

  KMeansLocal(Params params, const Context& context)
      : params_(std::move(params)),
        context_(context),
        random_(head_stream(context, "clustering.kmeans_local")) {}

  void build(const HeadView& prompt, const EntrySet& live, ChangeList& changes, Work& work) override {
    const std::vector<EntryIndex> entries = listed(live);
    const auto result = params_.prompt.run(entries, prompt, metric_of(params_.metric), context_, work);
    members_.resize(static_cast<std::size_t>(params_.prompt.clusters_for(std::ssize(entries))));
    for (std::size_t i = 0; i < entries.size(); ++i) {
      at(result.assignment[i]).push_back(entries[i]);
    }
    entries_ = prompt.entries();
    removed_ = entries_ - live.size();
    report_created(0, changes);
  }

  void remove(std::span<const EntryIndex> entries, const HeadView&, ChangeList& changes, Work&) override {
    for (UnitId unit = 0; unit < unit_count(); ++unit) {
      report_removed(entries, unit, members(unit), changes);
      report_removed(entries, unit, pending(unit), changes);
      take_out(entries, at(unit));
    }
    take_out(entries, open_window_);
    removed_ += std::ssize(entries);
  }

  void append(EntryIndex entry, const HeadView& view, const ResidentUnits&, ChangeList& changes,
              Work& work) override {
    KVR_CHECK(entry == entries_, "entry {} follows {} entries", entry, entries_);
    ++entries_;
    open_window_.push_back(entry);
    changes.push_back({.kind = ChangeKind::buffered, .unit = kWaitingRoom, .entry = entry});
    if (params_.cluster_generated && std::ssize(open_window_) == params_.window) {
      cluster_window(view, changes, work);
    }
  }

  std::int64_t unit_count() const override { return std::ssize(members_); }
  std::span<const EntryIndex> members(UnitId unit) const override {
    return members_[static_cast<std::size_t>(unit)];
  }
  std::span<const EntryIndex> pending(UnitId unit) const override {
    return unit == kWaitingRoom ? std::span<const EntryIndex>(open_window_) : std::span<const EntryIndex>();
  }
  /// A list of entries for each unit; nothing is assigned to a centroid later.
  std::int64_t dram_bytes() const override {
    return (entries_ - removed_) * static_cast<std::int64_t>(sizeof(EntryIndex));
  }

 private:
  static constexpr UnitId kWaitingRoom = 0;

  std::vector<EntryIndex>& at(UnitId unit) { return members_[static_cast<std::size_t>(unit)]; }

  void report_created(UnitId first, ChangeList& changes) const {
    for (UnitId unit = first; unit < unit_count(); ++unit) {
      changes.push_back({.kind = ChangeKind::created, .unit = unit});
    }
  }

  void cluster_window(const HeadView& view, ChangeList& changes, Work& work) {
    const std::vector<float> keys = keys_of(open_window_, view);
    const auto options =
        params_.prompt.options(std::min(params_.window_clusters, params_.window), metric_of(params_.metric));
    const auto result =
        kernels::kmeans(matrix_view<float>(keys.data(), params_.window, context_.head_dim), options, random_);
    work +=
        kmeans_work(params_.window, context_.head_dim, options.clusters, options.seeding, result.iterations);
    const auto first = static_cast<UnitId>(unit_count());
    members_.resize(members_.size() + static_cast<std::size_t>(options.clusters));
    for (std::size_t i = 0; i < open_window_.size(); ++i) {
      at(first + result.assignment[i]).push_back(open_window_[i]);
    }
    open_window_.clear();
    report_created(first, changes);
  }

  Params params_;
  Context context_;
  Rng random_;
  std::vector<std::vector<EntryIndex>> members_;
  std::vector<EntryIndex> open_window_;
  EntryIndex entries_ = 0;  // handed over
  std::int64_t removed_ = 0;
};

ParamTable<KMeansLocal::Params> KMeansLocal::params() {
  ParamTable<Params> table = table_of_part(PromptKMeans::params(), &Params::prompt);
  table.push_back({"metric",
                   &Params::metric,
                   {.doc = "what makes a centroid near; either way it is the plain mean of its keys",
                    .choices = "l2|cosine",
                    .source = "ClusterKV, DAC'25: cosine"}});
  table.push_back({"window",
                   &Params::window,
                   {.doc = "generated entries that are clustered together",
                    .unit = "entries",
                    .min = 1,
                    .max = bounds::kEntries,
                    .source = "ClusterKV's efficiency runs"}});
  table.push_back({"window_clusters",
                   &Params::window_clusters,
                   {.doc = "clusters of a window, no more than its entries",
                    .min = 1,
                    .max = bounds::kEntries,
                    .source = "ClusterKV's efficiency runs"}});
  table.push_back({"cluster_generated",
                   &Params::cluster_generated,
                   {.doc = "false: the window never closes, and all generated entries are attended to",
                    .source = "ClusterKV: true in its efficiency runs, false in its accuracy runs"}});
  return table;
}

const Registration<Clustering, KMeansLocal> registered;

}  // namespace
}  // namespace kvr
