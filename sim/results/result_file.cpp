// open:
//   format, version, complete -> axes, which are the dimension scales of the root -> points ->
//   what each dataset with a formula says of itself, its dimensions held against the axes
#include "sim/results/result_file.hpp"

#include <hdf5_hl.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <sstream>

#include "sim/base/error.hpp"
#include "sim/base/stored/stored_array.hpp"
#include "sim/results/lists.hpp"
#include "sim/results/units/units_reader.hpp"
#include "sim/results/writer.hpp"

namespace kvr {
namespace {

using hdf5::Handle;
using hdf5::Shape;
using hdf5::StoredArray;

constexpr std::string_view kFormat = "kvreplay-results";
/// Provenance has a line for each trace, which may be many.
constexpr std::size_t kLongestProvenance = std::size_t{1} << 26;

std::vector<double> read_doubles(const StoredArray& array) {
  std::vector<double> values(
      std::accumulate(array.shape().begin(), array.shape().end(), std::size_t{1}, std::multiplies<>()));
  array.read(Shape(array.shape().size(), 0), array.shape(), std::as_writable_bytes(std::span(values)));
  return values;
}

/// What this program calls a dimension, which earlier versions may have called otherwise.
std::string dimension_name(const std::string& name) {
  return name == "head" ? "kv_head" : name;
}

std::string scale_name(hid_t scale) {
  std::array<char, 256> name{};
  const ssize_t length = H5DSget_scale_name(scale, name.data(), name.size() - 1);
  return dimension_name(length > 0 ? name.data() : "");
}

herr_t take_scale_name(hid_t, unsigned, hid_t scale, void* name) {
  *static_cast<std::string*>(name) = scale_name(scale);
  return 1;  // no further ones
}

/// Which axis each dimension of `dataset` lies along.
std::vector<std::string> dimensions_of(hid_t dataset, std::size_t rank) {
  std::vector<std::string> names;
  for (unsigned axis = 0; axis < rank; ++axis) {
    std::string name;
    if (H5DSiterate_scales(dataset, axis, nullptr, take_scale_name, &name) <= 0 || name.empty()) {
      throw InputError(
          fmt::format("{}: dimension {} has no scale; expected one", hdf5::where(dataset), axis));
    }
    names.push_back(std::move(name));
  }
  return names;
}

std::string text_attribute(hid_t dataset, const std::string& name) {
  return hdf5::has_attribute(dataset, name) ? hdf5::read_string(dataset, name) : std::string();
}

}  // namespace

std::string ResultAxis::label(std::size_t place) const {
  return texts.empty() ? std::to_string(numbers.at(place)) : texts.at(place);
}

struct ResultFile::State {
  std::filesystem::path path;
  Handle file;
  std::map<std::string, ResultAxis, std::less<>> axes;
  std::vector<ResultPoint> points;
  std::int64_t points_planned = 0;
  bool complete = true;
  std::vector<std::pair<std::string, std::string>> provenance;
  std::vector<ResultDataset> datasets;
  std::unique_ptr<UnitsReader> units;  ///< once the points are known
  /// The array read last, which keeps what it decoded, and whose it is.
  std::unique_ptr<StoredArray> array;
  const ResultDataset* array_of = nullptr;

