// A head keeps the cheapest class of entries that holds enough of its attention. Classes, each with all of
// the one before it, of n entries:
//
//   special      the first `first`, and tokens that the tokenizer calls special
//   punctuation  and punctuation
//   frequent     and of the rest the ceil(frequent n) that have got most attention
//   local        and the last max(1, floor(local n)); frequent ones are then of what is left
//   full         all
//
//   prompt, once:  recovered(class) = mean over the last `window` queries t, of all query heads, of the
//                                     attention that t pays to the class, local counted back from t
//                  rung = first class with recovered >= recovery
//   every step:    S[entry] += attention of all query heads
//   score(entry)   = 4 special, 3 punctuation, 2 frequent, 1 local or full, 0 what the rung leaves out
//   score(unit)    = largest of its members
//
// A budget that takes what scores 1 and more keeps the rung. S begins with the sums of the whole prompt and
// is not divided by an entry's age.
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <vector>

#include "policies/scorer/prompt_softmax.hpp"
#include "sim/base/figures.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/scorer.hpp"

namespace kvr {
namespace {

enum class Rung : std::uint8_t { special, punctuation, frequent, local, full };
constexpr std::array kBelowFull = {Rung::special, Rung::punctuation, Rung::frequent, Rung::local};

class HeadProfile final : public Scorer {
 public:
  static constexpr std::string_view kName = "head_profile";
  static constexpr std::string_view kDoc =
      "Ranks units by the class of their tokens, of those classes that the head attends to: special tokens, "
      "punctuation, frequent, local, all; found once for each head, when the prompt has been read.";
  static constexpr std::string_view kSource = "FastGen, ICLR'24 (by its re-implementation in cold-compress)";
  static std::vector<FigureInfo> figures();

  struct Params {
    double recovery = 0.95;
    double frequent = 0.3;
    double local = 0.3;
    std::int64_t first = 4;
    std::int64_t window = 32;
  };
  static ParamTable<Params> params();

  HeadProfile(const Params& params, const Context& context) : params_(params), context_(context) {}

  TraceNeeds needs() const override {
    return {.prompt_attention_sums = true, .prompt_window = params_.window, .token_classes = true};
  }
  bool asks_queries() const override { return false; }

  void begin(const PromptView& prompt, Work& work) override {
    sums_.assign(static_cast<std::size_t>(prompt.rows.entries()), 0.0F);
    for (std::int64_t query = 0; query < prompt.attention_sums.rows; ++query) {
      std::ranges::transform(sums_, prompt.attention_sums.row(query), sums_.begin(), std::plus{});
    }
    entries_ = prompt.rows.entries();
    classes_.assign(prompt.token_classes.begin(), prompt.token_classes.end());
    profile(prompt);
    work += static_cast<double>(std::ssize(prompt.window_positions) * context_.group * entries_) *
            PromptSoftmax::key_work(context_.query_dim());
  }

  void token(EntryIndex entry, TokenClass its_class) override {
    classes_.resize(static_cast<std::size_t>(entry), TokenClass::other);
    classes_.push_back(its_class);
  }

  bool wants_attention() const override { return true; }
  void attended(std::int64_t, std::span<const EntryIndex> entries, std::span<const float> weights,
                Work& work) override {
    if (!counts()) {
      return;
    }
    sums_.resize(std::max(sums_.size(), static_cast<std::size_t>(std::ranges::max(entries)) + 1), 0.0F);
    for (std::size_t i = 0; i < entries.size(); ++i) {
      sums_[static_cast<std::size_t>(entries[i])] += weights[i];
    }
    work += static_cast<double>(entries.size()) * Work{.flops = 1.0, .bytes = 4.0 + 4.0};
  }

  void update(std::span<const Change> changes, const Clustering&, const HeadView& view, Work&) override {
    entries_ = view.entries();
    removed_ += std::ranges::count(changes, ChangeKind::removed, &Change::kind);
  }

