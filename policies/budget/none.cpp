// No entries, for any head:
//
//   entries = 0
#include <algorithm>

#include "sim/base/registry.hpp"
#include "sim/interfaces/budget.hpp"

namespace kvr {
namespace {

class NoBudget final : public Budget {
 public:
  static constexpr std::string_view kName = "none";
  static constexpr std::string_view kDoc = "Allots no entries.";
  static constexpr std::string_view kSource = "ours (a stage that estimates nothing)";

  using Params = NoParams;
  static ParamTable<Params> params() { return {}; }

  NoBudget(Params, const Context&) {}

  void allot(std::span<const HeadCandidates>, std::span<std::int64_t> entries) override {
    std::ranges::fill(entries, 0);
  }
};

const Registration<Budget, NoBudget> registered;

}  // namespace
}  // namespace kvr
