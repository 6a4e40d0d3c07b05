// The HDF5 file of results. Points are loaded one after another, once:
//
//   axes = the longest point's steps, the union of the points' layer and head numbers and of their tiers
//   for the groups / (simulated) and /host (measured):
//     write the scales
//     make a dataset for each metric that some point recorded and each figure of a policy's own (in / alone)
//     for each summary: write one value per point
//   for each point: write its values into all of these, NaN where it has none
//   write /provenance, and /device/model_errors where there are any; close; rename
#include "sim/results/writer.hpp"

#include <hdf5_hl.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include "sim/base/error.hpp"
#include "sim/base/files/new_file.hpp"
#include "sim/base/hdf5.hpp"
#include "sim/results/lists.hpp"
#include "sim/results/units/units_writer.hpp"

namespace kvr {
namespace {

using hdf5::Handle;
using hdf5::Shape;

constexpr hsize_t kChunkValues = kChunkBytes / sizeof(double);
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// What the points of a file have in common; every dataset has these extents or the first few of them.
struct Axes {
  std::vector<std::string> points;
  std::int64_t steps = 0;
  std::vector<std::int64_t> layers;
  std::vector<std::int64_t> heads;
  std::int64_t sequences = 1;      ///< of the point that has most
  std::int64_t prefills = 0;       ///< likewise
  std::vector<std::string> tiers;  ///< in the order in which points name them
};

/// The names of the dimensions of a dataset, which are those of its scales.
std::vector<std::string_view> dimensions(const Axes& axes, Dims dims) {
  std::vector<std::string_view> names{"point"};
  if (dims == Dims::prefill) {
    names.push_back("prefill");
  } else if (dims != Dims::point) {
    names.push_back("step");
  }
  if (dims == Dims::step_tier) {
    names.push_back("tier");
  }
  const bool by_head = dims == Dims::step_layer_head || dims == Dims::step_layer_head_window;
  if (by_head || dims == Dims::step_layer) {
    names.push_back("layer");
  }
  if (by_head && axes.sequences > 1) {
    names.push_back("sequence");
  }
  if (by_head) {
    names.push_back("kv_head");
  }
  if (dims == Dims::step_layer_head_window) {
    names.push_back("window");
  }
  return names;
}

std::vector<std::int64_t> sorted(const std::set<std::int64_t>& numbers) {
  return {numbers.begin(), numbers.end()};
}

Axes axes_of(std::span<const PointOutline> points) {
  Axes axes;
  std::set<std::int64_t> layers;
  std::set<std::int64_t> heads;
  std::set<std::string_view> names;
  for (const PointOutline& point : points) {
    KVR_CHECK(names.insert(point.name).second, "{} twice", point.name);
    axes.points.push_back(point.name);
    axes.steps = std::max(axes.steps, point.steps);
    layers.insert(point.layer_numbers.begin(), point.layer_numbers.end());
    heads.insert(point.head_numbers.begin(), point.head_numbers.end());
    axes.sequences = std::max(axes.sequences, point.walked_sequences);
    axes.prefills = std::max(axes.prefills, point.prefills);
    std::ranges::copy_if(point.tier_names, std::back_inserter(axes.tiers), [&](const std::string& name) {
      return std::ranges::find(axes.tiers, name) == axes.tiers.end();
    });
  }
  axes.layers = sorted(layers);
  axes.heads = sorted(heads);
  return axes;
}

Shape shape_of(const Axes& axes, Dims dims) {
  const std::map<std::string_view, hsize_t> extents{{"point", axes.points.size()},
                                                    {"step", static_cast<hsize_t>(axes.steps)},
                                                    {"layer", axes.layers.size()},
                                                    {"sequence", static_cast<hsize_t>(axes.sequences)},
                                                    {"kv_head", axes.heads.size()},
                                                    {"window", kWindows.size()},
                                                    {"prefill", static_cast<hsize_t>(axes.prefills)},
                                                    {"tier", axes.tiers.size()}};
  Shape shape;
  for (const std::string_view name : dimensions(axes, dims)) {
    shape.push_back(extents.at(name));
  }
  return shape;
}

/// About kChunkValues values: whole rows of one point, or several whole points if they are small.
Shape chunk_of(const Shape& shape) {
  hsize_t row = 1;
  for (std::size_t axis = 2; axis < shape.size(); ++axis) {
    row *= shape[axis];
  }
  Shape chunk = shape;
  chunk[1] = std::clamp<hsize_t>(kChunkValues / row, 1, shape[1]);
  chunk[0] = std::clamp<hsize_t>(kChunkValues / (row * chunk[1]), 1, shape[0]);
  return chunk;
}

/// The dimension scales of one group.
class Scales {
 public:
  /// `by_window`: some dataset is.
  Scales(hid_t group, const Axes& axes, bool by_window) : axes_(axes) {
    add(write_texts(group, "point", axes.points), "point", "configuration");
    add(write_integers(group, "step", counted(axes.steps)), "step",
        "decode step, from the first one replayed");
    add(write_integers(group, "layer", axes.layers), "layer", "layer, as numbered in the model");
    add(write_integers(group, "kv_head", axes.heads), "kv_head", "KV head, as numbered in the model");
    if (axes.sequences > 1) {
      add(write_integers(group, "sequence", counted(axes.sequences)), "sequence",
          "sequence, in the order of workload.sequences");
    }
    if (axes.prefills > 0) {
      add(write_integers(group, "prefill", counted(axes.prefills)), "prefill",
          "what is read in together: 0 the prompts, then the turns that read in");
    }
    if (by_window) {
      add(write_integers(group, "window", {kWindows.begin(), kWindows.end()}), "window",
          "steps that are looked ahead");
    }
    if (!axes.tiers.empty()) {
      add(write_texts(group, "tier", axes.tiers), "tier", "memory below the first tier");
    }
  }

