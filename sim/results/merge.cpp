// The outline of each point is what its file says of it; its values are loaded when they are written.
#include "sim/results/merge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

#include "sim/base/error.hpp"
#include "sim/results/writer.hpp"

namespace kvr {
namespace {

/// A point and the file that has it.
struct Source {
  const ResultFile* file;
  std::size_t point;
};

const MetricInfo* metric_of(const ResultDataset& dataset) {
  const auto same = [&dataset](const MetricInfo& metric) {
    return metric.name == dataset.name && metric.origin == dataset.origin;
  };
  const auto found = std::ranges::find_if(metric_table(), same);
  return found == metric_table().end() ? nullptr : &*found;
}

Dims dims_of(const ResultDataset& dataset) {
  const auto has = [&dataset](std::string_view name) {
    return std::ranges::find(dataset.dims, name) != dataset.dims.end();
  };
  return has("kv_head") ? Dims::step_layer_head : has("layer") ? Dims::step_layer : Dims::step;
}

OwnFigure figure_of(const ResultDataset& dataset) {
  return {.name = dataset.name,
          .unit = dataset.unit,
          .long_name = dataset.long_name,
          .formula = dataset.formula,
          .policy = dataset.policy,
          .dims = dims_of(dataset)};
}

/// The dimensions that a metric of these has after the points.
std::vector<std::string> names_of(Dims dims, bool by_sequence) {
  std::vector<std::string> names{"point", dims == Dims::prefill ? "prefill" : "step"};
  const bool by_head = dims == Dims::step_layer_head || dims == Dims::step_layer_head_window;
  if (dims == Dims::step_tier) {
    names.emplace_back("tier");
  }
  if (by_head || dims == Dims::step_layer) {
    names.emplace_back("layer");
  }
  if (by_head && by_sequence) {
    names.emplace_back("sequence");
  }
  if (by_head) {
    names.emplace_back("kv_head");
  }
  if (dims == Dims::step_layer_head_window) {
    names.emplace_back("window");
  }
  return names;
}

void check_dims(const ResultFile& file, const ResultDataset& dataset, Dims dims) {
  const bool by_sequence = file.axis("sequence").size() > 0;
  if (dataset.dims != names_of(dims, by_sequence)) {
    throw InputError(fmt::format("{}: {}: its dimensions are [{}]; expected [{}]", file.path().string(),
                                 dataset.name, fmt::join(dataset.dims, ", "),
                                 fmt::join(names_of(dims, by_sequence), ", ")));
  }
}

/// Of each file, once: its metrics and figures, and the values of its summaries.
struct FileOutline {
  std::vector<Metric> metrics;
  std::vector<OwnFigure> figures;
  std::vector<std::vector<double>> summaries;  ///< [summary_table()]; empty where it lacks one
};

FileOutline outline_of(const ResultFile& file) {
  FileOutline outline;
  for (const ResultDataset& dataset : file.datasets()) {
    if (const MetricInfo* metric = metric_of(dataset)) {
      check_dims(file, dataset, metric->dims);
      outline.metrics.push_back(metric->id);
    } else if (!dataset.policy.empty()) {
      outline.figures.push_back(figure_of(dataset));
      check_dims(file, dataset, outline.figures.back().dims);
    } else if (!dataset.is_summary()) {
      throw InputError(
          fmt::format("{}: {}: is no metric of this program", file.path().string(), dataset.name));
    }
  }
  for (const SummaryInfo& summary : summary_table()) {
    const ResultDataset* dataset = file.find(summary.name, summary.origin);
    outline.summaries.push_back(dataset != nullptr ? file.summary(*dataset) : std::vector<double>());
  }
  return outline;
}

/// Of the file's tiers, those that the point has: where something is held, or nothing.
std::vector<std::size_t> tiers_of(const Source& source) {
  const std::size_t all = source.file->axis("tier").size();
  const ResultDataset* held = source.file->find(info(Metric::tier_held_bytes).name, Origin::simulated);
  std::vector<std::size_t> tiers;
  if (held == nullptr) {
    return tiers;
  }
  const std::vector<double> values = source.file->block(*held, source.point);  // [steps, tiers]
  for (std::size_t tier = 0; tier < all; ++tier) {
    bool has = false;
    for (std::size_t i = tier; i < values.size(); i += all) {
      has = has || !std::isnan(values[i]);
    }
    if (has) {
      tiers.push_back(tier);
    }
  }
  return tiers;
}

/// Of a block [steps, all tiers of the file] those of the point.
std::vector<double> of_tiers(const std::vector<double>& block, const Source& source) {
  const std::size_t all = source.file->axis("tier").size();
  const std::vector<std::size_t> tiers = tiers_of(source);
  std::vector<double> values;
  for (std::size_t step = 0; step < block.size(); step += all) {
    for (const std::size_t tier : tiers) {
      values.push_back(block[step + tier]);
    }
  }
  return values;
}

PointOutline outline_of(const Source& source, const FileOutline& shared) {
  const ResultFile& file = *source.file;
  const ResultPoint& point = file.points()[source.point];
  PointOutline outline;
  outline.number = point.number;
  outline.name = point.name;
  outline.variant = point.variant;
  outline.axes = point.axes;
  outline.seed = point.seed;
  outline.resolved_config = point.resolved_config;
  outline.notes = point.notes;
  outline.model_errors = point.model_errors;
  outline.steps = std::ssize(file.axis("step").numbers);
  outline.layer_numbers = file.axis("layer").numbers;
  outline.head_numbers = file.axis("kv_head").numbers;
  for (const auto* numbers : {&outline.layer_numbers, &outline.head_numbers}) {
    if (numbers->empty() || std::ranges::adjacent_find(*numbers, std::greater_equal<>()) != numbers->end()) {
      throw InputError(fmt::format("{}: layers or KV heads do not ascend", file.path().string()));
    }
  }
  outline.walked_sequences = std::max<std::int64_t>(std::ssize(file.axis("sequence").numbers), 1);
  outline.prefills = std::ssize(file.axis("prefill").numbers);
  for (const std::size_t tier : tiers_of(source)) {
    outline.tier_names.push_back(file.axis("tier").texts[tier]);
  }
  outline.units = file.units_outline(source.point);
  outline.written = shared.metrics;
  outline.figures = shared.figures;
  for (const std::vector<double>& values : shared.summaries) {
    outline.summary.values.push_back(values.empty() ? std::numeric_limits<double>::quiet_NaN()
                                                    : values[source.point]);
  }
  return outline;
}

std::shared_ptr<const PointData> data_of(const Source& source, const PointOutline& outline) {
  const ResultFile& file = *source.file;
  const std::shared_ptr<PointData> data = empty_data(outline);
  for (const ResultDataset& dataset : file.datasets()) {
    if (const MetricInfo* metric = metric_of(dataset)) {
      std::vector<double> values = file.block(dataset, source.point);
      data->restore(metric->id,
                    metric->dims == Dims::step_tier ? of_tiers(values, source) : std::move(values));
    } else if (!dataset.policy.empty()) {
      data->restore_figure(data->add_figure(figure_of(dataset)), file.block(dataset, source.point));
    }
  }
  if (outline.units) {
    data->set_units(file.units(source.point));
  }
  return data;
}

/// In the order of the configuration.
std::vector<Source> sources_of(std::span<const ResultFile> parts) {
  std::vector<Source> sources;
  for (const ResultFile& part : parts) {
    for (std::size_t point = 0; point < part.points().size(); ++point) {
      sources.push_back({&part, point});
    }
  }
  std::ranges::stable_sort(sources, {},
                           [](const Source& source) { return source.file->points()[source.point].number; });
  return sources;
}

/// Of files, which may lie elsewhere for each part: paths and hashes go together, and hashes are alike.
constexpr std::array<std::string_view, 4> kOfFiles = {"trace_path", "trace_sha256", "data_path",
                                                      "data_sha256"};

bool is_of_files(std::string_view name) {
  return std::ranges::find(kOfFiles, name) != kOfFiles.end();
}

/// In any order: who names files otherwise lists them otherwise.
std::string sorted_lines(const std::string& text) {
  std::istringstream in(text);
  std::multiset<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    lines.insert(line);
  }
  return fmt::format("{}", fmt::join(lines, "\n"));
}

/// What parts say of themselves; what they do not agree on in lines, but of files what the first says.
Provenance provenance_of(std::span<const ResultFile> parts) {
  std::vector<std::string> names;
  std::map<std::string, std::vector<std::string>> values;
  for (const ResultFile& part : parts) {
    for (const auto& [name, value] : part.provenance()) {
      std::vector<std::string>& known = values[name];
      if (known.empty()) {
        names.push_back(name);
      }
      const bool is_new = std::ranges::find(known, value) == known.end();
      if (is_new && (known.empty() || !is_of_files(name))) {
        known.push_back(value);
      }
    }
  }
  Provenance provenance;
  for (const std::string& name : names) {
    provenance.add(name, fmt::format("{}", fmt::join(values[name], "\n")));
  }
  return provenance;
}

}  // namespace

