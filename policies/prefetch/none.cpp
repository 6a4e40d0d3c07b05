// No guess: every read waits for the queries that ask for it.
#include "sim/base/registry.hpp"
#include "sim/interfaces/prefetch.hpp"

namespace kvr {
namespace {

class None final : public Prefetch {
 public:
  static constexpr std::string_view kName = "none";
  static constexpr std::string_view kDoc =
      "Never guesses: a layer's reads start once its own queries have ranked its units.";
  static constexpr std::string_view kSource = "ours (the baseline of every prefetch)";

  using Params = NoParams;
  static ParamTable<Params> params() { return {}; }

  None(Params, const Context&) {}

  std::int64_t lead_layers() const override { return 0; }
  void guess(const PrefetchView&, std::vector<UnitId>&) override {}
};

const Registration<Prefetch, None> registered;

}  // namespace
}  // namespace kvr
