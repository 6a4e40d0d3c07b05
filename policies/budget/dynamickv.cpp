// The layers of a prompt share a pool while it is read, by how many of the pool's best units each has. What a
// layer is allotted it is cut to, so that later calls share what earlier ones left:
//
//   whole  = entries of a head when the layer was first seen
//   cap    = min(floor(radio_max * entries), whole)
//   stored = min(cap, entries that a head still has)
//   call after n of the stage's L layers:
//     won(layer) = of the best entries * heads * n of all n layers' units, as first seen, those in its heads
//     quota      = by integers or apportioned
//     allot      = min(quota, stored), the same to every head of the layer
//
//   by integers:   w = floor(won / n);  where n = L: last w += entries * heads - sum(w)
//                  f = floor(cap * (w / sum(w)));  f = floor(f / (sum(f) / (entries * L)))
//                  last f += entries * L - sum(f);  quota = min(f, whole)
//   apportioned:   entries * L one by one, each to the largest won / (2 * quota + 1) of those below `stored`
//
//   mode        before the last layer    after it
//   faithful    by integers              by integers
//   fixed       by integers              apportioned
//   one_shot    quota = whole            apportioned
//
// Best are units of the highest score, then the lower ones, then those of lower layers.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <queue>
#include <string>
#include <tuple>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/budget.hpp"

namespace kvr {
namespace {

using Entries = std::vector<std::int64_t>;

std::int64_t sum_of(const Entries& entries) {
  return std::accumulate(entries.begin(), entries.end(), std::int64_t{0});
}

/// floor(a / b) of the numbers as they are: a division may round up to the next integer.
std::int64_t floored_quotient(std::int64_t a, double b) {
  const auto dividend = static_cast<double>(a);
  return std::llround((dividend - std::fmod(dividend, b)) / b);
}

/// `pool` entries by `weights`, to none more than its limit (Webster's divisors). Who gets the next entry
/// does not depend on limits that are not reached, so that a limit no lower than a quota changes no quota.
/// Weights of 0 get what all others cannot hold.
Entries apportioned(std::int64_t pool, const Entries& weights, const Entries& limits) {
  if (pool >= sum_of(limits)) {
    return limits;
  }
  Entries quotas(weights.size(), 0);
  const auto comes_later = [&](std::size_t a, std::size_t b) {
    const std::int64_t worth_a = weights[a] * (2 * quotas[b] + 1);
    const std::int64_t worth_b = weights[b] * (2 * quotas[a] + 1);
    return std::tuple(worth_b, quotas[a], a) > std::tuple(worth_a, quotas[b], b);
  };
  std::priority_queue<std::size_t, std::vector<std::size_t>, decltype(comes_later)> open(comes_later);
  for (std::size_t layer = 0; layer < limits.size(); ++layer) {
    if (limits[layer] > 0) {
      open.push(layer);
    }
  }
  for (; pool > 0; --pool) {
    const std::size_t next = open.top();
    open.pop();
    if (++quotas[next] < limits[next]) {
      open.push(next);
    }
  }
  return quotas;
}

class DynamicKv final : public Budget {
 public:
  static constexpr std::string_view kName = "dynamickv";
  static constexpr std::string_view kDoc =
      "Layers share a pool by how many of its best units they have, decided again and again while the prompt "
      "is read; heads of a layer get the same. For a stage with when: layer_end, scope: layers_seen.";
  static constexpr std::string_view kSource = "DynamicKV, EMNLP'25, and its code (V11)";

  struct Params {
    std::int64_t entries = 120;
    double radio_max = 10.0;
    std::string mode = "fixed";
  };
  static ParamTable<Params> params();
  static std::vector<FigureInfo> figures();

  DynamicKv(Params params, const Context& context) : params_(std::move(params)), context_(context) {}

  void allot(std::span<const HeadCandidates> heads, std::span<std::int64_t> entries) override {
    see(heads);
    const Entries won = winners();
    const Entries quotas = quotas_of(won);
    const Entries within =
        is_last() && !is_faithful() ? apportioned(pool(), won, of_layers(&Layer::stored)) : quotas;
    for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
      cut(layers_[layer], quotas[layer], within[layer]);
    }
    for (std::size_t head = 0; head < heads.size(); ++head) {
      entries[head] = layers_[layer_of(head)].stored;
    }
  }

