#include "traces/header_io.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/base/error.hpp"

namespace kvr::trace {
namespace {

/// One table row per attribute drives reading, checking and writing.
struct IntRow {
  const char* name;
  std::int64_t& (*of)(Header&);
  std::int64_t minimum;
  std::int64_t maximum;
};

struct DoubleRow {
  const char* name;
  double& (*of)(Header&);
  double maximum;
};

struct StringRow {
  const char* name;
  std::string& (*of)(Header&);
  bool (*is_good)(const std::string&);
  const char* expected;
};

struct ListRow {
  const char* name;
  std::vector<std::int64_t>& (*of)(Header&);
  /// Every index is below this.
  std::int64_t (*limit)(const Header&);
  const char* limit_name;
};

/// Far above what models have, and so low that sizes in bytes of all layers together fit in an int64.
constexpr std::int64_t kMostTokens = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kLongest = 100'000'000;
constexpr std::int64_t kMostChannels = 1 << 20;
/// Scores in float32 stay finite with any float16 keys and queries.
constexpr double kLargestScale = 1e9;

const IntRow kInts[] = {
    {"layers", [](Header& h) -> std::int64_t& { return h.geometry.layers; }, 1, 10'000},
    {"query_heads", [](Header& h) -> std::int64_t& { return h.geometry.query_heads; }, 1, 65'536},
    {"kv_heads", [](Header& h) -> std::int64_t& { return h.geometry.kv_heads; }, 1, 65'536},
    {"head_dim", [](Header& h) -> std::int64_t& { return h.geometry.head_dim; }, 1, 65'536},
    {"hidden_size", [](Header& h) -> std::int64_t& { return h.geometry.hidden_size; }, 1, 1 << 20},
    {"ffn_size", [](Header& h) -> std::int64_t& { return h.geometry.ffn_size; }, 1, 1 << 22},
    {"vocab_size", [](Header& h) -> std::int64_t& { return h.geometry.vocab_size; }, 1, kMostTokens},
    {"prefill_len", [](Header& h) -> std::int64_t& { return h.prefill_len; }, 1, kLongest},
    {"seq_len", [](Header& h) -> std::int64_t& { return h.seq_len; }, 1, kLongest},
};

const DoubleRow kDoubles[] = {
    {"rope_theta", [](Header& h) -> double& { return h.geometry.rope_theta; },
     std::numeric_limits<double>::max()},
    {"attention_scale", [](Header& h) -> double& { return h.geometry.attention_scale; }, kLargestScale},
};

bool is_anything(const std::string&) {
  return true;
}
bool is_not_empty(const std::string& text) {
  return !text.empty();
}
bool is_scaling(const std::string& text) {
  return text == "none" || (text.starts_with('{') && text.ends_with('}'));
}
bool is_layout(const std::string& text) {
  return text == "half" || text == "interleaved";
}
bool is_mode(const std::string& text) {
  return text == "teacher-forced" || text == "greedy" || text == "sampled" || text == "synthetic";
}
bool is_digest(const std::string& text) {
  return text == "none" ||
         (text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos);
}

const StringRow kStrings[] = {
    {"model_name", [](Header& h) -> std::string& { return h.model_name; }, is_not_empty, "a name"},
    {"rope_scaling", [](Header& h) -> std::string& { return h.geometry.rope_scaling; }, is_scaling,
     "'none' or a JSON object"},
    {"rope_layout", [](Header& h) -> std::string& { return h.geometry.rope_layout; }, is_layout,
     "'half' or 'interleaved'"},
    {"capture_tool", [](Header& h) -> std::string& { return h.capture_tool; }, is_anything, ""},
    {"capture_version", [](Header& h) -> std::string& { return h.capture_version; }, is_anything, ""},
    {"capture_mode", [](Header& h) -> std::string& { return h.capture_mode; }, is_mode,
     "'teacher-forced', 'greedy', 'sampled' or 'synthetic'"},
    {"weights_sha256", [](Header& h) -> std::string& { return h.weights_sha256; }, is_digest,
     "'none' or 64 lower-case hexadecimal digits"},
    {"text_source", [](Header& h) -> std::string& { return h.text_source; }, is_anything, ""},
    {"licence", [](Header& h) -> std::string& { return h.licence; }, is_anything, ""},
};

const ListRow kLists[] = {
    {"captured_layers", [](Header& h) -> std::vector<std::int64_t>& { return h.captured_layers; },
     [](const Header& h) { return h.geometry.layers; }, "layers"},
    {"captured_kv_heads", [](Header& h) -> std::vector<std::int64_t>& { return h.captured_kv_heads; },
     [](const Header& h) { return h.geometry.kv_heads; }, "kv_heads"},
};

/// Collects problems as "file: /@attribute: what".
class Problems {
 public:
  Problems(std::string file, std::vector<std::string>& list) : file_(std::move(file)), list_(list) {}

  std::size_t count() const { return list_.size(); }
  void add(const char* attribute, const std::string& what) {
    list_.push_back(fmt::format("{}: /@{}: {}", file_, attribute, what));
  }
  /// Runs `read`; an InputError becomes problems and the answer false.
  template <class Read>
  bool attempt(Read read) {
    try {
      read();
      return true;
    } catch (const InputError& error) {
      list_.insert(list_.end(), error.problems().begin(), error.problems().end());
      return false;
    }
  }

 private:
  std::string file_;
  std::vector<std::string>& list_;
};

void check_int(const IntRow& row, Header& header, Problems& problems) {
  if (row.of(header) < row.minimum) {
    problems.add(row.name, fmt::format("{}; expected at least {}", row.of(header), row.minimum));
  } else if (row.of(header) > row.maximum) {
    problems.add(row.name, fmt::format("{}; expected at most {}", row.of(header), row.maximum));
  }
}

void check_double(const DoubleRow& row, Header& header, Problems& problems) {
  const double value = row.of(header);
  if (!std::isfinite(value) || value <= 0.0) {
    problems.add(row.name, fmt::format("{}; expected a finite number above 0", value));
  } else if (value > row.maximum) {
    problems.add(row.name, fmt::format("{}; expected at most {}", value, row.maximum));
  }
}

void check_string(const StringRow& row, Header& header, Problems& problems) {
  if (!row.is_good(row.of(header))) {
    problems.add(row.name, fmt::format("'{}'; expected {}", hdf5::shown(row.of(header)), row.expected));
  }
}

void check_list(const ListRow& row, Header& header, Problems& problems) {
  const std::vector<std::int64_t>& indices = row.of(header);
  const std::string given = fmt::format("[{}]", hdf5::list_text(indices));
  if (indices.empty()) {
    problems.add(row.name, "empty; expected at least one index");
  }
  if (std::adjacent_find(indices.begin(), indices.end(), std::greater_equal<>()) != indices.end()) {
    problems.add(row.name, fmt::format("{}; expected strictly increasing indices", given));
  }
  const std::int64_t limit = row.limit(header);
  if (std::any_of(indices.begin(), indices.end(), [&](auto index) { return index < 0 || index >= limit; })) {
    problems.add(row.name, fmt::format("{} contradicts {} {}; expected indices 0..{}", given, row.limit_name,
                                       limit, limit - 1));
  }
}

/// The rules between attributes; call only when each one by itself is sound.
void check_agreement(Header& header, Problems& problems) {
  const Geometry& geometry = header.geometry;
  if (geometry.query_heads % geometry.kv_heads != 0) {
    problems.add("query_heads", fmt::format("{} contradicts kv_heads {}; expected a multiple of it",
                                            geometry.query_heads, geometry.kv_heads));
  }
  if (geometry.query_heads * geometry.head_dim > kMostChannels) {
    problems.add("query_heads",
                 fmt::format("{} with head_dim {} are {} channels; expected at most {}", geometry.query_heads,
                             geometry.head_dim, geometry.query_heads * geometry.head_dim, kMostChannels));
  }
  if (header.prefill_len > header.seq_len) {
    problems.add("prefill_len", fmt::format("{} contradicts seq_len {}; expected 1..{}", header.prefill_len,
                                            header.seq_len, header.seq_len));
  }
  for (const ListRow& row : kLists) {
    check_list(row, header, problems);
  }
}

bool is_kvtrace(hid_t file, Problems& problems) {
  const std::size_t before = problems.count();
  problems.attempt([&] {
    const std::string format = hdf5::read_string(file, "format");
    if (format != kFormat) {
      problems.add("format", fmt::format("'{}'; expected '{}'", hdf5::shown(format), kFormat));
    }
  });
  problems.attempt([&] {
    const std::int64_t version = hdf5::read_int(file, "version");
    if (version != kVersion) {
      problems.add("version", fmt::format("{}; expected {}", version, kVersion));
    }
  });
  return problems.count() == before;
}

void read_sizes(hid_t file, Header& header, Problems& problems) {
  for (const IntRow& row : kInts) {
    if (problems.attempt([&] { row.of(header) = hdf5::read_int(file, row.name); })) {
      check_int(row, header, problems);
    }
  }
  for (const ListRow& row : kLists) {
    problems.attempt([&] { row.of(header) = hdf5::read_ints(file, row.name); });
  }
}

void read_labels(hid_t file, Header& header, Problems& problems) {
  for (const DoubleRow& row : kDoubles) {
    if (problems.attempt([&] { row.of(header) = hdf5::read_double(file, row.name); })) {
      check_double(row, header, problems);
    }
  }
  for (const StringRow& row : kStrings) {
    if (problems.attempt([&] { row.of(header) = hdf5::read_string(file, row.name); })) {
      check_string(row, header, problems);
    }
  }
  problems.attempt([&] { header.seed = hdf5::read_int(file, "seed"); });
}

}  // namespace

std::vector<std::string> check_header(const Header& given, const std::string& file) {
  Header header = given;
  std::vector<std::string> list;
  Problems problems(file, list);
  for (const IntRow& row : kInts) {
    check_int(row, header, problems);
  }
  if (list.empty()) {
    check_agreement(header, problems);
  }
  for (const DoubleRow& row : kDoubles) {
    check_double(row, header, problems);
  }
  for (const StringRow& row : kStrings) {
    check_string(row, header, problems);
  }
  return list;
}

void write_header(hid_t file, Header header) {
  hdf5::write_string(file, "format", kFormat);
  hdf5::write_int(file, "version", kVersion);
  for (const StringRow& row : kStrings) {
    hdf5::write_string(file, row.name, row.of(header));
  }
  for (const IntRow& row : kInts) {
    hdf5::write_int(file, row.name, row.of(header));
  }
  for (const DoubleRow& row : kDoubles) {
    hdf5::write_double(file, row.name, row.of(header));
  }
  for (const ListRow& row : kLists) {
    hdf5::write_ints(file, row.name, row.of(header));
  }
  hdf5::write_int(file, "seed", header.seed);
}

ReadHeader read_header(hid_t file, std::vector<std::string>& list) {
  const std::string place = hdf5::where(file);
  Problems problems(place.substr(0, place.size() - 3), list);  // without ": /"
  ReadHeader result;
  if (!is_kvtrace(file, problems)) {
    return result;
  }
  const std::size_t before = problems.count();
  read_sizes(file, result.header, problems);
  if (problems.count() == before) {
    check_agreement(result.header, problems);
  }
  result.sizes_sound = problems.count() == before;
  read_labels(file, result.header, problems);
  return result;
}

}  // namespace kvr::trace
