#include <cmath>

#include "sim/base/json.hpp"
#include "sim/cli/inspect/decision.hpp"
#include "sim/results/units/read_uses.hpp"

namespace kvr::cli {
namespace {

/// Null where there is none.
Json number(double value) {
  return std::isnan(value) ? Json() : Json(value);
}
Json number(const std::optional<double>& value) {
  return value ? Json(*value) : Json();
}

/// Null where -1 stands for none.
Json if_any(std::int32_t value) {
  return value < 0 ? Json() : Json(value);
}

Json unit_json(const ShownUnit& unit, const RecordedUnits& record) {
  Json positions = Json::array();
  Json weights = Json::array();
  Json tiers = Json::array();
  for (const UnitEntry& entry : unit.entries) {
    positions.push_back(entry.position);
    weights.push_back(number(static_cast<double>(entry.weight)));
    tiers.push_back(entry.tier < 0 ? Json() : Json(record.tiers.at(static_cast<std::size_t>(entry.tier))));
  }
  Json extents = Json::array();
  for (const UnitExtent& extent : unit.extents) {
    extents.push_back({{"offset_bytes", extent.offset_bytes}, {"length_bytes", extent.length_bytes}});
  }
  const UnitRow& row = unit.row;
  return {{"role", kUnitRoles.at(static_cast<std::size_t>(row.role))},
          {"stage", row.stage < 0 ? Json() : Json(record.stages.at(static_cast<std::size_t>(row.stage)))},
          {"query_head", if_any(row.query_head)},
          {"unit", if_any(row.unit)},
          {"rank", row.rank > 0 ? Json(row.rank) : Json()},
          {"score", number(static_cast<double>(row.score))},
          {"weight", number(static_cast<double>(row.weight))},
          {"in_first_tier", if_any(row.in_first_tier)},
          {"came_ahead", row.came_ahead},
          {"positions", std::move(positions)},
          {"weights", std::move(weights)},
          {"tiers", std::move(tiers)},
          {"extents", std::move(extents)}};
}

}  // namespace

std::string decision_json(const Decision& decision) {
  Json units = Json::array();
  for (const ShownUnit& unit : decision.units) {
    units.push_back(unit_json(unit, decision.record));
  }
  Json requests = Json::array();
  for (const ReadRequest& request : decision.requests) {
    requests.push_back({{"use", kReadUses.at(static_cast<std::size_t>(request.use))},
                        {"offset_bytes", request.offset_bytes},
                        {"length_bytes", request.length_bytes}});
  }
  return json_text({{"file", decision.file},
                    {"point", decision.point},
                    {"step", decision.step},
                    {"position", number(decision.position)},
                    {"layer", decision.layer},
                    {"kv_head", decision.head},
                    {"sequence", decision.sequence},
                    {"recall", number(decision.recall)},
                    {"mass", number(decision.mass)},
                    {"read_bytes", number(decision.read_bytes)},
                    {"units", std::move(units)},
                    {"requests", std::move(requests)}});
}

}  // namespace kvr::cli
