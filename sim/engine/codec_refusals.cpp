#include "sim/engine/codec_refusals.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <string_view>
#include <vector>

#include "sim/base/registry.hpp"
#include "sim/config/problem_list.hpp"

namespace kvr {
namespace {

/// What a codec with state stores comes back as it was stored, in the first tier.
void refuse_state(const RunConfig& config, ProblemList& problems) {
  const auto refuse = [&](const std::string& key, std::string_view allowed) {
    problems.add(
        fmt::format("{}: not with a codec that keeps state; allowed: {}, or codecs that store each row for "
                    "itself",
                    config.place(key), allowed));
  };
  if (config.system.slot_positions) {
    refuse("system.positions", "absolute");
  }
  for (const TierConfig& tier : config.system.tiers) {
    if (tier.in_place) {
      refuse(fmt::format("system.tiers.{}.access", tier.place), "copied");
    }
  }
}

bool takes_sizes(const std::string& name, const ParamValues& values, const Layout::Context& context) {
  return Registry<Layout>::instance().create(name, values, context)->takes_sizes();
}

std::vector<std::string> layouts_that_take_sizes(const Layout::Context& context) {
  std::vector<std::string> names;
  for (const auto& [name, implementation] : Catalogue::instance().kind(Layout::kKind)) {
    if (takes_sizes(name, {}, context)) {
      names.push_back(name);
    }
  }
  return names;
}

/// What is cut into slots has no room of the right size for each entry.
void refuse_sizes(const RunConfig& config, const StoreCodecs& codecs, const Layout::Context& context,
                  ProblemList& problems) {
  const SystemConfig& system = config.system;
  const auto refuse = [&](std::string_view key, std::string_view what, std::string_view allowed) {
    problems.add(fmt::format("{}: {}, but codecs ({}) store entries in several sizes; allowed: {}",
                             config.place(key), what, config.place("system.codec"), allowed));
  };
  if (codecs.tail() > 0 && !codecs.sized_by_place()) {
    refuse("system.codec", fmt::format("the newest {} entries stay as captured", codecs.tail()),
           "codecs that keep none so, or codecs of one size");
  }
  if (system.on_flash && system.virtual_memory.cache == CacheSwap::area) {
    refuse("system.cache.swap", "area gives each cached entry a slot of one size",
           "in_place, or codecs of one size");
  }
  const ComponentChoice& layout = system.layout;
  if (system.on_flash && !takes_sizes(layout.type, layout.values, context)) {
    refuse("system.layout", fmt::format("'{}' gives each entry a slot of one size", layout.type),
           fmt::format("{}, or codecs of one size", fmt::join(layouts_that_take_sizes(context), ", ")));
  }
}

}  // namespace

void refuse_codecs(const RunConfig& config, const StoreCodecs& codecs, const Layout::Context& layout) {
  ProblemList problems;
  if (codecs.has_state()) {
    refuse_state(config, problems);
  }
  if (codecs.sizes_vary()) {
    refuse_sizes(config, codecs, layout, problems);
  }
  problems.throw_if_any();
}

}  // namespace kvr
