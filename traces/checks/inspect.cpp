#include "traces/checks/inspect.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "sim/base/stored/stored_array.hpp"
#include "traces/contents.hpp"
#include "traces/header_io.hpp"

namespace kvr::trace {
namespace {

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

/// Whether the path or a group on the way is refused, which a problem says already.
bool is_refused(const Contents& contents, const std::string& path) {
  for (std::size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1)) {
    if (contents.is_refused(path.substr(0, end))) {
      return true;
    }
  }
  return contents.is_refused(path);
}

/// Calls `take` with the values of an array of one axis, a bounded number at a time.
template <class Take>
void for_each_piece(const hdf5::StoredArray& array, std::int64_t count, Take take) {
  constexpr std::int64_t kPiece = 1 << 16;
  std::vector<std::int64_t> piece;
  for (std::int64_t begin = 0; begin < count; begin += kPiece) {
    piece.resize(static_cast<std::size_t>(std::min(kPiece, count - begin)));
    array.read({static_cast<hsize_t>(begin)}, {piece.size()}, std::as_writable_bytes(std::span(piece)));
    take(std::span<const std::int64_t>(piece));
  }
}

/// The rule of turns: the first begins at 0, each further one later, within the sequence. They come in order
/// and in pieces.
class TurnCheck {
 public:
  explicit TurnCheck(std::int64_t seq_len) : seq_len_(seq_len) {}

  void add(std::span<const std::int64_t> turns) {
    for (const std::int64_t position : turns) {
      if (problem_.empty()) {
        problem_ = problem_of(position);
      }
      last_ = position;
      ++next_;
    }
  }

  /// What is wrong; empty: nothing.
  std::string problem() const { return next_ == 0 ? "empty; expected at least one turn" : problem_; }

 private:
  std::string problem_of(std::int64_t position) const {
    if (next_ == 0 && position != 0) {
      return fmt::format("turn 0 begins at position {}; expected 0", position);
    }
    if (next_ > 0 && position <= last_) {
      return fmt::format(
          "turn {} begins at position {} and the one before at {}; expected strictly "
          "increasing positions",
          next_, position, last_);
    }
    if (position >= seq_len_) {
      return fmt::format("turn {} begins at position {}, which contradicts seq_len {}; expected 0..{}", next_,
                         position, seq_len_, seq_len_ - 1);
    }
    return "";
  }

  std::int64_t seq_len_;
  std::int64_t next_ = 0;
  std::int64_t last_ = -1;
  std::string problem_;
};

/// One inspection; the parts in the order in which they are called.
class Inspector {
 public:
  Inspector(hdf5::Handle file, Contents contents) : file_(file.get()), contents_(std::move(contents)) {
    result_.file = std::move(file);
  }

  Inspection run() {
    std::vector<std::string>& problems = result_.problems;
    problems = contents_.problems();
    ReadHeader read = read_header(file_, problems);
    result_.header = std::move(read.header);
    if (!read.sizes_sound) {
      return std::move(result_);
    }
    check_storage();
    const std::int64_t query_count = check_query_positions();
    std::vector<DatasetSpec> layout = layout_of(result_.header, query_count);
    for (DatasetSpec& spec : layout) {
      if (check_dataset(spec)) {
        if (spec.path == "/turns") {
          check_turns(spec);
        }
        result_.sound.push_back(spec);
      }
    }
    check_strangers(layout);
    if (problems.empty()) {
      result_.query_positions.resize(static_cast<std::size_t>(query_count));
      std::iota(result_.query_positions.begin(), result_.query_positions.end(),
                result_.header.seq_len - query_count);
    }
    return std::move(result_);
  }

 private:
  /// Before anything takes memory in proportion to what the datasets say of themselves.
  void check_storage() {
    std::uint64_t stored_bytes = 0;
    for (const std::string& path : contents_.datasets()) {
      attempt(result_.problems, [&] {
        stored_bytes += hdf5::StoredArray(hdf5::open_dataset(file_, path)).check_storage();
        result_.stored.insert(path);
      });
    }
    hsize_t file_bytes = 0;
    H5Fget_filesize(file_, &file_bytes);
    if (stored_bytes > file_bytes) {
      result_.problems.push_back(fmt::format(
          "{}: the datasets say that they take {} bytes of a file of {}; expected no two in the same place",
          hdf5::where(file_), stored_bytes, file_bytes));
      result_.stored.clear();
    }
  }

  /// The number of query positions, or kUnknown.
  std::int64_t check_query_positions() {
    const std::string path = "/query_positions";
    std::int64_t count = kUnknown;
    if (!result_.stored.contains(path)) {
      return count;
    }
    attempt(result_.problems, [&] {
      const hdf5::StoredArray array(hdf5::open_dataset(file_, path));
      if (array.shape().size() != 1) {
        return;
      }
      count = static_cast<std::int64_t>(array.shape()[0]);
      if (count > result_.header.seq_len) {
        result_.problems.push_back(
            fmt::format("{}: {} positions contradict seq_len {}; expected at most that many",
                        hdf5::where(array.dataset()), count, result_.header.seq_len));
      } else if (hdf5::has_type(array.dataset(), H5T_STD_I64LE)) {
        check_rule(array, count);
      }
    });
    return count;
  }

  void check_rule(const hdf5::StoredArray& array, std::int64_t count) {
    PositionCheck check(result_.header, count, hdf5::where(array.dataset()));
    for_each_piece(array, count, [&](std::span<const std::int64_t> piece) { check.add(piece); });
    if (const std::string problem = check.problem(); !problem.empty()) {
      result_.problems.push_back(problem);
    }
  }