  explicit State(const std::filesystem::path& from);
  void check_format() const;
  void read_axes();
  void read_points();
  void read_numbers_of_points();
  void read_sweep();
  void read_axis(const std::string& name);
  void read_model_errors();
  void read_completeness();
  void read_provenance();
  void describe(Origin origin);
  void check_shape(hid_t handle, const ResultDataset& dataset) const;
  std::vector<std::string> texts_by_point(const std::string& name) const;
  std::string place_of(const ResultDataset& dataset) const;
  const StoredArray& open(const ResultDataset& dataset);
  std::vector<double> read(const ResultDataset& dataset, const Shape& begin, const Shape& count);
  /// Reads it in pieces: of many steps a block takes more memory than a damaged file may.
  void check_block(const ResultDataset& dataset, std::size_t point);
};

ResultFile::State::State(const std::filesystem::path& from) : path(from), file(hdf5::open_file(from)) {
  check_format();
  read_axes();
  read_points();
  read_numbers_of_points();
  read_sweep();
  read_model_errors();
  read_completeness();
  read_provenance();
  describe(Origin::simulated);
  describe(Origin::host);
  units = std::make_unique<UnitsReader>(file.get(), points.size());
}

void ResultFile::State::check_format() const {
  const std::string format = text_attribute(file.get(), "format");
  if (format != kFormat) {
    throw InputError(
        fmt::format("{}: {}; expected results of 'kvreplay run'", path.string(),
                    format.empty() ? "no results" : fmt::format("its format is '{}'", hdf5::shown(format))));
  }
  const std::int64_t version = hdf5::read_int(file.get(), "version");
  if (version != kResultsSchemaVersion) {
    throw InputError(fmt::format("{}: results of version {}; this program reads version {}", path.string(),
                                 version, kResultsSchemaVersion));
  }
}

void ResultFile::State::read_axes() {
  for (const std::string& name : hdf5::child_names(file.get())) {
    if (!is_own_dataset(file.get(), name)) {
      continue;
    }
    const Handle dataset = hdf5::open_dataset(file.get(), name);
    if (H5DSis_scale(dataset.get()) <= 0) {
      continue;
    }
    const bool is_text = is_fixed_text(dataset.get());
    if (!is_text && !hdf5::has_type(dataset.get(), H5T_STD_I64LE)) {
      continue;  // of no axis that there is
    }
    const StoredArray scale = open_array(file.get(), name);
    ResultAxis axis{dimension_name(name), {}, {}};
    if (is_text) {
      axis.texts = read_texts(scale);
    } else {
      axis.numbers = read_numbers(scale);
    }
    axes.emplace(axis.name, std::move(axis));
  }
  const auto point = axes.find("point");
  if (point == axes.end() || point->second.texts.empty()) {
    refuse(file.get(), "point", "no points; expected their names");
  }
}

std::vector<std::string> ResultFile::State::texts_by_point(const std::string& name) const {
  std::vector<std::string> texts = read_texts(open_array(file.get(), name));
  if (texts.size() != axes.at("point").size()) {
    refuse(file.get(), "/" + name,
           fmt::format("{} texts; expected {}, as many as there are points", texts.size(),
                       axes.at("point").size()));
  }
  return texts;
}

void ResultFile::State::read_points() {
  const std::vector<std::string>& names = axes.at("point").texts;
  const std::vector<std::string> variants = texts_by_point("variant");
  const std::vector<std::int64_t> seeds = read_numbers(open_array(file.get(), "seed"));
  const std::vector<std::string> configs = texts_by_point("provenance/resolved_config");
  const std::vector<std::string> notes = texts_by_point("provenance/notes");
  if (seeds.size() != names.size()) {
    refuse(file.get(), "seed", fmt::format("{} seeds of {} points", seeds.size(), names.size()));
  }
  std::set<std::string_view> unique;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!unique.insert(names[i]).second) {
      refuse(file.get(), "point",
             fmt::format("'{}' stands there twice; expected unique names", hdf5::shown(names[i])));
    }
    points.push_back({.name = names[i],
                      .variant = variants[i],
                      .seed = seeds[i],
                      .resolved_config = configs[i],
                      .notes = lines_of(notes[i]),
                      .number = static_cast<std::int64_t>(i),
                      .axes = {},
                      .model_errors = {}});
  }
}

void ResultFile::State::read_numbers_of_points() {
  if (!hdf5::has_dataset(file.get(), "provenance/number")) {
    return;
  }
  const std::vector<std::int64_t> numbers = read_numbers(open_array(file.get(), "provenance/number"));
  if (numbers.size() != points.size()) {
    refuse(file.get(), "provenance/number",
           fmt::format("{} numbers of {} points", numbers.size(), points.size()));
  }
  for (std::size_t i = 0; i < points.size(); ++i) {
    points[i].number = numbers[i];
  }
}

void ResultFile::State::read_sweep() {
  std::istringstream names(text_attribute(file.get(), "coordinates"));
  for (std::string name; names >> name;) {
    if (name != "variant" && name != "seed") {
      read_axis(name);
    }
  }
}

void ResultFile::State::read_axis(const std::string& name) {
  const StoredArray stored = open_array(file.get(), name);
  if (stored.shape() != Shape{points.size()}) {
    refuse(file.get(), name, fmt::format("no list of {} values", points.size()));
  }
  constexpr std::string_view kBesideOthers = "axis.";  // where another dataset has the name
  AxisValue axis{.axis = name.starts_with(kBesideOthers) ? name.substr(kBesideOthers.size()) : name,
                 .key = text_attribute(stored.dataset(), "key"),
                 .unit = text_attribute(stored.dataset(), "units"),
                 .value = {}};
  const auto add = [&](const auto& values, auto is_value) {
    for (std::size_t i = 0; i < points.size(); ++i) {
      axis.value = values[i];
      if (is_value(values[i])) {
        points[i].axes.push_back(axis);
      }
    }
  };
  if (hdf5::has_type(stored.dataset(), H5T_STD_I64LE)) {
    add(read_numbers(stored), [](std::int64_t) { return true; });
  } else if (hdf5::has_type(stored.dataset(), H5T_IEEE_F64LE)) {
    add(read_doubles(stored), [](double value) { return !std::isnan(value); });
  } else {
    add(read_texts(stored), [](const std::string& text) { return !text.empty(); });
  }
}

