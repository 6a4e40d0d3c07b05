#include "sim/engine/heads/allotment.hpp"

#include <vector>

namespace kvr {

void allot(const Budget& budget, std::span<const HeadPolicies> heads, std::int64_t kv_heads,
           std::span<std::int64_t> allotted) {
  std::vector<HeadCandidates> candidates;
  for (const HeadPolicies& head : heads) {
    candidates.push_back(head.candidates());
  }
  const std::size_t scope = budget.scope() == BudgetScope::head ? 1 : static_cast<std::size_t>(kv_heads);
  for (std::size_t first = 0; first < candidates.size(); first += scope) {
    budget.allot(std::span(candidates).subspan(first, scope), allotted.subspan(first, scope));
  }
}

}  // namespace kvr
