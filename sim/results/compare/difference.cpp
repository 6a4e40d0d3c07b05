// paired: d_i = now_i - base_i of each seed; mean(d) +- t(0.975, n - 1) * s(d) / sqrt(n)
//
// Welch: mean(now) - mean(base) +- t(0.975, v) * sqrt(a + b), a and b the squared standard errors of the two
// means and v = (a + b)^2 / (a^2 / (n_a - 1) + b^2 / (n_b - 1)) (Welch 1947, Satterthwaite 1946)
#include "sim/results/compare/difference.hpp"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>

#include "sim/base/error.hpp"
#include "sim/results/compare/values.hpp"
#include "sim/results/statistics.hpp"

namespace kvr::compare {
namespace {

/// Values of the seeds that both have.
struct Pairs {
  std::vector<double> base;
  std::vector<double> now;
};

Pairs pairs_of(const Repetitions& base, const Repetitions& now) {
  Pairs pairs;
  for (std::size_t i = 0; i < base.seeds.size(); ++i) {
    const auto found = std::ranges::find(now.seeds, base.seeds[i]);
    if (found != now.seeds.end()) {
      pairs.base.push_back(base.values[i]);
      pairs.now.push_back(now.values[static_cast<std::size_t>(found - now.seeds.begin())]);
    }
  }
  return pairs;
}

bool has_nan(const std::vector<double>& values) {
  return std::ranges::any_of(values, [](double value) { return std::isnan(value); });
}

Pairs without_empty(const Pairs& pairs) {
  Pairs kept;
  for (std::size_t i = 0; i < pairs.base.size(); ++i) {
    if (!std::isnan(pairs.base[i]) || !std::isnan(pairs.now[i])) {
      kept.base.push_back(pairs.base[i]);
      kept.now.push_back(pairs.now[i]);
    }
  }
  return kept;
}

bool is_all_nan(const std::vector<double>& values) {
  return std::ranges::all_of(values, [](double value) { return std::isnan(value); });
}

/// Where both lack some values, and not the same ones, some are lost.
Presence presence_of(const std::vector<double>& base, const std::vector<double>& now) {
  if (is_all_nan(base) && is_all_nan(now)) {
    return Presence::neither;
  }
  if (has_nan(now)) {
    return Presence::lost;
  }
  return has_nan(base) ? Presence::gained : Presence::both;
}

/// What holds whichever way an interval is found.
Difference plain(const std::vector<double>& base, const std::vector<double>& now) {
  Difference result;
  result.presence = presence_of(base, now);
  const auto mean_or_nan = [](const std::vector<double>& values) {
    return has_nan(values) ? kNan : mean(values);
  };
  result.base = mean_or_nan(base);
  result.now = mean_or_nan(now);
  result.difference = result.now - result.base;
  result.base_seeds = base.size();
  result.now_seeds = now.size();
  return result;
}

Difference paired(const Pairs& pairs) {
  const Pairs kept = without_empty(pairs);
  Difference result = plain(kept.base, kept.now);
  result.equal = std::ranges::equal(pairs.base, pairs.now, are_equal);
  if (kept.base.size() < 2) {
    return result;
  }
  result.method = Method::paired;
  std::vector<double> differences;
  std::ranges::transform(kept.now, kept.base, std::back_inserter(differences), std::minus<>());
  const MeanInterval interval = mean_interval(differences);
  result.difference = interval.mean;
  result.half_width = interval.half_width;
  return result;
}

/// Of the mean of `values`.
double squared_standard_error(const std::vector<double>& values) {
  const double middle = mean(values);
  std::vector<double> squares;
  std::ranges::transform(values, std::back_inserter(squares),
                         [middle](double value) { return (value - middle) * (value - middle); });
  const auto count = static_cast<double>(values.size());
  return sum(squares) / (count - 1.0) / count;
}

double welch_half_width(const std::vector<double>& base, const std::vector<double>& now) {
  const double of_base = squared_standard_error(base);
  const double of_now = squared_standard_error(now);
  const double together = of_base + of_now;
  if (!(together > 0.0) || !std::isfinite(together)) {
    return together == 0.0 ? 0.0 : kNan;
  }
  const auto freedom = [](const std::vector<double>& values) {
    return static_cast<double>(values.size()) - 1.0;
  };
  // As shares, whose squares are no smaller than doubles go.
  const double base_share = of_base / together;
  const double now_share = of_now / together;
  const double degrees =
      1.0 / (base_share * base_share / freedom(base) + now_share * now_share / freedom(now));
  return boost::math::quantile(boost::math::students_t(degrees), 0.975) * std::sqrt(together);
}

bool is_one_value(const std::vector<double>& base, const std::vector<double>& now) {
  const auto is_it = [&](double value) { return are_equal(value, base.front()); };
  return std::ranges::all_of(base, is_it) && std::ranges::all_of(now, is_it);
}

Difference unpaired(const Repetitions& base, const Repetitions& now) {
  Difference result = plain(base.values, now.values);
  result.equal = is_one_value(base.values, now.values);
  if (result.presence == Presence::both && base.values.size() >= 2 && now.values.size() >= 2) {
    result.method = Method::welch;
    result.half_width = welch_half_width(base.values, now.values);
  }
  return result;
}

/// Whether a move by more than `allowed` is sure, which it is without an interval.
bool is_sure(const Difference& difference, double allowed) {
  return !difference.has_interval() || std::abs(difference.difference) - difference.half_width > allowed;
}

Verdict judge_presence(const Difference& difference, const Limits& limits) {
  const bool some = limits.drop || limits.growth;
  const bool all = limits.drop && limits.growth;
  const bool wrong = difference.presence == Presence::lost ? some : all;
  return wrong ? Verdict::regression : Verdict::changed;
}

}  // namespace

Difference difference_of(const Repetitions& base, const Repetitions& now) {
  KVR_CHECK(base.seeds.size() == base.values.size() && now.seeds.size() == now.values.size(),
            "{} seeds of {} values, {} of {}", base.seeds.size(), base.values.size(), now.seeds.size(),
            now.values.size());
  const Pairs pairs = pairs_of(base, now);
  return pairs.base.empty() ? unpaired(base, now) : paired(pairs);
}

Verdict judge(const Difference& difference, const Limits& limits, Origin origin) {
  if (difference.equal || difference.presence == Presence::neither) {
    return Verdict::same;
  }
  if (difference.presence != Presence::both) {
    return judge_presence(difference, limits);
  }
  // A replay of a seed is the same each time: what differs is no chance that an interval could weigh.
  if (limits.allow_no_move() && origin == Origin::simulated) {
    return Verdict::regression;
  }
  if (difference.difference == 0.0) {  // seeds moved, against each other
    return limits.drop || limits.growth ? Verdict::uncertain : Verdict::changed;
  }
  const bool dropped = difference.difference < 0.0;
  const std::optional<Tolerance>& limit = dropped ? limits.drop : limits.growth;
  const std::optional<Tolerance>& other = dropped ? limits.growth : limits.drop;
  if (limit) {
    const double allowed = limit->allowed(difference.base);
    if (std::abs(difference.difference) <= allowed) {
      return Verdict::within;
    }
    return is_sure(difference, allowed) ? Verdict::regression : Verdict::uncertain;
  }
  if (!other) {
    return Verdict::changed;
  }
  return is_sure(difference, 0.0) ? Verdict::improved : Verdict::uncertain;
}

}  // namespace kvr::compare