void ResultFile::State::read_model_errors() {
  const std::string group = "device/model_errors/";
  if (!hdf5::has_dataset(file.get(), group + "model")) {
    return;
  }
  const std::vector<std::string> models = read_texts(open_array(file.get(), group + "model"));
  std::map<std::string, std::vector<double>> tables;
  for (const char* const name : {"batches", "median", "p95", "p99", "total_time"}) {
    const StoredArray stored = open_array(file.get(), group + name);
    if (stored.shape() != Shape{points.size(), models.size()} ||
        !hdf5::has_type(stored.dataset(), H5T_IEEE_F64LE)) {
      refuse(file.get(), group + name, fmt::format("no float64 [{}, {}]", points.size(), models.size()));
    }
    tables[name] = read_doubles(stored);
  }
  for (std::size_t i = 0; i < points.size() * models.size(); ++i) {
    if (!std::isnan(tables["batches"][i])) {
      points[i / models.size()].model_errors.push_back(
          {.model = models[i % models.size()],
           .batches = static_cast<std::int64_t>(tables["batches"][i]),
           .median = tables["median"][i],
           .p95 = tables["p95"][i],
           .p99 = tables["p99"][i],
           .total_time = tables["total_time"][i]});
    }
  }
}

void ResultFile::State::read_completeness() {
  const auto number = [&](const char* name, std::int64_t otherwise) {
    return hdf5::has_attribute(file.get(), name) ? hdf5::read_int(file.get(), name) : otherwise;
  };
  points_planned = number("points_planned", std::ssize(points));
  complete = number("complete", points_planned == std::ssize(points) ? 1 : 0) != 0;
}

void ResultFile::State::read_provenance() {
  const Handle group = hdf5::open_group(file.get(), "provenance");
  for (const std::string& name : hdf5::attribute_names(group.get())) {
    provenance.emplace_back(name, hdf5::read_string(group.get(), name, kLongestProvenance));
  }
}

void ResultFile::State::describe(Origin origin) {
  if (origin == Origin::host && !hdf5::has_group(file.get(), "host")) {
    refuse(file.get(), "host", "missing; expected a group");
  }
  const Handle group = hdf5::open_group(file.get(), origin == Origin::host ? "/host" : "/");
  for (const std::string& name : hdf5::child_names(group.get())) {
    if (!is_own_dataset(group.get(), name)) {
      continue;
    }
    const Handle handle = hdf5::open_dataset(group.get(), name);
    if (!hdf5::has_attribute(handle.get(), "formula")) {
      continue;  // a scale, or what says of points what they are
    }
    ResultDataset dataset{.name = name,
                          .origin = origin,
                          .unit = text_attribute(handle.get(), "units"),
                          .long_name = text_attribute(handle.get(), "long_name"),
                          .formula = text_attribute(handle.get(), "formula"),
                          .policy = text_attribute(handle.get(), "policy"),
                          .dims = {},
                          .shape = hdf5::shape_of(handle.get())};
    dataset.dims = dimensions_of(handle.get(), dataset.shape.size());
    check_shape(handle.get(), dataset);
    datasets.push_back(std::move(dataset));
  }
}

void ResultFile::State::check_shape(hid_t handle, const ResultDataset& dataset) const {
  if (!hdf5::has_type(handle, H5T_IEEE_F64LE)) {
    throw InputError(
        fmt::format("{}: {}; expected float64", hdf5::where(handle), hdf5::type_name_of_dataset(handle)));
  }
  if (dataset.dims.empty() || dataset.dims.front() != "point") {
    throw InputError(fmt::format("{}: its dimensions are [{}]; expected 'point' first", hdf5::where(handle),
                                 hdf5::shown(fmt::format("{}", fmt::join(dataset.dims, ", ")))));
  }
  for (std::size_t i = 0; i < dataset.dims.size(); ++i) {
    const auto axis = axes.find(dataset.dims[i]);
    if (axis == axes.end() || axis->second.size() != dataset.shape[i]) {
      throw InputError(fmt::format("{}: {} values along '{}'; expected {}", hdf5::where(handle),
                                   dataset.shape[i], hdf5::shown(dataset.dims[i]),
                                   axis == axes.end() ? 0 : axis->second.size()));
    }
  }
}

