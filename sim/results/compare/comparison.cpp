// for each summary of both files, for each variant of both:
//   the values of its seeds -> difference_of -> judge, by the limits that the rules set
//   where it moved: the metrics that its formula names -> first_difference
// for each metric by step that no summary which moved is made of: first_difference
#include "sim/results/compare/comparison.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

namespace kvr::compare {
namespace {

/// The points of one variant in one file.
struct Variant {
  std::string name;
  std::vector<std::int64_t> seeds;
  std::vector<std::size_t> places;
};

/// In the order of the file; of a seed that a variant has twice the first counts.
std::vector<Variant> variants_of(const ResultFile& file) {
  std::vector<Variant> variants;
  for (std::size_t place = 0; place < file.points().size(); ++place) {
    const ResultPoint& point = file.points()[place];
    auto found = std::ranges::find(variants, point.variant, &Variant::name);
    if (found == variants.end()) {
      found = variants.insert(variants.end(), Variant{point.variant, {}, {}});
    }
    if (std::ranges::find(found->seeds, point.seed) == found->seeds.end()) {
      found->seeds.push_back(point.seed);
      found->places.push_back(place);
    }
  }
  return variants;
}

template <class Names>
bool has(const Names& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

std::vector<std::string> names_of(const std::vector<Variant>& variants) {
  std::vector<std::string> names;
  std::ranges::transform(variants, std::back_inserter(names), &Variant::name);
  return names;
}

/// Those of `names` that `others` lacks, in order.
template <class Name>
std::vector<Name> without(const std::vector<Name>& names, const std::vector<Name>& others) {
  std::vector<Name> left;
  std::ranges::copy_if(names, std::back_inserter(left),
                       [&](const Name& name) { return std::ranges::find(others, name) == others.end(); });
  return left;
}

Repetitions repetitions_of(const Variant& variant, const std::vector<double>& summary) {
  Repetitions repetitions{variant.seeds, {}};
  for (const std::size_t place : variant.places) {
    repetitions.values.push_back(summary[place]);
  }
  return repetitions;
}

/// Where a summary stands in reports: in the order of the table, those of later versions behind.
std::size_t rank_of(const std::string& summary) {
  const auto rows = summary_directions();
  return static_cast<std::size_t>(std::ranges::find(rows, summary, &SummaryDirection::name) - rows.begin());
}

std::vector<const ResultDataset*> summaries_of(const ResultFile& file, bool host) {
  std::vector<const ResultDataset*> summaries;
  for (const ResultDataset& dataset : file.datasets()) {
    if (dataset.is_summary() && (host || dataset.origin == Origin::simulated)) {
      summaries.push_back(&dataset);
    }
  }
  std::ranges::stable_sort(summaries, {}, [](const ResultDataset* one) { return rank_of(one->name); });
  return summaries;
}

/// By step, simulated.
std::vector<const ResultDataset*> metrics_of(const ResultFile& file) {
  std::vector<const ResultDataset*> metrics;
  for (const ResultDataset& dataset : file.datasets()) {
    if (!dataset.is_summary() && dataset.origin == Origin::simulated) {
      metrics.push_back(&dataset);
    }
  }
  return metrics;
}

std::vector<std::string> names_of(const std::vector<const ResultDataset*>& datasets) {
  std::vector<std::string> names;
  std::ranges::transform(datasets, std::back_inserter(names), &ResultDataset::name);
  return names;
}

using Words = std::set<std::string, std::less<>>;

/// Letters, digits and what else names of datasets have.
Words words_of(const std::string& formula) {
  Words words;
  std::string word;
  for (const char c : formula + " ") {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_') {
      word += c;
    } else if (!word.empty()) {
      words.insert(std::exchange(word, {}));
    }
  }
  return words;
}

class Comparer {
 public:
  Comparer(const ResultFile& base, const ResultFile& now, const Request& request)
      : base_(base),
        now_(now),
        request_(request),
        base_variants_(variants_of(base)),
        now_variants_(variants_of(now)),
        runs_(same_runs(base, now)) {}