  void check_turns(const DatasetSpec& spec) {
    attempt(result_.problems, [&] {
      const hdf5::StoredArray array(hdf5::open_dataset(file_, spec.path));
      TurnCheck check(result_.header.seq_len);
      for_each_piece(array, spec.length(), [&](std::span<const std::int64_t> piece) { check.add(piece); });
      if (const std::string problem = check.problem(); !problem.empty()) {
        result_.problems.push_back(fmt::format("{}: {}", hdf5::where(array.dataset()), problem));
      }
    });
  }

  /// Whether the dataset is there and can be read as the layout says.
  bool check_dataset(DatasetSpec& spec) {
    if (!contents_.has_dataset(spec.path)) {
      if (spec.required && !is_refused(contents_, spec.path)) {
        result_.problems.push_back(fmt::format("{}: missing; expected {} {}", hdf5::where(file_, spec.path),
                                               hdf5::type_name(type_of(spec.element)), shape_text(spec)));
      }
      return false;
    }
    if (!result_.stored.contains(spec.path)) {
      return false;
    }
    bool is_sound = false;
    attempt(result_.problems, [&] {
      const hdf5::Handle dataset = hdf5::open_dataset(file_, spec.path);
      const bool has_type = check_type(dataset.get(), spec, result_.problems);
      is_sound = check_shape(dataset.get(), spec, result_.problems) && has_type;
      if (is_sound) {
        fill_in_lengths(spec, hdf5::shape_of(dataset.get()));
      }
      check_dataset_attributes(dataset.get(), spec.units, result_.problems);
    });
    return is_sound;
  }

  /// Reports what is in `group` and not among `known`.
  void check_children(const std::string& group, const std::vector<std::string>& known) {
    const std::set<std::string> names(known.begin(), known.end());
    for (const std::string& name : contents_.children(group)) {
      if (!names.contains(name)) {
        const std::string path = (group == "/" ? "" : group) + "/" + name;
        result_.problems.push_back(fmt::format("{}: not in this format; expected nothing but {}",
                                               hdf5::where(file_, path), hdf5::list_text(known)));
      }
    }
  }

  void check_strangers(const std::vector<DatasetSpec>& layout) {
    check_children("/", {"tokens", "token_class", "query_positions", "turns", "layers", "truth"});
    std::map<std::string, std::vector<std::string>> names;
    for (const DatasetSpec& spec : layout) {
      const std::size_t slash = spec.path.rfind('/');
      names[spec.path.substr(0, slash)].push_back(spec.path.substr(slash + 1));
    }
    std::vector<std::string> layers;
    for (const std::int64_t layer : result_.header.captured_layers) {
      layers.push_back(std::to_string(layer));
    }
    check_children("/layers", layers);
    for (const std::string& layer : layers) {
      check_children("/layers/" + layer, names["/layers/" + layer]);
    }
  }

  hid_t file_;
  Contents contents_;
  Inspection result_;
};

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
      add("units", fmt::format("'{}'; expected '{}'", hdf5::shown(given), units));
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
      add("checksum",
          fmt::format("'{}'; expected 'sha256:' and 64 lower-case hexadecimal digits", hdf5::shown(given)));
    }
  });
}

PositionCheck::PositionCheck(const Header& header, std::int64_t count, std::string place)
    : seq_len_(header.seq_len), prefill_len_(header.prefill_len), count_(count), place_(std::move(place)) {}

void PositionCheck::add(std::span<const std::int64_t> positions) {
  for (const std::int64_t position : positions) {
    if (disorder_.empty() && (position < 0 || position >= seq_len_)) {
      disorder_ = fmt::format("position {} at index {} contradicts seq_len {}; expected 0..{}", position,
                              next_, seq_len_, seq_len_ - 1);
    } else if (disorder_.empty() && next_ > 0 && position <= last_) {
      disorder_ = fmt::format("position {} at index {} follows {}; expected strictly increasing positions",
                              position, next_, last_);
    }
    const std::int64_t expected = seq_len_ - count_ + next_;
    if (gap_.empty() && position != expected) {
      gap_ = fmt::format("position {} at index {}; expected {}: the end of the prompt, then every step",
                         position, next_, expected);
    }
    last_ = position;
    ++next_;
  }
}

std::string PositionCheck::problem() const {
  const std::int64_t steps = seq_len_ - prefill_len_;
  if (!disorder_.empty()) {
    return place_ + ": " + disorder_;
  }
  if (count_ < steps) {
    return fmt::format("{}: {} positions contradict the {} decode steps; expected each of {}..{}", place_,
                       count_, steps, prefill_len_, seq_len_ - 1);
  }
  return gap_.empty() ? "" : place_ + ": " + gap_;
}

std::vector<std::string> bounded(std::vector<std::string> problems) {
  constexpr std::size_t kMost = 100;
  if (problems.size() > kMost) {
    const std::size_t more = problems.size() - kMost;
    problems.resize(kMost);
    problems.push_back(fmt::format("and {} more problems", more));
  }
  return problems;
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

Inspection inspect(hdf5::Handle file) {
  try {
    Contents contents(file.get());
    return Inspector(std::move(file), std::move(contents)).run();
  } catch (const InputError& error) {
    Inspection result;
    result.problems = error.problems();
    return result;
  }
}

}  // namespace kvr::trace
