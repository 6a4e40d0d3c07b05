#pragma once

#include <cstdint>
#include <span>

#include "sim/engine/heads/head_policies.hpp"
#include "sim/interfaces/budget.hpp"

namespace kvr {

/// Asks the budget how many entries each head may select. `heads` [layers * kv_heads], ranked already;
/// `allotted` [heads.size()].
void allot(const Budget& budget, std::span<const HeadPolicies> heads, std::int64_t kv_heads,
           std::span<std::int64_t> allotted);

}  // namespace kvr