  void report(Report& report) const override {
    for (const Layer& layer : layers_) {
      report.add("quota", {layer.index, -1}, static_cast<double>(layer.quota));
      report.add("missing", {layer.index, -1}, static_cast<double>(layer.missing));
      report.add("duplicates", {layer.index, -1}, static_cast<double>(layer.places - layer.stored));
    }
    report.add("peak", static_cast<double>(peak_));
  }

 private:
  struct Unit {
    float score;
    std::size_t unit;
    std::size_t layer;  ///< place in `layers_`
    std::int32_t size;
  };
  /// All counts are of entries of one head.
  struct Layer {
    std::int64_t index;  ///< captured
    std::int64_t whole;
    std::int64_t stored;
    std::int64_t pinned;
    std::int64_t places;  ///< of the original's list, which has pinned keys again where entries are too few
    std::int64_t quota = 0;
    std::int64_t missing = 0;
  };

  bool is_faithful() const { return params_.mode == "faithful"; }
  bool is_last() const { return std::ssize(layers_) == context_.stage_layers; }
  std::int64_t pool() const { return params_.entries * context_.stage_layers; }
  std::int64_t cap(std::int64_t whole) const {
    return std::min(static_cast<std::int64_t>(params_.radio_max * static_cast<double>(params_.entries)),
                    whole);
  }
  std::size_t layer_of(std::size_t head) const { return head * layers_.size() / heads_seen_; }
  std::int64_t heads_of_layer() const { return static_cast<std::int64_t>(heads_seen_ / layers_.size()); }
  Entries of_layers(std::int64_t Layer::*what) const {
    Entries all;
    std::ranges::transform(layers_, std::back_inserter(all), what);
    return all;
  }

  /// Until all layers have been seen, keeps what they were like at first: what was removed has no score.
  void see(std::span<const HeadCandidates> heads) {
    if (is_last()) {
      layers_.clear();
      units_.clear();
      heads_seen_ = 0;
      peak_ = 0;
    }
    if (heads.size() <= heads_seen_) {
      throw InputError(
          "scope: budget 'dynamickv' shares a pool among ever more layers; allowed: layers_seen, or model");
    }
    for (; heads_seen_ < heads.size(); ++heads_seen_) {
      see_first(heads[heads_seen_]);
    }
    for (std::size_t head = 0; head < heads.size(); ++head) {
      std::int64_t& stored = layers_[layer_of(head)].stored;
      stored = std::min(stored, heads[head].candidates);
    }
    peak_ = std::max(peak_, sum_of(of_layers(&Layer::stored)) * heads_of_layer());
  }

  void see_first(const HeadCandidates& head) {
    if (layers_.empty() || layers_.back().index != head.layer) {
      layers_.push_back({.index = head.layer,
                         .whole = head.candidates,
                         .stored = cap(head.candidates),
                         .pinned = head.visible - head.candidates,
                         .places = cap(head.candidates)});
    }
    for (std::size_t unit = 0; unit < head.scores.size(); ++unit) {
      if (head.sizes[unit] > 0) {
        units_.push_back({head.scores[unit], unit, layers_.size() - 1, head.sizes[unit]});
      }
    }
  }

  /// By layer; the last unit is cut.
  Entries winners() {
    std::int64_t left = params_.entries * static_cast<std::int64_t>(heads_seen_);
    const auto best = std::span(units_).first(std::min(units_.size(), static_cast<std::size_t>(left)));
    std::ranges::partial_sort(units_, units_.begin() + std::ssize(best), {}, [](const Unit& unit) {
      return std::tuple(-unit.score, unit.unit, unit.layer);
    });
    Entries won(layers_.size(), 0);
    for (const Unit& unit : best) {
      const std::int64_t size = std::min<std::int64_t>(left, unit.size);
      won[unit.layer] += size;
      left -= size;
    }
    return won;
  }

  Entries quotas_of(const Entries& won) const {
    if (is_faithful() || (params_.mode == "fixed" && !is_last())) {
      return by_integers(won);
    }
    if (!is_last()) {
      return of_layers(&Layer::whole);
    }
    Entries caps = of_layers(&Layer::whole);
    std::ranges::transform(caps, caps.begin(), [this](std::int64_t whole) { return cap(whole); });
    return apportioned(pool(), won, caps);
  }

