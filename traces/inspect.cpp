#include "traces/inspect.hpp"

#include <algorithm>

#include "traces/header_io.hpp"

namespace kvr::trace {
namespace {

/// "file: /path"
std::string place_of(hid_t file, const std::string& path) {
  const std::string root = hdf5::where(file);
  return root.substr(0, root.size() - 1) + path;
}

/// "seq_len 120 and head_dim 64": what a shape contradicts; empty if nothing.
std::string contradictions(const DatasetSpec& spec, const hdf5::Shape& shape) {
  std::vector<std::string> names;
  for (std::size_t axis = 0; axis < spec.axes.size(); ++axis) {
    const auto [name, length] = spec.axes[axis];
    if (length != kUnknown && static_cast<hsize_t>(length) != shape[axis]) {
      names.push_back(fmt::format("{} {}", name, length));
    }
  }
  return fmt::format("{}", fmt::join(names, " and "));
}

bool check_shape(hid_t dataset, const DatasetSpec& spec, std::vector<std::string>& problems) {
  const hdf5::Shape shape = hdf5::shape_of(dataset);
  std::string conflict = fmt::format("contradicts the {} dimensions of version 1", spec.axes.size());
  if (shape.size() == spec.axes.size()) {
    const std::string names = contradictions(spec, shape);
    if (names.empty()) {
      return true;
    }
    conflict = "contradicts " + names;
  }
  problems.push_back(fmt::format("{}: shape [{}] {}; expected {}", hdf5::where(dataset),
                                 fmt::join(shape, ", "), conflict, shape_text(spec)));
  return false;
}

bool check_type(hid_t dataset, const DatasetSpec& spec, std::vector<std::string>& problems) {
  if (hdf5::has_type(dataset, type_of(spec.element))) {
    return true;
  }
  problems.push_back(fmt::format("{}: {}; expected {}", hdf5::where(dataset),
                                 hdf5::type_name_of_dataset(dataset),
                                 hdf5::type_name(type_of(spec.element))));
  return false;
}

/// Takes the lengths that the layout does not know from the file.
void fill_in_lengths(DatasetSpec& spec, const hdf5::Shape& shape) {
  for (std::size_t axis = 0; axis < spec.axes.size(); ++axis) {
    spec.axes[axis].length = static_cast<std::int64_t>(shape[axis]);
  }
}

/// Whether the dataset is there and can be read as the layout says.
bool check_dataset(hid_t file, DatasetSpec& spec, std::vector<std::string>& problems) {
  if (!hdf5::has_dataset(file, spec.path)) {
    if (spec.required) {
      problems.push_back(fmt::format("{}: missing; expected {} {}", place_of(file, spec.path),
                                     hdf5::type_name(type_of(spec.element)), shape_text(spec)));
    }
    return false;
  }
  bool is_sound = false;
  attempt(problems, [&] {
    const hdf5::Handle dataset = hdf5::open_dataset(file, spec.path);
    const bool has_type = check_type(dataset.get(), spec, problems);
    is_sound = check_shape(dataset.get(), spec, problems) && has_type;
    if (is_sound) {
      fill_in_lengths(spec, hdf5::shape_of(dataset.get()));
    }
    check_dataset_attributes(dataset.get(), spec.units, problems);
  });
  return is_sound;
}

/// Reads the query positions if they can be read; their number, or kUnknown.
std::int64_t read_positions(hid_t file, const Header& header, std::vector<std::int64_t>& positions,
                            std::vector<std::string>& problems) {
  constexpr const char* kPath = "/query_positions";
  std::int64_t count = kUnknown;
  if (!hdf5::has_dataset(file, kPath)) {
    return count;
  }
  attempt(problems, [&] {
    const hdf5::Handle dataset = hdf5::open_dataset(file, kPath);
    const hdf5::Shape shape = hdf5::shape_of(dataset.get());
    if (shape.size() != 1) {
      return;
    }
    count = static_cast<std::int64_t>(shape[0]);
    if (count > header.seq_len) {
      problems.push_back(fmt::format("{}: {} positions contradict seq_len {}; expected at most that many",
                                     hdf5::where(dataset.get()), count, header.seq_len));
    } else if (hdf5::has_type(dataset.get(), H5T_STD_I64LE)) {
      positions.resize(shape[0]);
      hdf5::read_block(dataset.get(), H5T_STD_I64LE, {0}, shape, positions.data());
      check_positions(header, positions, hdf5::where(dataset.get()), problems);
    }
  });
  return count;
}

/// Reports what is in `group` and not among `known`.
void check_children(hid_t file, const std::string& group, const std::vector<std::string>& known,
                    std::vector<std::string>& problems) {
  if (!hdf5::has_group(file, group)) {
    return;
  }
  attempt(problems, [&] {
    const hdf5::Handle opened = hdf5::open_group(file, group);
    for (const std::string& name : hdf5::child_names(opened.get())) {
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        const std::string path = (group == "/" ? "" : group) + "/" + name;
        problems.push_back(fmt::format("{}: not in this format; expected nothing but {}",
                                       place_of(file, path), fmt::join(known, ", ")));
      }
    }
  });
}

void check_strangers(hid_t file, const Header& header, const std::vector<DatasetSpec>& layout,
                     std::vector<std::string>& problems) {
  check_children(file, "/", {"tokens", "query_positions", "layers", "truth"}, problems);
  std::vector<std::string> layers;
  for (const std::int64_t layer : header.captured_layers) {
    layers.push_back(std::to_string(layer));
  }
  check_children(file, "/layers", layers, problems);
  for (const std::string& layer : layers) {
    const std::string group = "/layers/" + layer + "/";
    std::vector<std::string> names;
    for (const DatasetSpec& spec : layout) {
      if (spec.path.starts_with(group)) {
        names.push_back(spec.path.substr(group.size()));
      }
    }
    check_children(file, "/layers/" + layer, names, problems);
  }
}

}  // namespace

