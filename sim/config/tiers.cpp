#include "sim/config/tiers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "sim/base/param_text.hpp"

namespace kvr::config {
namespace {

/// What a tier is by its place in the list.
enum class Place { first, middle, last_memory, device };

/// Keys beside the name, and why a place has no use for them; empty: they belong there.
struct KeyRule {
  std::string_view key;
  std::array<std::string_view, 4> because;  ///< by Place
};

constexpr std::string_view kPhone = "attention reads the first tier, at the phone's bandwidth";
constexpr std::string_view kDevice = "a tier without a bandwidth is the flash device, which says it itself";
constexpr std::string_view kHoldsAll = "the last tier holds everything";
constexpr std::array kRules{
    KeyRule{"bandwidth", {kPhone, "", "", ""}},
    KeyRule{"latency", {kPhone, "", "", kDevice}},
    KeyRule{"capacity",
            {"system.cache.capacity and system.dram say it of the first tier", "", kHoldsAll, kHoldsAll}},
    KeyRule{"replacement", {"system.replacement says it of the first tier", "", kHoldsAll, kHoldsAll}},
    KeyRule{"copies", {"it is said of tiers between the first and the last", "", kHoldsAll, kHoldsAll}},
};

const Resolved* find(const Resolved& tier, std::string_view key) {
  const auto found = std::ranges::find(tier.children, key, &Resolved::key);
  return found == tier.children.end() ? nullptr : &*found;
}

bool gives(const Resolved& tier, std::string_view key) {
  const Resolved* child = find(tier, key);
  return child != nullptr && !child->mark.is_default();
}

Place place_of(const Resolved& tiers, std::size_t index) {
  const bool last = index + 1 == tiers.children.size();
  if (index == 0) {
    return Place::first;
  }
  return !last                                       ? Place::middle
         : gives(tiers.children[index], "bandwidth") ? Place::last_memory
                                                     : Place::device;
}

std::string given_text(const Resolved& node) {
  const Resolved& value = node.kind == NodeKind::map && !node.children.empty() ? node.children.front() : node;
  return value.kind == NodeKind::scalar ? format_value(value.value, value.spec) : "a map";
}

/// One tier of the list on its way through the rules.
class TierCheck {
 public:
  TierCheck(Resolved& tier, Place place, std::string path, Problems& problems)
      : tier_(tier), place_(place), path_(std::move(path)), problems_(problems) {}

  void check() {
    for (const KeyRule& rule : kRules) {
      const std::string_view because = rule.because[static_cast<std::size_t>(place_)];
      if (!because.empty()) {
        take_off(rule.key, because);
      }
    }
    if (place_ == Place::middle) {
      require("bandwidth");
      require("capacity");
    } else if (place_ == Place::device) {
      std::erase_if(tier_.children, [](const Resolved& child) { return child.key == "bandwidth"; });
    }
  }

 private:
  void take_off(std::string_view key, std::string_view because) {
    if (gives(tier_, key)) {
      const Resolved& child = *find(tier_, key);
      problems_.add(
          child.mark, join_path(path_, key),
          fmt::format("has no place here ({}): {}; allowed: no such key", given_text(child), because));
    }
    std::erase_if(tier_.children, [key](const Resolved& child) { return child.key == key; });
  }

  void require(std::string_view key) {
    const Resolved* child = find(tier_, key);
    if (child != nullptr && child->mark.is_default()) {
      problems_.add(tier_.mark, join_path(path_, key),
                    fmt::format("is missing; required of a tier between the first and the last: {}",
                                describe_allowed(child->spec)));
    }
  }

  Resolved& tier_;
  Place place_;
  std::string path_;
  Problems& problems_;
};

void check_names(const Node& tiers, std::string_view path, Problems& problems) {
  std::set<std::string> names;
  for (std::size_t i = 0; i < tiers.children.size(); ++i) {
    const Node* name = tiers.children[i].find("name");
    if (name == nullptr || name->kind != NodeKind::scalar) {
      continue;
    }
    const std::string key = fmt::format("{}.{}.name", path, i);
    if (name->text.empty()) {
      problems.add(name->mark, key, "is no name (an empty text); allowed: a name of its own");
    } else if (!names.insert(name->text).second) {
      problems.add(name->mark, key,
                   fmt::format("names two tiers ({}); allowed: a name of its own", name->text));
    }
  }
}

}  // namespace

bool has_tiers_for(Needed needed, const Node& system) {
  const Node* tiers = system.find("tiers");
  if (needed == Needed::always || tiers == nullptr || tiers->kind != NodeKind::list ||
      tiers->children.empty()) {
    return true;
  }
  const bool below = tiers->children.size() > 1;
  return below && (needed == Needed::over_lower_tier || tiers->children.back().find("bandwidth") == nullptr);
}

void check_tiers(const Node& given, Resolved& tiers, std::string_view path, Problems& problems) {
  check_names(given, path, problems);
  for (std::size_t i = 0; i < tiers.children.size(); ++i) {
    TierCheck(tiers.children[i], place_of(tiers, i), fmt::format("{}.{}", path, i), problems).check();
  }
}

bool ends_in_flash(const Resolved& tiers) {
  return tiers.children.empty() ||
         (tiers.children.size() > 1 && find(tiers.children.back(), "bandwidth") == nullptr);
}

std::vector<TierConfig> memory_below_first(const Resolved& tiers) {
  std::vector<TierConfig> memory;
  for (std::size_t i = 1; i < tiers.children.size(); ++i) {
    const Resolved& tier = tiers.children[i];
    if (find(tier, "bandwidth") == nullptr) {
      continue;
    }
    TierConfig& config = memory.emplace_back();
    config.name = std::get<std::string>(tier.at("name").value);
    config.place = i;
    config.bandwidth_bytes_per_s = std::get<double>(tier.at("bandwidth").value);
    config.latency_s = std::get<double>(tier.at("latency").value);
    if (find(tier, "capacity") != nullptr) {
      config.capacity_bytes = std::get<std::int64_t>(tier.at("capacity").value);
      config.replacement = component_of(tier.at("replacement"));
      config.exclusive = std::get<std::string>(tier.at("copies").value) == "exclusive";
    }
  }
  return memory;
}

}  // namespace kvr::config