  /// The original's arithmetic, float32 where it has that; where it divides by zero all layers get `entries`.
  Entries by_integers(Entries quotas) const {
    for (std::int64_t& won : quotas) {
      won /= std::ssize(layers_);
    }
    const std::int64_t map_entries = heads_of_layer() * layers_.front().whole;
    if (const std::int64_t sum = sum_of(quotas); is_last() && sum != map_entries) {
      quotas.back() += params_.entries * heads_of_layer() - sum;
    }
    const auto all_won = static_cast<float>(sum_of(quotas));
    for (std::size_t layer = 0; layer < quotas.size() && all_won > 0.0F; ++layer) {
      const float share = static_cast<float>(quotas[layer]) / all_won;
      quotas[layer] = static_cast<std::int64_t>(static_cast<float>(cap(layers_[layer].whole)) * share);
    }
    const double ratio = static_cast<double>(sum_of(quotas)) / static_cast<double>(pool());
    for (std::int64_t& quota : quotas) {
      quota = ratio > 0.0 ? floored_quotient(quota, ratio) : params_.entries;
    }
    quotas.back() += ratio > 0.0 ? pool() - sum_of(quotas) : 0;
    for (std::size_t layer = 0; layer < quotas.size(); ++layer) {
      quotas[layer] = std::min(quotas[layer], layers_[layer].whole);
    }
    return quotas;
  }

  /// To `within` of its entries. The original takes the first `quota` of a list with the pinned keys at its
  /// end, and then those keys.
  void cut(Layer& layer, std::int64_t quota, std::int64_t within) const {
    layer.quota = quota;
    layer.missing = std::max<std::int64_t>(0, quota - layer.stored);
    layer.stored = std::min(within, layer.stored);
    layer.places = is_faithful() ? std::min(quota, layer.places + layer.pinned) : layer.stored;
  }

  Params params_;
  Context context_;
  std::vector<Layer> layers_;  ///< of the prompt that is read, or was read last
  std::vector<Unit> units_;    ///< of their heads
  std::size_t heads_seen_ = 0;
  std::int64_t peak_ = 0;  ///< most that was stored when a call came, of all heads
};

std::vector<FigureInfo> DynamicKv::figures() {
  constexpr FigureDims kDims = FigureDims::step_layer;
  return {
      {"quota", "entries", "entries that a head of the layer should have kept",
       "as `mode` says, after the last layer", kDims},
      {"missing", "entries", "of them, those that an earlier cut had taken", "max(0, quota - stored)", kDims},
      {"duplicates", "entries",
       "pinned keys that the original's softmax would have had more than once, which this one has not",
       "min(quota, what it listed before + pinned) - kept, where mode is faithful", kDims},
      {"peak", "entries", "entries besides pinned ones that layers had at a call, at most",
       "max over calls of sum over heads of min(radio_max * entries, entries left)", FigureDims::step}};
}

ParamTable<DynamicKv::Params> DynamicKv::params() {
  return {
      {"entries",
       &Params::entries,
       {.doc = "entries of a head, besides the pinned ones, mean over the stage's layers",
        .unit = "entries",
        .min = 0,
        .max = bounds::kEntries,
        .source = "DynamicKV's scripts: 64 to 4096, of which 8 are pinned"}},
      {"radio_max",
       &Params::radio_max,
       {.doc = "a head keeps no more than this times `entries`",
        .min = 1,
        .max = 1e6,
        .source = "DynamicKV's scripts: 10; 5 for Qwen2"}},
      {"mode",
       &Params::mode,
       {.doc = "faithful: the original's numbers, which ask layers for entries that they no longer have. "
               "fixed: its cuts before the last layer, then all that is left of the pool is shared by those "
               "that can hold it. one_shot: one decision, after the last layer",
        .choices = "faithful|fixed|one_shot",
        .source = "faithful: DynamicKV's code; fixed, one_shot: ours"}}};
}

const Registration<Budget, DynamicKv> registered;

}  // namespace
}  // namespace kvr