  void score(const MatrixView<float>&, const Clustering& clustering, const HeadView& view,
             const MatrixRef<float>& scores, Work& work) override {
    std::vector<EntryIndex> members;
    for (UnitId unit = 0; unit < scores.cols; ++unit) {
      const auto of_unit = clustering.members(unit);
      members.insert(members.end(), of_unit.begin(), of_unit.end());
    }
    const std::vector<std::uint8_t> levels = levels_of(rung_, members, view.entries());
    for (UnitId unit = 0; unit < scores.cols; ++unit) {
      std::uint8_t best = 0;
      for (const EntryIndex entry : clustering.members(unit)) {
        best = std::max(best, levels[static_cast<std::size_t>(entry)]);
      }
      for (std::int64_t query = 0; query < scores.rows; ++query) {
        scores.row(query)[static_cast<std::size_t>(unit)] = static_cast<float>(best);
      }
    }
    work += static_cast<double>(std::ssize(members)) * Work{.flops = 1.0, .bytes = counts() ? 5.0 : 1.0};
  }

  /// A byte for the class, and where it counts a sum in float32, for each entry.
  std::int64_t dram_bytes() const override { return (entries_ - removed_) * (counts() ? 5 : 1); }

  void report(Report& report) const override {
    report.add("rung", static_cast<double>(rung_));
    report.add("recovered", recovered_);
  }

 private:
  /// Whether it must know who is frequent.
  bool counts() const { return rung_ == Rung::frequent || rung_ == Rung::local; }

  std::int64_t local_of(std::int64_t entries) const {
    return std::max<std::int64_t>(1, std::llround(std::floor(params_.local * static_cast<double>(entries))));
  }

  bool is_special(EntryIndex entry) const {
    return entry < params_.first || classes_[static_cast<std::size_t>(entry)] == TokenClass::special;
  }

  /// What each of `members`, of `entries`, scores under a rung, [entries].
  std::vector<std::uint8_t> levels_of(Rung rung, std::span<const EntryIndex> members,
                                      std::int64_t entries) const {
    std::vector<std::uint8_t> levels(static_cast<std::size_t>(entries), rung == Rung::full ? 1 : 0);
    const std::int64_t before_local = entries - local_of(entries);
    std::vector<EntryIndex> rest;
    for (const EntryIndex entry : members) {
      const auto at = static_cast<std::size_t>(entry);
      if (is_special(entry)) {
        levels[at] = 4;
      } else if (rung >= Rung::punctuation && classes_[at] == TokenClass::punctuation) {
        levels[at] = 3;
      } else if (rung == Rung::local && entry >= before_local) {
        levels[at] = 1;
      } else {
        rest.push_back(entry);
      }
    }
    if (rung == Rung::frequent || rung == Rung::local) {
      mark_frequent(rest, entries, levels);
    }
    return levels;
  }

  void mark_frequent(std::vector<EntryIndex>& rest, std::int64_t entries,
                     std::vector<std::uint8_t>& levels) const {
    const auto sum = [this](EntryIndex entry) {
      const auto at = static_cast<std::size_t>(entry);
      return at < sums_.size() ? sums_[at] : 0.0F;
    };
    std::ranges::sort(rest);
    std::ranges::stable_sort(rest, std::ranges::greater{}, sum);
    const auto count = static_cast<std::size_t>(std::ceil(params_.frequent * static_cast<double>(entries)));
    for (const EntryIndex entry : std::span(rest).first(std::min(count, rest.size()))) {
      levels[static_cast<std::size_t>(entry)] = 2;
    }
  }

