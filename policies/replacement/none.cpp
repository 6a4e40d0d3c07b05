// The tier keeps nothing between steps:
//
//   every unit a step selects is a miss
#include "sim/base/registry.hpp"
#include "sim/interfaces/replacement.hpp"

namespace kvr {
namespace {

class None final : public Replacement {
 public:
  static constexpr std::string_view kName = "none";
  static constexpr std::string_view kDoc = "Keeps nothing: every unit is read again whenever it is selected.";
  static constexpr std::string_view kSource = "ours (the baseline of every cache)";

  using Params = NoParams;
  static ParamTable<Params> params() { return {}; }

  None(Params, const Context&) {}

  bool caches() const override { return false; }
  void touched(CacheObject, std::int64_t, bool) override {}
  void updated(CacheObject, std::int64_t) override {}

  CacheObject victim() override { throw InternalError("a policy that keeps nothing was asked for a victim"); }
};

const Registration<Replacement, None> registered;

}  // namespace
}  // namespace kvr
