// pair:  maximum weight matching of the graph of co-retrieval; unmatched units in order
// chain: pairs are beads with two ends; take the heaviest edge between free ends of two chains and join
//        them there, until there is none; lay chain after chain, the one with the lowest unit first
#include "policies/layout/placing/pairing.hpp"

#include <algorithm>
#include <numeric>

#include "policies/layout/placing/matching.hpp"

namespace kvr {
namespace {

std::vector<std::int32_t> match(std::int64_t units, std::span<const CoRetrieval> co_retrieval) {
  std::vector<WeightedEdge> edges;
  for (const CoRetrieval& pair : co_retrieval) {
    edges.push_back({pair.first, pair.second, pair.count});
  }
  const auto vertices = static_cast<std::int32_t>(units);
  return units <= kExactMatchingVertices ? maximum_weight_matching(vertices, edges)
                                         : greedy_matching(vertices, edges);
}

std::vector<UnitPair> matched_pairs(std::int64_t units, std::span<const CoRetrieval> co_retrieval) {
  const std::vector<std::int32_t> partners = match(units, co_retrieval);
  std::vector<UnitPair> pairs;
  UnitPair left_over;
  for (UnitId unit = 0; unit < units; ++unit) {
    const UnitId partner = partners[static_cast<std::size_t>(unit)];
    if (partner > unit) {
      pairs.push_back({unit, partner});
    } else if (partner < 0 && left_over.first < 0) {
      left_over.first = unit;
    } else if (partner < 0) {
      pairs.push_back({left_over.first, unit});
      left_over = {};
    }
  }
  if (left_over.first >= 0) {
    pairs.push_back(left_over);
  }
  std::ranges::sort(pairs, {}, &UnitPair::first);
  return pairs;
}

/// Beads on chains. Every unit is one end of the bead of its pair.
class Chains {
 public:
  Chains(std::int64_t units, std::vector<UnitPair> pairs)
      : pairs_(std::move(pairs)),
        pair_of_(static_cast<std::size_t>(units)),
        neighbour_(static_cast<std::size_t>(units), -1),
        chain_(pairs_.size()) {
    std::iota(chain_.begin(), chain_.end(), std::size_t{0});
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      pair_of(pairs_[i].first) = i;
      if (pairs_[i].second >= 0) {
        pair_of(pairs_[i].second) = i;
      }
    }
  }

  void join(UnitId a, UnitId b) {
    const std::size_t chain_a = chain_of(pair_of(a));
    const std::size_t chain_b = chain_of(pair_of(b));
    if (chain_a != chain_b && neighbour(a) < 0 && neighbour(b) < 0) {
      neighbour(a) = b;
      neighbour(b) = a;
      chain_[chain_b] = chain_a;
    }
  }

  std::vector<UnitPair> laid_out() {
    std::vector<UnitPair> result;
    std::vector<bool> laid(pairs_.size(), false);
    for (const UnitPair& pair : pairs_) {
      for (UnitPair bead = outermost(pair); !laid[pair_of(end_of(bead))];) {
        laid[pair_of(end_of(bead))] = true;
        result.push_back(bead);
        const UnitId next = bead.second < 0 ? -1 : neighbour(bead.second);
        if (next >= 0) {
          bead = facing(next);
        }
      }
    }
    return result;
  }

 private:
  std::size_t& pair_of(UnitId unit) { return pair_of_[static_cast<std::size_t>(unit)]; }
  UnitId& neighbour(UnitId unit) { return neighbour_[static_cast<std::size_t>(unit)]; }
  static UnitId end_of(const UnitPair& bead) { return bead.first >= 0 ? bead.first : bead.second; }

  /// The bead of `unit`, turned so that it comes first.
  UnitPair facing(UnitId unit) {
    const UnitPair& pair = pairs_[pair_of(unit)];
    return pair.first == unit ? pair : UnitPair{pair.second, pair.first};
  }

  /// The bead at the beginning of the chain that holds `bead`, turned as the chain begins.
  UnitPair outermost(UnitPair bead) {
    while (bead.first >= 0 && neighbour(bead.first) >= 0) {
      const UnitPair before = facing(neighbour(bead.first));
      bead = {before.second, before.first};
    }
    return bead;
  }

  std::size_t chain_of(std::size_t pair) {
    while (chain_[pair] != pair) {
      chain_[pair] = chain_[chain_[pair]];
      pair = chain_[pair];
    }
    return pair;
  }

  std::vector<UnitPair> pairs_;
  std::vector<std::size_t> pair_of_;  // [units]
  std::vector<UnitId> neighbour_;     // [units], of another pair; -1: a free end
  std::vector<std::size_t> chain_;    // [pairs], disjoint sets
};

}  // namespace

std::vector<UnitPair> pair_in_order(std::int64_t units) {
  return matched_pairs(units, {});
}

std::vector<UnitPair> pair_correlated(std::int64_t units, std::span<const CoRetrieval> co_retrieval) {
  Chains chains(units, matched_pairs(units, co_retrieval));
  std::vector<CoRetrieval> heaviest(co_retrieval.begin(), co_retrieval.end());
  std::ranges::stable_sort(heaviest, std::ranges::greater(), &CoRetrieval::count);
  for (const CoRetrieval& pair : heaviest) {
    chains.join(pair.first, pair.second);
  }
  return chains.laid_out();
}

}  // namespace kvr
