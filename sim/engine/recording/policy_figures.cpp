#include "sim/engine/recording/policy_figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <utility>

#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"

namespace kvr {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Dims dims_of(FigureDims dims) {
  switch (dims) {
    case FigureDims::step:
      return Dims::step;
    case FigureDims::step_layer:
      return Dims::step_layer;
    case FigureDims::step_layer_head:
      return Dims::step_layer_head;
  }
  KVR_CHECK(false, "dims {}", static_cast<int>(dims));
}

bool is_name(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return ('a' <= c && c <= 'z') || ('0' <= c && c <= '9') || c == '_';
  });
}

/// What a declaration lacks; empty: nothing.
std::string wrong_with(const std::vector<FigureInfo>& figures) {
  for (const FigureInfo& figure : figures) {
    if (!is_name(figure.name)) {
      return fmt::format("declares a figure '{}'; allowed: lower-case letters, digits and _", figure.name);
    }
    if (figure.unit.empty() || figure.long_name.empty() || figure.formula.empty()) {
      return fmt::format("declares figure '{}' without unit, meaning or formula", figure.name);
    }
    if (std::ranges::count(figures, figure.name, &FigureInfo::name) > 1) {
      return fmt::format("declares figure '{}' twice", figure.name);
    }
  }
  return "";
}

/// Before the point; with the kind where implementations of several kinds are called so and report.
std::string prefix_of(std::string_view kind, const std::string& name) {
  for (const auto& [other, implementations] : Catalogue::instance().kinds()) {
    const auto same = implementations.find(name);
    if (other != kind && same != implementations.end() && !same->second.figures.empty()) {
      return fmt::format("{}.{}", kind, name);
    }
  }
  return name;
}

std::string where(HeadId at, std::string_view role) {
  std::string text(role);
  if (at.layer >= 0) {
    text += fmt::format("{}layer {}", text.empty() ? "" : ", ", at.layer);
  }
  if (at.head >= 0) {
    text += fmt::format(", head {}", at.head);
  }
  if (at.sequence > 0) {
    text += fmt::format("{}sequence {}", text.empty() ? "" : ", ", at.sequence);
  }
  return text.empty() ? "its figures" : text;
}

}  // namespace

void PolicyFigures::add(std::string_view kind, const std::string& name, std::string_view role, HeadId at,
                        Ask ask) {
  const Implementation* known = Catalogue::instance().find(kind, name);
  if (known != nullptr && !known->figures.empty()) {
    sources_.push_back({group_of(kind, name, role, known->figures), at, std::move(ask)});
  }
}

/// The first role of a name has it; those after it a number besides.
std::size_t PolicyFigures::group_of(std::string_view kind, const std::string& name, std::string_view role,
                                    const std::vector<FigureInfo>& figures) {
  std::size_t of_name = 1;
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    const bool same = groups_[i].kind == kind && groups_[i].name == name;
    if (same && groups_[i].role == role) {
      return i;
    }
    of_name += same ? 1 : 0;
  }
  if (const std::string wrong = wrong_with(figures); !wrong.empty()) {
    throw PolicyFault(fmt::format("{} '{}': {}", kind, name, wrong));
  }
  Group group{kind, name, std::string(role), {}};
  const std::string number = of_name > 1 ? fmt::format("@{}", of_name) : "";
  for (const FigureInfo& info : figures) {
    OwnFigure figure{.name = fmt::format("{}{}.{}", prefix_of(kind, name), number, info.name),
                     .unit = info.unit,
                     .long_name = info.long_name,
                     .formula = info.formula,
                     .policy = fmt::format("{} '{}'", kind, name),
                     .dims = dims_of(info.dims),
                     .adds_up = info.kind == FigureKind::total};
    const std::size_t place = data_->add_figure(std::move(figure));
    const std::vector<double> nothing(data_->figure_row(place), kNan);
    group.series.push_back({info, place, nothing, nothing});
  }
  groups_.push_back(std::move(group));
  return groups_.size() - 1;
}

void PolicyFigures::blame(const Source& source, const std::string& what) const {
  const Group& group = groups_[source.group];
  throw PolicyFault(
      fmt::format("{} '{}': {}: {}", group.kind, group.name, where(source.at, group.role), what));
}

void PolicyFigures::ask() {
  for (Group& group : groups_) {
    for (Series& series : group.series) {
      series.before = series.now;
      std::ranges::fill(series.now, kNan);
    }
  }
  for (const Source& source : sources_) {
    const Group& group = groups_[source.group];
    Report report;
    blaming(
        group.kind, group.name, [&] { return where(source.at, group.role); }, [&] { source.ask(report); });
    take(source, report);
  }
}

void PolicyFigures::take(const Source& source, const Report& report) {
  for (auto value = report.values().begin(); value != report.values().end(); ++value) {
    const bool twice = std::any_of(report.values().begin(), value, [&value](const Report::Value& before) {
      return before.figure == value->figure && before.at.layer == value->at.layer &&
             before.at.head == value->at.head;
    });
    if (twice) {
      blame(source, fmt::format("reports figure '{}' twice", value->figure));
    }
    take(source, *value);
  }
}

void PolicyFigures::take(const Source& source, const Report::Value& value) {
  std::vector<Series>& all = groups_[source.group].series;
  const auto found =
      std::ranges::find_if(all, [&value](const Series& one) { return one.info.name == value.figure; });
  if (found == all.end()) {
    std::vector<std::string> declared;
    std::ranges::transform(all, std::back_inserter(declared),
                           [](const Series& one) { return one.info.name; });
    blame(source, fmt::format("reports figure '{}', which it does not declare; declared: {}", value.figure,
                              fmt::join(declared, ", ")));
  }
  if (!std::isfinite(value.value)) {
    blame(source, fmt::format("figure '{}' is {}, no finite number", value.figure, value.value));
  }
  const HeadId at{value.at.layer >= 0 ? value.at.layer : source.at.layer,
                  value.at.head >= 0 ? value.at.head : source.at.head, source.at.sequence};
  const FigureDims dims = found->info.dims;
  const bool placed =
      (dims == FigureDims::step || at.layer >= 0) && (dims != FigureDims::step_layer_head || at.head >= 0);
  if (!placed || at.layer >= data_->layers() || at.head >= sets_) {
    blame(source, fmt::format("figure '{}' is of layer {}, head {}; allowed: below {} and {}", value.figure,
                              at.layer, at.head, data_->layers(), sets_));
  }
  const auto add = [&found, &value](std::int64_t place) {
    double& sum = found->now[static_cast<std::size_t>(place)];
    sum = std::isnan(sum) ? value.value : sum + value.value;
  };
  if (dims != FigureDims::step_layer_head) {
    add(dims == FigureDims::step ? 0 : at.layer);
    return;
  }
  const std::int64_t members = data_->heads() / sets_;
  const std::int64_t first =
      at.layer * data_->heads_of_layer() + at.sequence * data_->heads() + at.head * members;
  for (std::int64_t head = first; head < first + members; ++head) {
    add(head);
  }
}

void PolicyFigures::record(std::int64_t step) {
  ask();
  for (const Group& group : groups_) {
    for (const Series& series : group.series) {
      std::vector<double> row = series.now;
      for (std::size_t i = 0; series.info.kind == FigureKind::total && i < row.size(); ++i) {
        row[i] -= series.before[i];
      }
      data_->set_figure(series.place, step, row);
    }
  }
}

}  // namespace kvr