  Comparison result() {
    name_lone_points();
    name_lone_seeds();
    compare_summaries();
    for (Move& move : comparison_.moves) {
      if (move.verdict != Verdict::same) {
        find_first(move);
      }
    }
    name_lone_metrics();
    compare_steps();
    return std::move(comparison_);
  }

 private:
  void name_lone_points() {
    comparison_.missing_points = without(names_of(base_variants_), names_of(now_variants_));
    comparison_.extra_points = without(names_of(now_variants_), names_of(base_variants_));
  }

  void name_lone_seeds() {
    for_shared_variants([&](const Variant& base, const Variant& now) {
      if (const auto missing = without(base.seeds, now.seeds); !missing.empty()) {
        comparison_.missing_seeds.push_back({base.name, missing});
      }
      if (const auto extra = without(now.seeds, base.seeds); !extra.empty()) {
        comparison_.extra_seeds.push_back({base.name, extra});
      }
    });
  }

  template <class Act>
  void for_shared_variants(Act act) const {
    for (const Variant& base : base_variants_) {
      const auto now = std::ranges::find(now_variants_, base.name, &Variant::name);
      if (now != now_variants_.end()) {
        act(base, *now);
      }
    }
  }

  bool is_ignored(const std::string& name) const {
    return std::ranges::all_of(base_variants_, [&](const Variant& variant) {
      return limits_of(name, variant.name, request_.rules, request_.exact).ignored;
    });
  }

  std::vector<std::string> not_ignored(std::vector<std::string> names) const {
    std::erase_if(names, [&](const std::string& name) { return is_ignored(name); });
    return names;
  }

  void compare_summaries() {
    const auto in_base = summaries_of(base_, request_.host);
    const auto in_now = summaries_of(now_, request_.host);
    comparison_.missing_summaries = not_ignored(without(names_of(in_base), names_of(in_now)));
    comparison_.extra_summaries = not_ignored(without(names_of(in_now), names_of(in_base)));
    for (const ResultDataset* base : in_base) {
      if (const ResultDataset* now = now_.find(base->name, base->origin);
          now != nullptr && now->is_summary()) {
        compare_summary(*base, *now);
      }
    }
    std::map<std::string_view, std::size_t> order;
    for (const Variant& variant : base_variants_) {
      order.emplace(variant.name, order.size());
    }
    std::ranges::stable_sort(comparison_.moves, {}, [&](const Move& move) { return order.at(move.point); });
  }

  void compare_summary(const ResultDataset& base, const ResultDataset& now) {
    const std::vector<double> base_values = base_.summary(base);
    const std::vector<double> now_values = now_.summary(now);
    for_shared_variants([&](const Variant& base_variant, const Variant& now_variant) {
      Move move{.point = base_variant.name,
                .summary = base.name,
                .unit = base.unit,
                .origin = base.origin,
                .difference = difference_of(repetitions_of(base_variant, base_values),
                                            repetitions_of(now_variant, now_values)),
                .limits = limits_of(base.name, base_variant.name, request_.rules, request_.exact),
                .verdict = Verdict::same};
      move.verdict = judge(move.difference, move.limits, move.origin);
      if (!move.limits.ignored) {
        comparison_.moves.push_back(std::move(move));
      }
    });
  }

  /// The metrics by step that `formula` names and both files have.
  std::vector<const ResultDataset*> metrics_in(const std::string& formula, Origin origin) const {
    std::vector<const ResultDataset*> metrics;
    for (const std::string& word : words_of(formula)) {
      const ResultDataset* metric = base_.find(word, origin);
      if (metric != nullptr && !metric->is_summary() && now_.find(word, origin) != nullptr) {
        metrics.push_back(metric);
      }
    }
    return metrics;
  }

  /// Of two places in different metrics the one whose step is earlier comes first.
  static bool is_earlier(const Place& a, const Place& b) {
    const auto step = [](const Place& place) {
      return place.at.empty() || place.at.front().first != "step" ? 0 : std::stoll(place.at.front().second);
    };
    return step(a) < step(b);
  }

