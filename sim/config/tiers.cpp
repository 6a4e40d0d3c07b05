#include "sim/config/tiers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "sim/base/param_text.hpp"

namespace kvr::config {
namespace {

/// What a tier is by its place in the list.
enum class Place { first, first_of_its_own, middle, last_memory, device };

/// Keys beside the name, and why a place has no use for them; empty: they belong there.
struct KeyRule {
  std::string_view key;
  std::array<std::string_view, 5> because;  ///< by Place
};

// Where no tiers are given.
constexpr std::string_view kFirst = "dram";
constexpr std::string_view kFlash = "flash";

constexpr std::string_view kPhone = "attention reads the first tier, at the phone's bandwidth";
constexpr std::string_view kDevice = "a tier without a bandwidth is the flash device, which says it itself";
constexpr std::string_view kHoldsAll = "the last tier holds everything";
constexpr std::string_view kCache = "system.cache.capacity and system.dram say it of the first tier";
constexpr std::string_view kReplacement = "system.replacement says it of the first tier";
constexpr std::string_view kBetween = "it is said of tiers between the first and the last";
constexpr std::array kRules{
    KeyRule{"bandwidth", {kPhone, "", "", "", ""}},
    KeyRule{"latency", {kPhone, kPhone, "", "", kDevice}},
    KeyRule{"capacity", {kCache, kCache, "", kHoldsAll, kHoldsAll}},
    KeyRule{"replacement", {kReplacement, kReplacement, "", kHoldsAll, kHoldsAll}},
    KeyRule{"copies", {kBetween, kBetween, "", kHoldsAll, kHoldsAll}},
    KeyRule{"access", {"", "", "", "", "attention reads no flash: entries are copied up"}},
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
    return gives(tiers.children[index], "access") ? Place::first_of_its_own : Place::first;
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
      drop("bandwidth");
    } else if (place_ == Place::first) {
      drop("access");
    } else if (place_ == Place::first_of_its_own) {
      check_first();
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
    drop(key);
  }

  void drop(std::string_view key) {
    std::erase_if(tier_.children, [key](const Resolved& child) { return child.key == key; });
  }

  void check_first() {
    const Resolved& access = *find(tier_, "access");
    if (std::get<std::string>(access.value) != "in_place") {
      problems_.add(access.mark, join_path(path_, "access"),
                    "is not how attention reads the first tier (copied); allowed: in_place");
    }
    if (!gives(tier_, "bandwidth")) {
      drop("bandwidth");
    }
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

std::vector<std::string> homes_of_representatives(const Node& system) {
  const Node* tiers = system.find("tiers");
  if (tiers == nullptr || tiers->kind != NodeKind::list || tiers->children.empty()) {
    return {std::string(kFirst), std::string(kFlash)};
  }
  std::vector<std::string> names;
  const auto add = [&names](const Node& tier) {
    if (const Node* name = tier.find("name"); name != nullptr) {
      names.push_back(name->text);
    }
  };
  add(tiers->children.front());
  if (has_tiers_for(Needed::on_flash, system)) {
    add(tiers->children.back());
  }
  return names;
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

std::vector<std::string> tier_names(const Resolved& tiers) {
  std::vector<std::string> names;
  for (const Resolved& tier : tiers.children) {
    names.push_back(std::get<std::string>(tier.at("name").value));
  }
  return names.empty() ? std::vector<std::string>{std::string(kFirst), std::string(kFlash)} : names;
}

double first_bandwidth(const Resolved& tiers) {
  const Resolved* bandwidth = tiers.children.empty() ? nullptr : find(tiers.children.front(), "bandwidth");
  return bandwidth == nullptr ? 0.0 : std::get<double>(bandwidth->value);
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
    config.in_place = std::get<std::string>(tier.at("access").value) == "in_place";
    if (find(tier, "capacity") != nullptr) {
      config.capacity_bytes = std::get<std::int64_t>(tier.at("capacity").value);
      config.replacement = component_of(tier.at("replacement"));
      config.exclusive = std::get<std::string>(tier.at("copies").value) == "exclusive";
    }
  }
  return memory;
}

}  // namespace kvr::config
