#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/figures.hpp"
#include "sim/interfaces/report.hpp"
#include "sim/results/point_data.hpp"

namespace kvr {

/// What asks the policies and the device of a point for figures of their own, and puts them into its results.
/// Values are of what is captured; nothing is multiplied up to the model.
class PolicyFigures {
 public:
  /// `sets`: of a layer of one sequence, what decides together: its heads, or one. `data` outlives this.
  PolicyFigures(std::int64_t sets, PointData& data) : sets_(sets), data_(&data) {}

  /// An implementation called `name` and what it serves: -1 where that is all layers, or all heads of one.
  /// Nothing where it declares no figures. `role` tells apart those of one name that serve the same, and is
  /// the same for the heads of one. It outlives this.
  template <class Policy>
  void add(const Policy& policy, const std::string& name, std::string_view role = "", HeadId at = {-1, -1}) {
    add(Policy::kKind, name, role, at, [&policy](Report& report) { policy.report(report); });
  }
  /// What is counted counts from now on.
  void begin() { ask(); }
  void record(std::int64_t step);

 private:
  using Ask = std::function<void(Report&)>;
  /// One figure over all that report it.
  struct Series {
    FigureInfo info;
    std::size_t place;           ///< in the results
    std::vector<double> now;     ///< a row of a step; NaN where nothing was reported
    std::vector<double> before;  ///< the step before
  };
  /// The figures of implementations of one name and role.
  struct Group {
    std::string_view kind;
    std::string name;
    std::string role;
    std::vector<Series> series;
  };
  struct Source {
    std::size_t group;
    HeadId at;
    Ask ask;
  };

  void add(std::string_view kind, const std::string& name, std::string_view role, HeadId at, Ask ask);
  std::size_t group_of(std::string_view kind, const std::string& name, std::string_view role,
                       const std::vector<FigureInfo>& figures);
  void ask();
  void take(const Source& source, const Report& report);
  void take(const Source& source, const Report::Value& value);
  /// Throws PolicyFault.
  [[noreturn]] void blame(const Source& source, const std::string& what) const;

  std::int64_t sets_;
  PointData* data_;
  std::vector<Group> groups_;
  std::vector<Source> sources_;
};

}  // namespace kvr