  std::optional<Place> first_in(const ResultDataset& metric, const SameRun& run) {
    const auto key = std::pair(&metric, run.pair.base);
    const auto known = firsts_.find(key);
    if (known != firsts_.end()) {
      return known->second;
    }
    const ResultDataset* now = now_.find(metric.name, metric.origin);
    return firsts_.emplace(key, first_difference(base_, metric, now_, *now, run.pair)).first->second;
  }

  void find_first(Move& move) {
    const auto metrics = metrics_in(base_.find(move.summary, move.origin)->formula, move.origin);
    for (const SameRun& run : runs_) {
      if (run.point != move.point || move.first) {
        continue;
      }
      move.first_seed = run.seed;
      for (const ResultDataset* metric : metrics) {
        const std::optional<Place> place = first_in(*metric, run);
        if (place && (!move.first || is_earlier(*place, *move.first))) {
          move.first = place;
        }
      }
    }
  }

  /// The metrics of each point that summaries which have moved are made of: they are told by these.
  std::map<std::string, Words> metrics_told() const {
    std::map<std::string, Words> told;
    for (const Move& move : comparison_.moves) {
      if (move.verdict != Verdict::same) {
        told[move.point].merge(words_of(base_.find(move.summary, move.origin)->formula));
      }
    }
    return told;
  }

  bool may_not_move(const std::string& name) const {
    return std::ranges::any_of(base_variants_, [&](const Variant& variant) {
      const Limits limits = limits_of(name, variant.name, request_.rules, request_.exact);
      return !limits.ignored && limits.allow_no_move();
    });
  }

  void name_lone_metrics() {
    const auto in_base = names_of(metrics_of(base_));
    const auto in_now = names_of(metrics_of(now_));
    for (const std::string& name : not_ignored(without(in_base, in_now))) {
      comparison_.missing_metrics.push_back({name, may_not_move(name)});
    }
    comparison_.extra_metrics = not_ignored(without(in_now, in_base));
  }

  void compare_steps() {
    std::map<std::string, Words> told = metrics_told();
    for (const ResultDataset* in_base : metrics_of(base_)) {
      const ResultDataset& metric = *in_base;
      const ResultDataset* now = now_.find(metric.name, metric.origin);
      if (now == nullptr || now->is_summary()) {
        continue;
      }
      std::string last;  // of several seeds one is enough
      for (const SameRun& run : runs_) {
        const Limits limits = limits_of(metric.name, run.point, request_.rules, request_.exact);
        if (run.point == last || limits.ignored || told[run.point].contains(metric.name)) {
          continue;
        }
        if (const std::optional<Place> place = first_in(metric, run)) {
          comparison_.step_moves.push_back({run.point, run.seed, *place, limits.allow_no_move()});
          last = run.point;
        }
      }
    }
  }

  const ResultFile& base_;
  const ResultFile& now_;
  const Request& request_;
  std::vector<Variant> base_variants_;
  std::vector<Variant> now_variants_;
  std::vector<SameRun> runs_;
  /// Of a metric and a point of the base.
  std::map<std::pair<const ResultDataset*, std::size_t>, std::optional<Place>> firsts_;
  Comparison comparison_;
};

}  // namespace

std::size_t Comparison::count(Verdict verdict) const {
  return static_cast<std::size_t>(std::ranges::count(moves, verdict, &Move::verdict));
}

std::vector<SameRun> same_runs(const ResultFile& base, const ResultFile& now) {
  const std::vector<Variant> now_variants = variants_of(now);
  std::vector<SameRun> runs;
  for (const Variant& variant : variants_of(base)) {
    const auto other = std::ranges::find(now_variants, variant.name, &Variant::name);
    for (std::size_t i = 0; other != now_variants.end() && i < variant.seeds.size(); ++i) {
      const auto seed = std::ranges::find(other->seeds, variant.seeds[i]);
      if (seed != other->seeds.end()) {
        const auto place = static_cast<std::size_t>(seed - other->seeds.begin());
        runs.push_back({variant.name, variant.seeds[i], {variant.places[i], other->places[place]}});
      }
    }
  }
  return runs;
}

Comparison compare_results(const ResultFile& base, const ResultFile& now, const Request& request) {
  return Comparer(base, now, request).result();
}

}  // namespace kvr::compare
