#include "sim/results/compare/first_difference.hpp"

#include <algorithm>
#include <limits>

#include "sim/results/compare/values.hpp"

namespace kvr::compare {
namespace {

constexpr std::size_t kNowhere = std::numeric_limits<std::size_t>::max();

/// One dimension as both files have it: what stands along it in either, and where.
struct SharedAxis {
  std::string name;
  std::vector<std::string> labels;
  std::vector<std::size_t> in_base;
  std::vector<std::size_t> in_now;
  std::size_t base_size;
  std::size_t now_size;
};

bool is_same_axis(const ResultAxis& base, const ResultAxis& now) {
  return base.texts == now.texts && base.numbers == now.numbers;
}

/// Numbers ascend in both files and so do those of either; texts of the second file follow those of the
/// first.
std::vector<std::size_t> places_of(const ResultAxis& axis, const std::vector<std::string>& labels) {
  std::vector<std::size_t> places(labels.size(), kNowhere);
  std::size_t next = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    // Most often the next one; else it is looked for.
    if (next < axis.size() && axis.label(next) == labels[i]) {
      places[i] = next++;
      continue;
    }
    for (std::size_t place = 0; place < axis.size(); ++place) {
      if (axis.label(place) == labels[i]) {
        places[i] = place;
        next = place + 1;
      }
    }
  }
  return places;
}

std::vector<std::string> labels_of(const ResultAxis& base, const ResultAxis& now) {
  std::vector<std::string> labels;
  if (base.texts.empty() && now.texts.empty()) {
    std::vector<std::int64_t> numbers;
    std::ranges::set_union(base.numbers, now.numbers, std::back_inserter(numbers));
    std::ranges::transform(numbers, std::back_inserter(labels),
                           [](std::int64_t number) { return std::to_string(number); });
    return labels;
  }
  for (const ResultAxis* axis : {&base, &now}) {
    for (std::size_t i = 0; i < axis->size(); ++i) {
      if (std::ranges::find(labels, axis->label(i)) == labels.end()) {
        labels.push_back(axis->label(i));
      }
    }
  }
  return labels;
}

SharedAxis shared_axis(const std::string& name, const ResultFile& base_file, const ResultFile& now_file) {
  const ResultAxis& base = base_file.axis(name);
  const ResultAxis& now = now_file.axis(name);
  SharedAxis axis{name, labels_of(base, now), {}, {}, base.size(), now.size()};
  axis.in_base = places_of(base, axis.labels);
  axis.in_now = is_same_axis(base, now) ? axis.in_base : places_of(now, axis.labels);
  return axis;
}

/// Two blocks of values over axes that they share, and a place that goes through them in C order.
class Walk {
 public:
  Walk(std::vector<SharedAxis> axes, std::vector<double> base, std::vector<double> now)
      : axes_(std::move(axes)), base_(std::move(base)), now_(std::move(now)), index_(axes_.size(), 0) {}

  double base_value() const { return value(base_, &SharedAxis::in_base, &SharedAxis::base_size); }
  double now_value() const { return value(now_, &SharedAxis::in_now, &SharedAxis::now_size); }

  /// False after the last place.
  bool advance() {
    for (std::size_t axis = axes_.size(); axis-- > 0;) {
      if (++index_[axis] < axes_[axis].labels.size()) {
        return true;
      }
      index_[axis] = 0;
    }
    return false;
  }

  std::vector<std::pair<std::string, std::string>> labels() const {
    std::vector<std::pair<std::string, std::string>> labels;
    for (std::size_t axis = 0; axis < axes_.size(); ++axis) {
      labels.emplace_back(axes_[axis].name, axes_[axis].labels[index_[axis]]);
    }
    return labels;
  }

 private:
  double value(const std::vector<double>& values, std::vector<std::size_t> SharedAxis::*places,
               std::size_t SharedAxis::*size) const {
    std::size_t offset = 0;
    for (std::size_t axis = 0; axis < axes_.size(); ++axis) {
      const std::size_t place = (axes_[axis].*places)[index_[axis]];
      if (place == kNowhere) {
        return kNan;
      }
      offset = offset * (axes_[axis].*size) + place;
    }
    return values[offset];
  }

  std::vector<SharedAxis> axes_;
  std::vector<double> base_;
  std::vector<double> now_;
  std::vector<std::size_t> index_;
};

}  // namespace

std::optional<Place> first_difference(const ResultFile& base_file, const ResultDataset& base,
                                      const ResultFile& now_file, const ResultDataset& now, PointPair point) {
  if (base.dims != now.dims) {
    return Place{base.name, {}, kNan, kNan};
  }
  const std::vector<std::string> dims(base.dims.begin() + 1, base.dims.end());
  std::vector<double> base_values = base_file.block(base, point.base);
  std::vector<double> now_values = now_file.block(now, point.now);
  const bool same_axes = std::ranges::all_of(
      dims, [&](const std::string& name) { return is_same_axis(base_file.axis(name), now_file.axis(name)); });
  if (same_axes && std::ranges::equal(base_values, now_values, are_equal)) {
    return std::nullopt;  // nearly always, and much faster than place by place
  }
  std::vector<SharedAxis> axes;
  for (const std::string& name : dims) {
    axes.push_back(shared_axis(name, base_file, now_file));
    if (axes.back().labels.empty()) {
      return std::nullopt;
    }
  }
  Walk walk(std::move(axes), std::move(base_values), std::move(now_values));
  do {
    if (!are_equal(walk.base_value(), walk.now_value())) {
      return Place{base.name, walk.labels(), walk.base_value(), walk.now_value()};
    }
  } while (walk.advance());
  return std::nullopt;
}

}  // namespace kvr::compare
