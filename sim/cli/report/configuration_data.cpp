#include "sim/cli/report/configuration_data.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "sim/cli/result/flat_configuration.hpp"

namespace kvr::cli {

Json configuration_data(const ResultFile& file) {
  std::vector<FlatConfiguration> points;
  std::set<std::string> keys;
  for (const ResultPoint& point : file.points()) {
    for (const auto& [key, value] : points.emplace_back(flat_configuration(file, point))) {
      keys.insert(key);
    }
  }
  Json common = Json::object();
  Json differing = Json::array();
  for (const std::string& key : keys) {
    Json values = Json::array();
    for (const FlatConfiguration& point : points) {
      const auto found = point.find(key);
      values.push_back(found == point.end() ? Json() : Json(found->second));
    }
    if (std::ranges::all_of(values, [&](const Json& value) { return value == values.front(); })) {
      common[key] = values.front();
    } else {
      differing.push_back({{"key", key}, {"values", std::move(values)}});
    }
  }
  return {{"common", std::move(common)}, {"differing", std::move(differing)}};
}

}  // namespace kvr::cli