  /// Finds the rung. What a class leaves out is summed up, so that a class that leaves out nothing
  /// recovers 1.
  void profile(const PromptView& prompt) {
    std::vector<EntryIndex> all(static_cast<std::size_t>(prompt.rows.entries()));
    std::iota(all.begin(), all.end(), EntryIndex{0});
    std::array<std::vector<std::uint8_t>, kBelowFull.size()> levels;
    std::array<double, kBelowFull.size()> missing{};
    for (std::size_t rung = 0; rung < kBelowFull.size(); ++rung) {
      levels[rung] = levels_of(kBelowFull[rung], all, entries_);
    }
    const auto queries = static_cast<std::int64_t>(std::ssize(prompt.window_positions));
    const std::int64_t first = std::max<std::int64_t>(0, queries - params_.window);
    PromptSoftmax softmax(context_.attention_scale);
    for (std::int64_t t = first; t < queries; ++t) {
      for (std::int64_t query = 0; query < context_.group; ++query) {
        const std::span<const float> weights = softmax.weights(prompt, t, query, context_.group);
        for (std::size_t rung = 0; rung < kBelowFull.size(); ++rung) {
          missing[rung] += left_out(kBelowFull[rung], levels[rung], weights, prompt.rows.entries());
        }
      }
    }
    const auto asked = static_cast<double>((queries - first) * context_.group);
    rung_ = Rung::full;
    recovered_ = 1.0;
    for (std::size_t rung = 0; rung < kBelowFull.size() && rung_ == Rung::full; ++rung) {
      const double recovered = 1.0 - missing[rung] / asked;
      if (asked > 0.0 && recovered >= params_.recovery) {
        rung_ = kBelowFull[rung];
        recovered_ = recovered;
      }
    }
  }

  /// Of a query's weights what a class does not have. Its local entries are the last before the query.
  double left_out(Rung rung, std::span<const std::uint8_t> levels, std::span<const float> weights,
                  std::int64_t prompt) const {
    const std::int64_t visible = std::ssize(weights);
    const std::int64_t before_local = visible - local_of(prompt);
    double sum = 0.0;
    for (std::int64_t entry = 0; entry < visible; ++entry) {
      const std::uint8_t level = levels[static_cast<std::size_t>(entry)];
      const bool kept = level > 1 || (rung == Rung::local && entry >= before_local);
      sum += kept ? 0.0 : static_cast<double>(weights[static_cast<std::size_t>(entry)]);
    }
    return sum;
  }

  Params params_;
  Context context_;
  Rung rung_ = Rung::full;
  double recovered_ = 1.0;
  std::vector<TokenClass> classes_;  // [entries]
  std::vector<float> sums_;          // [entries], over all query heads
  std::int64_t entries_ = 0;
  std::int64_t removed_ = 0;
};

std::vector<FigureInfo> HeadProfile::figures() {
  constexpr FigureDims kDims = FigureDims::step_layer_head;
  return {{"rung", "class", "class that the head keeps",
           "0 special, 1 and punctuation, 2 and frequent, 3 and local, 4 full", kDims},
          {"recovered", "1", "attention that the class had of the prompt's last queries",
           "mean over the window's queries and the group of the sum of their weights in the class", kDims}};
}

ParamTable<HeadProfile::Params> HeadProfile::params() {
  return {{"recovery",
           &Params::recovery,
           {.doc = "least share of the attention that a head's class must hold; 1: full",
            .min = 0,
            .max = 1,
            .source = "FastGen: about 0.95, from recollection; cold-compress: 0.9 unless given"}},
          {"frequent",
           &Params::frequent,
           {.doc = "share of the entries so far that count as frequent, rounded up",
            .min = 0,
            .max = 1,
            .source = "FastGen, cold-compress: 0.3"}},
          {"local",
           &Params::local,
           {.doc = "share of the entries so far that count as local, rounded down, one at least",
            .min = 0,
            .max = 1,
            .source = "FastGen, cold-compress: 0.3"}},
          {"first",
           &Params::first,
           {.doc = "first entries, which count as special",
            .unit = "entries",
            .min = 0,
            .max = bounds::kEntries,
            .source = "cold-compress: 4 global tokens"}},
          {"window",
           &Params::window,
           {.doc = "last queries of the prompt by which heads are profiled",
            .unit = "queries",
            .min = 1,
            .max = bounds::kEntries,
            .source = "ours: what traces keep; FastGen: all of the prompt"}}};
}

const Registration<Scorer, HeadProfile> registered;

}  // namespace
}  // namespace kvr
