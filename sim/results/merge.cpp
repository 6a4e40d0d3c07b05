// The outline of each point is what its file says of it; its values are loaded when they are written.
#include "sim/results/merge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <string_view>

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
      outline.metrics.push_back(metric->id);
    } else if (!dataset.policy.empty()) {
      outline.figures.push_back(figure_of(dataset));
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
  outline.tier_names = file.axis("tier").texts;
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
  auto data = std::make_shared<PointData>(outline.name, outline.steps, std::ssize(outline.layer_numbers),
                                          std::ssize(outline.head_numbers));
  data->set_layer_numbers(outline.layer_numbers);
  data->set_head_numbers(outline.head_numbers);
  data->set_sequences(outline.walked_sequences, outline.walked_sequences);
  data->set_tier_names(outline.tier_names);
  data->set_prefills(outline.prefills);
  for (const ResultDataset& dataset : file.datasets()) {
    if (const MetricInfo* metric = metric_of(dataset)) {
      data->restore(metric->id, file.block(dataset, source.point));
    } else if (!dataset.policy.empty()) {
      data->restore_figure(data->add_figure(figure_of(dataset)), file.block(dataset, source.point));
    }
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

/// What parts say of themselves; what they do not agree on in lines.
Provenance provenance_of(std::span<const ResultFile> parts) {
  std::vector<std::string> names;
  std::map<std::string, std::vector<std::string>> values;
  for (const ResultFile& part : parts) {
    for (const auto& [name, value] : part.provenance()) {
      std::vector<std::string>& known = values[name];
      if (known.empty()) {
        names.push_back(name);
      }
      if (std::ranges::find(known, value) == known.end()) {
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
  std::vector<std::string> alike{"trace_sha256", "data_sha256", "commit", "kvreplay_version"};
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
      if (part.provenance(name) != parts.front().provenance(name)) {
        differs(name);
      }
    }
    for (const ResultPoint& point : part.points()) {
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