  /// Ties the dimensions of `dataset` to the scales.
  void attach(hid_t dataset, Dims dims = Dims::point) const {
    unsigned axis = 0;
    for (const std::string_view name : dimensions(axes_, dims)) {
      require(H5DSattach_scale(dataset, scales_.at(name).get(), axis++), dataset);
    }
  }

 private:
  void add(Handle scale, const char* name, std::string_view long_name) {
    make_scale(scale, name, long_name);
    scales_.emplace(name, std::move(scale));
  }

  const Axes& axes_;
  std::map<std::string_view, Handle> scales_;
};

/// Where each of `names` stands in `axis`, which has them all.
template <class Name>
std::vector<std::size_t> places(std::span<const Name> names, const std::vector<Name>& axis) {
  std::vector<std::size_t> found;
  for (const Name& name : names) {
    found.push_back(static_cast<std::size_t>(std::ranges::find(axis, name) - axis.begin()));
  }
  return found;
}

/// [steps of the file(, its tiers or layers(, its sequences and heads(, windows)))]: a point's values, NaN
/// where the point has none; no `values`: nowhere.
std::vector<double> on_axes(const PointData& data, Dims dims, std::span<const double> values,
                            const Axes& axes) {
  const bool by_tier = dims == Dims::step_tier;
  const bool by_window = dims == Dims::step_layer_head_window;
  const bool by_head = by_window || dims == Dims::step_layer_head;
  const bool by_layer = by_head || dims == Dims::step_layer;
  const std::size_t layers = by_tier ? axes.tiers.size() : by_layer ? axes.layers.size() : 1;
  const std::size_t sequences = by_head ? static_cast<std::size_t>(axes.sequences) : 1;
  const std::size_t heads = by_head ? axes.heads.size() : 1;
  const std::size_t windows = by_window ? kWindows.size() : 1;
  const std::int64_t rows = dims == Dims::prefill ? axes.prefills : axes.steps;
  std::vector<double> padded(static_cast<std::size_t>(rows) * layers * sequences * heads * windows, kNan);
  if (values.empty()) {
    return padded;
  }
  if (dims == Dims::prefill) {
    std::ranges::copy(values, padded.begin());
    return padded;
  }
  const std::vector<std::size_t> zero{0};
  const auto layer_places = by_tier       ? places(data.tier_names(), axes.tiers)
                            : layers == 1 ? zero
                                          : places(data.layer_numbers(), axes.layers);
  const auto head_places = heads == 1 ? zero : places(data.head_numbers(), axes.heads);
  const std::size_t own_sequences = by_head ? static_cast<std::size_t>(data.walked_sequences()) : 1;
  auto value = values.begin();
  for (std::size_t step = 0; step < static_cast<std::size_t>(data.steps()); ++step) {
    for (const std::size_t layer : layer_places) {
      for (std::size_t sequence = 0; sequence < own_sequences; ++sequence) {
        for (const std::size_t head : head_places) {
          const std::size_t row = ((step * layers + layer) * sequences + sequence) * heads + head;
          value = std::ranges::copy_n(value, static_cast<std::ptrdiff_t>(windows),
                                      padded.begin() + static_cast<std::ptrdiff_t>(row * windows))
                      .in;
        }
      }
    }
  }
  return padded;
}

/// A dataset that waits for the values of points.
struct Series {
  Handle dataset;
  Dims dims;
  Shape shape;
  /// Of a point; none where it has none.
  std::function<std::span<const double>(const PointData&)> values_of;
};

/// All that wait.
using AllSeries = std::vector<Series>;

Series make_series(hid_t group, const std::string& name, Dims dims, const Axes& axes, const Scales& scales) {
  Series series{{}, dims, shape_of(axes, dims), {}};
  series.dataset = hdf5::create_dataset(group, name, H5T_IEEE_F64LE, series.shape,
                                        {.chunk = chunk_of(series.shape), .deflate = kDeflate});
  scales.attach(series.dataset.get(), dims);
  return series;
}

/// `data` may be null: the point keeps no steps.
void write_point(const Series& series, std::size_t index, const PointData* data, const Axes& axes) {
  Shape begin(series.shape.size(), 0);
  begin[0] = index;
  Shape count = series.shape;
  count[0] = 1;
  std::vector<double> values(
      static_cast<std::size_t>(std::accumulate(count.begin(), count.end(), hsize_t{1}, std::multiplies<>())),
      kNan);
  if (data != nullptr) {
    values = on_axes(*data, series.dims, series.values_of(*data), axes);
  }
  hdf5::write_block(series.dataset.get(), H5T_NATIVE_DOUBLE, begin, count, values.data());
}

Series make_metric(hid_t group, const MetricInfo& metric, const Axes& axes, const Scales& scales) {
  Series series = make_series(group, std::string(metric.name), metric.dims, axes, scales);
  series.values_of = [&metric](const PointData& data) { return data.values(metric.id); };
  describe(series.dataset.get(), metric.unit, metric.long_name, metric.formula);
  return series;
}

Series make_figure(hid_t group, const OwnFigure& figure, const Axes& axes, const Scales& scales) {
  Series series = make_series(group, figure.name, figure.dims, axes, scales);
  series.values_of = [&figure](const PointData& data) {
    const auto own = std::ranges::find(data.figures(), figure.name, &OwnFigure::name);
    return own != data.figures().end() ? std::span<const double>(own->values) : std::span<const double>();
  };
  describe(series.dataset.get(), figure.unit, figure.long_name, figure.formula);
  hdf5::write_string(series.dataset.get(), "policy", figure.policy);
  return series;
}

/// Each once, in the order in which points have them.
std::vector<const OwnFigure*> figures_of(std::span<const PointOutline> points) {
  std::vector<const OwnFigure*> figures;
  std::set<std::string_view> names;
  for (const PointOutline& point : points) {
    for (const OwnFigure& figure : point.figures) {
      if (names.insert(figure.name).second) {
        figures.push_back(&figure);
      }
    }
  }
  return figures;
}

/// `place`: of the summary in its table.
void write_summary(hid_t group, std::size_t place, std::span<const PointOutline> points,
                   const Scales& scales) {
  std::vector<double> values;
  for (const PointOutline& point : points) {
    values.push_back(point.summary.values[place]);
  }
  const SummaryInfo& summary = summary_table()[place];
  const Shape shape{values.size()};
  const Handle dataset = hdf5::create_dataset(group, std::string(summary.name), H5T_IEEE_F64LE, shape, {});
  hdf5::write_block(dataset.get(), H5T_NATIVE_DOUBLE, {0}, shape, values.data());
  describe(dataset.get(), summary.unit, summary.long_name, summary.formula);
  scales.attach(dataset.get());
}

/// Numbers where they all are, whole ones where no point lacks one, else texts.
Handle write_axis_values(hid_t group, const std::string& name, const std::vector<const AxisValue*>& values) {
  const auto all = [&values]<class... Types>(bool none_allowed) {
    return std::ranges::all_of(values, [none_allowed](const AxisValue* value) {
      return value == nullptr ? none_allowed : (std::holds_alternative<Types>(value->value) || ...);
    });
  };
  const auto number = [](const AxisValue* value) {
    if (value == nullptr) {
      return kNan;
    }
    const auto* whole = std::get_if<std::int64_t>(&value->value);
    return whole != nullptr ? static_cast<double>(*whole) : std::get<double>(value->value);
  };
  const auto text = [](const AxisValue* value) {
    return value == nullptr
               ? std::string()
               : std::visit([](const auto& held) { return fmt::format("{}", held); }, value->value);
  };
  if (all.template operator()<std::int64_t>(false)) {
    std::vector<std::int64_t> whole;
    for (const AxisValue* value : values) {
      whole.push_back(std::get<std::int64_t>(value->value));
    }
    return write_integers(group, name, whole);
  }
  if (all.template operator()<std::int64_t, double>(true)) {
    std::vector<double> numbers;
    std::ranges::transform(values, std::back_inserter(numbers), number);
    Handle dataset = hdf5::create_dataset(group, name, H5T_IEEE_F64LE, {numbers.size()}, {});
    hdf5::write_block(dataset.get(), H5T_NATIVE_DOUBLE, {0}, {numbers.size()}, numbers.data());
    return dataset;
  }
  std::vector<std::string> texts;
  std::ranges::transform(values, std::back_inserter(texts), text);
  return write_texts(group, name, texts);
}

/// Names of the axes of a sweep, each once, in the order in which points have them.
std::vector<std::string> axes_of_sweep(std::span<const PointOutline> points) {
  std::vector<std::string> names;
  for (const PointOutline& point : points) {
    for (const AxisValue& value : point.axes) {
      if (std::ranges::find(names, value.axis) == names.end()) {
        names.push_back(value.axis);
      }
    }
  }
  return names;
}

/// What is swept, as coordinates over the points. `taken`: names of the other datasets.
void write_sweep(hid_t group, std::span<const PointOutline> points, const std::set<std::string>& taken,
                 const Scales& scales) {
  std::string coordinates = "variant seed";
  std::int64_t order = 0;
  for (const std::string& name : axes_of_sweep(points)) {
    std::vector<const AxisValue*> values;
    const AxisValue* some = nullptr;
    for (const PointOutline& point : points) {
      const auto own = std::ranges::find(point.axes, name, &AxisValue::axis);
      values.push_back(own != point.axes.end() ? &*own : nullptr);
      some = values.back() != nullptr ? values.back() : some;
    }
    const std::string dataset_name = taken.contains(name) ? fmt::format("axis.{}", name) : name;
    const Handle dataset = write_axis_values(group, dataset_name, values);
    hdf5::write_string(dataset.get(), "long_name",
                       some->key.empty() ? fmt::format("axis {} of the sweep", name) : some->key);
    hdf5::write_string(dataset.get(), "units", some->unit);
    hdf5::write_string(dataset.get(), "key", some->key);
    hdf5::write_int(dataset.get(), "axis", order++);
    scales.attach(dataset.get());
    coordinates += fmt::format(" {}", dataset_name);
  }
  hdf5::write_string(group, "coordinates", coordinates);  // which xarray looks for
}

/// Of all datasets that the root may have besides what is swept.
std::set<std::string> names_in_root(std::span<const PointOutline> points) {
  std::set<std::string> names{"point",  "step", "layer", "kv_head", "head", "sequence",   "prefill",
                              "window", "tier", "seed",  "variant", "host", "provenance", "unit_record"};
  for (const MetricInfo& metric : metric_table()) {
    names.emplace(metric.name);
  }
  for (const SummaryInfo& summary : summary_table()) {
    names.emplace(summary.name);
  }
  for (const PointOutline& point : points) {
    std::ranges::transform(point.figures, std::inserter(names, names.end()), &OwnFigure::name);
    if (!point.model_errors.empty()) {
      names.emplace("device");
    }
  }
  return names;
}

/// Of what each point is a repetition, and with which seed.
void write_repetitions(hid_t group, std::span<const PointOutline> points, const Scales& scales) {
  std::vector<std::string> variants;
  std::vector<std::int64_t> seeds;
  for (const PointOutline& point : points) {
    variants.push_back(point.variant);
    seeds.push_back(point.seed);
  }
  const Handle variant = write_texts(group, "variant", variants);
  hdf5::write_string(variant.get(), "long_name", "configuration without its seed");
  scales.attach(variant.get());
  const Handle seed = write_integers(group, "seed", seeds);
  hdf5::write_string(seed.get(), "long_name", "root of every random stream");
  scales.attach(seed.get());
}

/// All but the values of points; what waits for them is added to `waiting`.
void write_group(hid_t group, Origin origin, std::span<const PointOutline> points, const Axes& axes,
                 AllSeries& waiting) {
  std::set<Metric> written;
  for (const PointOutline& point : points) {
    written.insert(point.written.begin(), point.written.end());
  }
  const auto wanted = [&](const MetricInfo& metric) {
    return metric.origin == origin && written.contains(metric.id);
  };
  const bool by_window = std::ranges::any_of(metric_table(), [&](const MetricInfo& metric) {
    return metric.dims == Dims::step_layer_head_window && wanted(metric);
  });
  const Scales scales(group, axes, by_window);
  if (origin == Origin::simulated) {
    write_repetitions(group, points, scales);
    write_sweep(group, points, names_in_root(points), scales);
  }
  for (const MetricInfo& metric : metric_table()) {
    if (wanted(metric)) {
      waiting.push_back(make_metric(group, metric, axes, scales));
    }
  }
  if (origin == Origin::simulated) {
    for (const OwnFigure* figure : figures_of(points)) {
      waiting.push_back(make_figure(group, *figure, axes, scales));
    }
  }
  for (std::size_t place = 0; place < summary_table().size(); ++place) {
    if (summary_table()[place].origin == origin) {
      write_summary(group, place, points, scales);
    }
  }
}

void write_values(const AllSeries& waiting, std::span<const PointOutline> points, const LoadPoint& load,
                  const Axes& axes, UnitsWriter* units) {
  for (std::size_t index = 0; index < points.size(); ++index) {
    const PointOutline& point = points[index];
    const bool has_values = !point.written.empty() || !point.figures.empty() || point.units;
    const std::shared_ptr<const PointData> data = has_values ? load(index) : nullptr;
    if (point.units) {
      units->write(index, *data->units());
    }
    for (const Series& series : waiting) {
      write_point(series, index, data.get(), axes);
    }
  }
}

void write_provenance(hid_t group, const Provenance& provenance, std::span<const PointOutline> points) {
  for (const auto& [name, value] : provenance.entries) {
    hdf5::write_string(group, name, value);
  }
  std::vector<std::string> names;
  std::vector<std::string> configs;
  std::vector<std::string> notes;
  std::vector<std::int64_t> numbers;
  for (const PointOutline& point : points) {
    numbers.push_back(point.number);
    names.push_back(point.name);
    configs.push_back(point.resolved_config);
    notes.push_back(fmt::format("{}", fmt::join(point.notes, "\n")));
  }
  const Handle scale = write_texts(group, "point", names);
  require(H5DSset_scale(scale.get(), "point"), scale.get());
  const Handle config = write_texts(group, "resolved_config", configs);
  hdf5::write_string(config.get(), "long_name", "configuration with every default filled in, YAML");
  require(H5DSattach_scale(config.get(), scale.get(), 0), config.get());
  const Handle note = write_texts(group, "notes", notes);
  hdf5::write_string(note.get(), "long_name", "what a reader must know about the point, one remark per line");
  require(H5DSattach_scale(note.get(), scale.get(), 0), note.get());
  const Handle number = write_integers(group, "number", numbers);
  hdf5::write_string(number.get(), "long_name", "place of the point in its configuration");
  require(H5DSattach_scale(number.get(), scale.get(), 0), number.get());
}

std::vector<std::string> names_of_models(std::span<const PointOutline> points) {
  std::set<std::string> names;
  for (const PointOutline& point : points) {
    for (const ModelError& error : point.model_errors) {
      names.insert(error.model);
    }
  }
  return {names.begin(), names.end()};
}

/// What `value` makes of each point's error of each of `models`, NaN where it has none.
template <class Value>
std::vector<double> error_table(std::span<const PointOutline> points, const std::vector<std::string>& models,
                                Value value) {
  std::vector<double> values;
  for (const PointOutline& point : points) {
    for (const std::string& model : models) {
      const auto found = std::ranges::find(point.model_errors, model, &ModelError::model);
      values.push_back(found == point.model_errors.end() ? kNan : value(*found));
    }
  }
  return values;
}

/// [point, model]; `group` gets scales of its own.
void write_model_errors(hid_t group, std::span<const PointOutline> points,
                        const std::vector<std::string>& models) {
  std::vector<std::string> names;
  for (const PointOutline& point : points) {
    names.push_back(point.name);
  }
  const Handle point_scale = write_texts(group, "point", names);
  const Handle model_scale = write_texts(group, "model", models);
  require(H5DSset_scale(point_scale.get(), "point"), point_scale.get());
  require(H5DSset_scale(model_scale.get(), "model"), model_scale.get());
  const auto write = [&](const char* name, std::string_view unit, std::string_view meaning, auto value) {
    const Shape shape{points.size(), models.size()};
    const Handle dataset = hdf5::create_dataset(group, name, H5T_IEEE_F64LE, shape, {});
    hdf5::write_block(dataset.get(), H5T_NATIVE_DOUBLE, {0, 0}, shape,
                      error_table(points, models, value).data());
    describe(dataset.get(), unit, meaning, "relative error: (predicted - measured) / measured");
    require(H5DSattach_scale(dataset.get(), point_scale.get(), 0), dataset.get());
    require(H5DSattach_scale(dataset.get(), model_scale.get(), 1), dataset.get());
  };
  write("batches", "1", "batches compared",
        [](const ModelError& error) { return static_cast<double>(error.batches); });
  write("median", "1", "median over batches of the size of the relative error",
        [](const ModelError& error) { return error.median; });
  write("p95", "1", "95th percentile of the same", [](const ModelError& error) { return error.p95; });
  write("p99", "1", "99th percentile of the same", [](const ModelError& error) { return error.p99; });
  write("total_time", "1", "relative error of the time of all batches together, signed",
        [](const ModelError& error) { return error.total_time; });
}

}  // namespace

void write_results(const std::filesystem::path& out, std::span<const PointOutline> points,
                   const LoadPoint& load, std::int64_t planned, const Provenance& provenance) {
  KVR_CHECK(!points.empty(), "{}: no points", out.string());
  const Axes axes = axes_of(points);
  NewFile target(out);
  Handle file = hdf5::create_file(target.temporary());
  hdf5::write_string(file.get(), "format", "kvreplay-results");
  hdf5::write_int(file.get(), "version", kResultsSchemaVersion);
  hdf5::write_int(file.get(), "points_planned", planned);
  hdf5::write_int(file.get(), "complete", std::ssize(points) == planned ? 1 : 0);
  {
    AllSeries waiting;
    const Handle host = hdf5::create_group(file.get(), "host");
    write_group(file.get(), Origin::simulated, points, axes, waiting);
    write_group(host.get(), Origin::host, points, axes, waiting);
    std::optional<UnitsWriter> units;
    if (std::ranges::any_of(points, [](const PointOutline& point) { return point.units.has_value(); })) {
      units.emplace(file.get(), points);
    }
    write_values(waiting, points, load, axes, units ? &*units : nullptr);
  }
  write_provenance(hdf5::create_group(file.get(), "provenance").get(), provenance, points);
  if (const std::vector<std::string> models = names_of_models(points); !models.empty()) {
    const Handle device = hdf5::create_group(file.get(), "device");
    write_model_errors(hdf5::create_group(device.get(), "model_errors").get(), points, models);
  }
  hdf5::close_file(file);
  target.commit();
}

void write_results(const std::filesystem::path& out, const std::vector<PointResult>& points,
                   const Provenance& provenance) {
  const LoadPoint load = [&points](std::size_t index) {
    return std::shared_ptr<const PointData>(std::shared_ptr<void>(), &points[index].data);  // owned elsewhere
  };
  write_results(out, outlines_of(points), load, std::ssize(points), provenance);
}

}  // namespace kvr
