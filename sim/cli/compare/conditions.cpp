#include "sim/cli/compare/conditions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <set>
#include <string_view>

#include "sim/cli/result/flat_configuration.hpp"
#include "sim/results/compare/directions.hpp"
#include "sim/results/lists.hpp"

namespace kvr::cli {
namespace {

constexpr std::array<std::string_view, 10> kLeftOut = {
    "name",      "description", "*.name",    "system.about.*", "run.seed",
    "run.seeds", "run.threads", "run.check", "record.*",       "record"};

bool is_left_out(std::string_view key) {
  return std::ranges::any_of(kLeftOut,
                             [key](std::string_view pattern) { return compare::matches(pattern, key); });
}

/// What the provenance says of files that were read: hashes by path.
std::map<std::string, std::string> hashes_of(const ResultFile& file) {
  std::map<std::string, std::string> hashes;
  for (const std::string kind : {"trace", "data"}) {
    const std::vector<std::string> paths = lines_of(file.provenance(kind + "_path"));
    const std::vector<std::string> found = lines_of(file.provenance(kind + "_sha256"));
    for (std::size_t i = 0; i < std::min(paths.size(), found.size()); ++i) {
      hashes.emplace(paths[i], found[i]);
    }
  }
  return hashes;
}

/// A configuration whose files are named by their hashes.
struct Conditions {
  FlatConfiguration configuration;
  FlatConfiguration files;
};

class Reader {
 public:
  explicit Reader(const ResultFile& file) : file_(file), hashes_(hashes_of(file)) {}

  Conditions of(const ResultPoint& point) const {
    Conditions conditions{flat_configuration(file_, point), {}};
    std::erase_if(conditions.configuration, [](const auto& entry) { return is_left_out(entry.first); });
    for (const auto& [key, value] : conditions.configuration) {
      if (const auto hash = hashes_.find(value); hash != hashes_.end()) {
        conditions.files.emplace(key, "sha256 " + hash->second);
      }
    }
    std::erase_if(conditions.configuration,
                  [&](const auto& entry) { return conditions.files.contains(entry.first); });
    return conditions;
  }

  bool has_the_hashes_of(const Reader& other) const { return hashes_ == other.hashes_; }

 private:
  const ResultFile& file_;
  std::map<std::string, std::string> hashes_;
};

std::vector<KeyDifference> differences(const FlatConfiguration& base, const FlatConfiguration& now) {
  std::set<std::string> keys;
  for (const FlatConfiguration* flat : {&base, &now}) {
    std::ranges::transform(*flat, std::inserter(keys, keys.end()), &FlatConfiguration::value_type::first);
  }
  const auto value = [](const FlatConfiguration& flat, const std::string& key) {
    const auto found = flat.find(key);
    return found == flat.end() ? std::string("nothing") : found->second;
  };
  std::vector<KeyDifference> found;
  for (const std::string& key : keys) {
    if (value(base, key) != value(now, key)) {
      found.push_back({key, value(base, key), value(now, key)});
    }
  }
  return found;
}

/// The point of `file` with the same seed or, where there is none, one that differs in it alone.
const ResultPoint* partner_of(const ResultPoint& point, const ResultFile& file) {
  const ResultPoint* partner = nullptr;
  for (const ResultPoint& other : file.points()) {
    if (other.variant == point.variant && (partner == nullptr || other.seed == point.seed)) {
      partner = &other;
    }
  }
  return partner;
}

/// Points that differ in the same keys are told together.
void add(std::vector<ConditionDifference>& all, ConditionDifference one) {
  const auto same = std::ranges::find_if(all, [&](const ConditionDifference& other) {
    return other.traces == one.traces && other.configuration == one.configuration;
  });
  if (same == all.end()) {
    all.push_back(std::move(one));
  } else if (std::ranges::find(same->points, one.points.front()) == same->points.end()) {
    same->points.push_back(one.points.front());
  }
}

}  // namespace

std::vector<ConditionDifference> condition_differences(const ResultFile& base, const ResultFile& now) {
  const Reader of_base(base);
  const Reader of_now(now);
  std::vector<ConditionDifference> all;
  for (const ResultPoint& point : base.points()) {
    const ResultPoint* partner = partner_of(point, now);
    if (partner == nullptr ||
        (partner->resolved_config == point.resolved_config && of_base.has_the_hashes_of(of_now))) {
      continue;
    }
    const Conditions before = of_base.of(point);
    const Conditions after = of_now.of(*partner);
    ConditionDifference difference{{point.variant},
                                   differences(before.files, after.files),
                                   differences(before.configuration, after.configuration)};
    if (!difference.traces.empty() || !difference.configuration.empty()) {
      add(all, std::move(difference));
    }
  }
  return all;
}

}  // namespace kvr::cli