std::string ResultFile::State::place_of(const ResultDataset& dataset) const {
  return (dataset.origin == Origin::host ? "/host/" : "/") + dataset.name;
}

const StoredArray& ResultFile::State::open(const ResultDataset& dataset) {
  if (array_of != &dataset) {
    array_of = nullptr;
    array = std::make_unique<StoredArray>(open_array(file.get(), place_of(dataset)));
    array_of = &dataset;
  }
  return *array;
}

std::vector<double> ResultFile::State::read(const ResultDataset& dataset, const Shape& begin,
                                            const Shape& count) {
  const StoredArray& values_of = open(dataset);
  // No more than there is storage for.
  std::vector<double> values(
      std::accumulate(count.begin(), count.end(), std::size_t{1}, std::multiplies<>()));
  values_of.read(begin, count, std::as_writable_bytes(std::span(values)));
  return values;
}

void ResultFile::State::check_block(const ResultDataset& dataset, std::size_t point) {
  constexpr hsize_t kMostValues = hsize_t{1} << 20;
  Shape begin(dataset.shape.size(), 0);
  Shape count = dataset.shape;
  begin[0] = point;
  count[0] = 1;
  if (dataset.is_summary()) {
    read(dataset, begin, count);
    return;
  }
  const hsize_t row = std::accumulate(count.begin() + 2, count.end(), hsize_t{1}, std::multiplies<>());
  const hsize_t rows = std::max<hsize_t>(1, kMostValues / std::max<hsize_t>(1, row));
  for (begin[1] = 0; begin[1] < dataset.shape[1]; begin[1] += rows) {
    count[1] = std::min(rows, dataset.shape[1] - begin[1]);
    read(dataset, begin, count);
  }
}

ResultFile::ResultFile(const std::filesystem::path& path) : state_(std::make_unique<State>(path)) {}
ResultFile::~ResultFile() = default;
ResultFile::ResultFile(ResultFile&&) noexcept = default;
ResultFile& ResultFile::operator=(ResultFile&&) noexcept = default;

const std::filesystem::path& ResultFile::path() const {
  return state_->path;
}

const std::vector<ResultPoint>& ResultFile::points() const {
  return state_->points;
}

std::int64_t ResultFile::points_planned() const {
  return state_->points_planned;
}

bool ResultFile::complete() const {
  return state_->complete;
}

const std::vector<std::pair<std::string, std::string>>& ResultFile::provenance() const {
  return state_->provenance;
}

std::string ResultFile::provenance(std::string_view name) const {
  const auto found = std::ranges::find(state_->provenance, name, &std::pair<std::string, std::string>::first);
  return found == state_->provenance.end() ? std::string() : found->second;
}

const ResultAxis& ResultFile::axis(std::string_view name) const {
  static const ResultAxis kNone;
  const auto found = state_->axes.find(name);
  return found == state_->axes.end() ? kNone : found->second;
}

const std::vector<ResultDataset>& ResultFile::datasets() const {
  return state_->datasets;
}

const ResultDataset* ResultFile::find(std::string_view name, Origin origin) const {
  const auto found = std::ranges::find_if(state_->datasets, [&](const ResultDataset& dataset) {
    return dataset.name == name && dataset.origin == origin;
  });
  return found == state_->datasets.end() ? nullptr : &*found;
}

std::vector<double> ResultFile::summary(const ResultDataset& dataset) const {
  KVR_CHECK(dataset.is_summary(), "{} has {} dimensions", dataset.name, dataset.dims.size());
  return state_->read(dataset, {0}, dataset.shape);
}

std::vector<double> ResultFile::block(const ResultDataset& dataset, std::size_t point) const {
  KVR_CHECK(point < state_->points.size(), "point {} of {}", point, state_->points.size());
  Shape begin(dataset.shape.size(), 0);
  Shape count = dataset.shape;
  begin[0] = point;
  count[0] = 1;
  return state_->read(dataset, begin, count);
}

std::optional<UnitsOutline> ResultFile::units_outline(std::size_t point) const {
  return state_->units->outline(point);
}

RecordedUnits ResultFile::units(std::size_t point) const {
  return state_->units->read(point);
}

void ResultFile::check() const {
  state_->units->check();
  for (const ResultDataset& dataset : datasets()) {
    for (std::size_t point = 0; point < points().size(); ++point) {
      state_->check_block(dataset, point);
    }
  }
}

}  // namespace kvr
