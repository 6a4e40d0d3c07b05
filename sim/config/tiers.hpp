#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/config/resolved.hpp"
#include "sim/config/text/grammar.hpp"
#include "sim/config/text/tree.hpp"
#include "sim/config/tier_config.hpp"

namespace kvr::config {

/// Whether the tiers that `system` gives call for what `field` is needed with. Nothing given: memory over
/// flash.
bool has_tiers_for(Needed needed, const Node& system);

/// Names of the tiers that `system` gives where representatives can live: the first, and the flash.
std::vector<std::string> homes_of_representatives(const Node& system);

/// Holds a checked list of tiers, and how it was `given`, against what each place in it allows, and takes off
/// the keys that have no meaning there.
void check_tiers(const Node& given, Resolved& tiers, std::string_view path, Problems& problems);

/// Of a list that `check_tiers` has found nothing wrong with.
bool ends_in_flash(const Resolved& tiers);
std::vector<std::string> tier_names(const Resolved& tiers);
/// By which attention reads the first; 0: the phone's.
double first_bandwidth(const Resolved& tiers);
std::vector<TierConfig> memory_below_first(const Resolved& tiers);

}  // namespace kvr::config