std::vector<std::string> merge_problems(std::span<const ResultFile> parts, Programs programs) {
  std::vector<std::string> problems;
  std::map<std::string, std::string> owners;
  std::set<std::int64_t> numbers;
  std::vector<std::string> alike{"sweep_sha256", "trace_sha256",        "data_sha256",
                                 "commit",       "uncommitted_sources", "kvreplay_version"};
  if (programs == Programs::same) {
    alike.emplace_back("program_sha256");
  }
  for (const ResultFile& part : parts) {
    const std::string path = part.path().string();
    const auto differs = [&](std::string_view what) {
      problems.push_back(fmt::format("{}: is no part of the same run as {}: {} differs", path,
                                     parts.front().path().string(), what));
    };
    if (part.points_planned() != parts.front().points_planned()) {
      differs("the number of planned points");
    }
    for (const std::string& name : alike) {
      if (sorted_lines(part.provenance(name)) != sorted_lines(parts.front().provenance(name))) {
        differs(name);
      }
    }
    for (const ResultPoint& point : part.points()) {
      if (point.number < 0 || point.number >= part.points_planned() || !numbers.insert(point.number).second) {
        problems.push_back(fmt::format("{}: {} is point {} of {}; allowed: each once", path, point.name,
                                       point.number, part.points_planned()));
      }
      const auto [owner, is_new] = owners.emplace(point.name, path);
      if (!is_new) {
        problems.push_back(fmt::format("{}: has the point {}, as {} has", path, point.name, owner->second));
      }
    }
  }
  return problems;
}

void merge_results(const std::filesystem::path& out, std::span<const ResultFile> parts) {
  std::map<const ResultFile*, FileOutline> shared;
  for (const ResultFile& part : parts) {
    shared.emplace(&part, outline_of(part));
  }
  const std::vector<Source> sources = sources_of(parts);
  std::vector<PointOutline> outlines;
  std::ranges::transform(sources, std::back_inserter(outlines), [&shared](const Source& source) {
    return outline_of(source, shared.at(source.file));
  });
  const LoadPoint load = [&](std::size_t index) { return data_of(sources[index], outlines[index]); };
  write_results(out, outlines, load, parts.front().points_planned(), provenance_of(parts));
}

}  // namespace kvr