bool is_checksum(const std::string& text) {
  return text.size() == 71 && text.starts_with("sha256:") &&
         text.find_first_not_of("0123456789abcdef", 7) == std::string::npos;
}

void check_dataset_attributes(hid_t dataset, const char* units, std::vector<std::string>& problems) {
  const auto add = [&](const char* name, const std::string& what) {
    problems.push_back(fmt::format("{}@{}: {}", hdf5::where(dataset), name, what));
  };
  attempt(problems, [&] {
    const std::string given = hdf5::read_string(dataset, "units");
    if (units != nullptr && given != units) {
      add("units", fmt::format("'{}'; expected '{}'", given, units));
    }
  });
  attempt(problems, [&] {
    if (hdf5::read_string(dataset, "long_name").empty()) {
      add("long_name", "empty; expected a phrase");
    }
  });
  attempt(problems, [&] {
    const std::string given = hdf5::read_string(dataset, "checksum");
    if (!is_checksum(given)) {
      add("checksum", fmt::format("'{}'; expected 'sha256:' and 64 lower-case hexadecimal digits", given));
    }
  });
}

void check_positions(const Header& header, const std::vector<std::int64_t>& positions,
                     const std::string& place, std::vector<std::string>& problems) {
  const auto count = static_cast<std::int64_t>(positions.size());
  const auto add = [&](const std::string& what) { problems.push_back(place + ": " + what); };
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t position = positions[static_cast<std::size_t>(i)];
    if (position < 0 || position >= header.seq_len) {
      return add(fmt::format("position {} at index {} contradicts seq_len {}; expected 0..{}", position, i,
                             header.seq_len, header.seq_len - 1));
    }
    if (i > 0 && position <= positions[static_cast<std::size_t>(i - 1)]) {
      return add(fmt::format("position {} at index {} follows {}; expected strictly increasing positions",
                             position, i, positions[static_cast<std::size_t>(i - 1)]));
    }
  }
  const std::int64_t steps = header.seq_len - header.prefill_len;
  if (count < steps) {
    return add(fmt::format("{} positions contradict the {} decode steps; expected each of {}..{}", count,
                           steps, header.prefill_len, header.seq_len - 1));
  }
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t expected = header.seq_len - count + i;
    const std::int64_t position = positions[static_cast<std::size_t>(i)];
    if (position != expected) {
      return add(fmt::format("position {} at index {}; expected {}: the end of the prompt, then every step",
                             position, i, expected));
    }
  }
}

Inspection inspect(const std::filesystem::path& path) {
  hdf5::Handle file;
  std::vector<std::string> problems;
  if (!attempt(problems, [&] { file = hdf5::open_file(path); })) {
    Inspection result;
    result.problems = std::move(problems);
    return result;
  }
  return inspect(std::move(file));
}

Inspection inspect(hdf5::Handle opened) {
  Inspection result;
  result.file = std::move(opened);
  const hid_t file = result.file.get();
  ReadHeader read = read_header(file, result.problems);
  result.header = std::move(read.header);
  if (!read.sizes_sound) {
    return result;
  }
  const std::int64_t query_count =
      read_positions(file, result.header, result.query_positions, result.problems);
  std::vector<DatasetSpec> layout = layout_of(result.header, query_count);
  for (DatasetSpec& spec : layout) {
    if (check_dataset(file, spec, result.problems)) {
      result.sound.push_back(spec);
    }
  }
  check_strangers(file, result.header, layout, result.problems);
  return result;
}

}  // namespace kvr::trace
