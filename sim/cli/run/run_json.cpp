#include "sim/cli/run/run_json.hpp"

#include <utility>
#include <variant>

#include "sim/base/json.hpp"

namespace kvr::cli {
namespace {

Json axes_json(const PointOutline& point) {
  Json axes = Json::object();
  for (const AxisValue& axis : point.axes) {
    std::visit([&](const auto& value) { axes[axis.axis] = value; }, axis.value);
  }
  return axes;
}

Json summaries_json(const PointSummary& summary, Origin origin) {
  Json summaries = Json::object();
  for (std::size_t place = 0; place < summary_table().size(); ++place) {
    const SummaryInfo& info = summary_table()[place];
    if (info.origin == origin) {
      summaries[std::string(info.name)] = summary.values[place];
    }
  }
  return summaries;
}

Json point_json(const PointOutline& point) {
  return {{"name", point.name},
          {"variant", point.variant},
          {"seed", point.seed},
          {"number", point.number},
          {"axes", axes_json(point)},
          {"summaries", summaries_json(point.summary, Origin::simulated)},
          {"host_summaries", summaries_json(point.summary, Origin::host)},
          {"notes", point.notes},
          {"resolved_config", point.resolved_config}};
}

}  // namespace

std::string run_json(std::span<const PointOutline> points, std::int64_t planned) {
  Json list = Json::array();
  for (const PointOutline& point : points) {
    list.push_back(point_json(point));
  }
  return json_text({{"complete", std::ssize(points) == planned},
                    {"points_planned", planned},
                    {"points", std::move(list)}});
}

}  // namespace kvr::cli
