#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "sim/results/compare/rules.hpp"
#include "sim/results/metrics.hpp"

namespace kvr::compare {

/// The values of one summary of one variant, one of each seed; seeds are unique.
struct Repetitions {
  std::vector<std::int64_t> seeds;
  std::vector<double> values;
};

/// How two sets of repetitions are held against each other.
enum class Method {
  plain,   ///< a difference of means; there is no interval
  paired,  ///< the mean of the differences of each seed, with Student's interval
  welch,   ///< the difference of the means of different seeds, with Welch's interval
};

/// What becomes of a value that there may not be.
enum class Presence { both, neither, lost, gained };

struct Difference {
  Method method = Method::plain;
  Presence presence = Presence::both;
  /// Every value of every seed, NaN being equal to NaN; of other seeds: all have one value.
  bool equal = false;
  double base = 0.0;        ///< mean over the seeds that are compared
  double now = 0.0;         ///< likewise
  double difference = 0.0;  ///< now - base
  /// Of the 95 % interval of `difference`; NaN: there is none.
  double half_width = std::numeric_limits<double>::quiet_NaN();
  std::size_t base_seeds = 0;  ///< that are compared
  std::size_t now_seeds = 0;

  bool has_interval() const { return half_width == half_width; }
};

/// Pairs seeds that both have, where they have one in common; without, the means of all seeds are compared,
/// with an interval where both have two seeds at least. Of a pair without a value on both sides nothing is
/// said; where one side alone has none, the value is lost or gained.
Difference difference_of(const Repetitions& base, const Repetitions& now);

enum class Verdict {
  same,
  within,      ///< moved the wrong way, by no more than is allowed
  uncertain,   ///< moved, over several seeds whose interval still holds a move that is allowed
  changed,     ///< moved, and neither way is wrong
  improved,    ///< moved the right way
  regression,  ///< moved the wrong way, by more than is allowed
};

/// A value that is lost is a regression where some move would be one, one that is gained where every move
/// would be; else they are changes. Where no move is allowed, whatever is simulated and differs is a
/// regression, in the mean or in one seed alone; what was measured has its interval there too.
Verdict judge(const Difference& difference, const Limits& limits, Origin origin = Origin::simulated);

}  // namespace kvr::compare
