#include "traces/reader.hpp"

#include <algorithm>
#include <map>
#include <string>

#include "sim/base/error.hpp"
#include "sim/base/stored/stored_array.hpp"
#include "traces/checks/inspect.hpp"
#include "traces/checks/rehearsal.hpp"

namespace kvr::trace {

struct Reader::State {
  Inspection file;
  struct Dataset {
    DatasetSpec spec;
    hdf5::StoredArray values;
  };
  /// By path.
  std::map<std::string, Dataset> datasets;

  bool has(std::int64_t layer, const std::string& name) const {
    check_layer(layer);
    return datasets.contains(field_path(file.header, layer, name));
  }

  void check_layer(std::int64_t layer) const {
    KVR_CHECK(layer >= 0 && layer < std::ssize(file.header.captured_layers), "layer {} of {}", layer,
              file.header.captured_layers.size());
  }

  /// Times [begin, end) of one head of the dataset at `path`, as they are stored.
  template <class T>
  void read(const std::string& path, std::int64_t head, std::int64_t begin, std::int64_t end,
            std::span<T> out) const {
    const auto found = datasets.find(path);
    KVR_CHECK(found != datasets.end(), "no {}", path);
    const auto& [spec, values] = found->second;
    KVR_CHECK(head >= 0 && head < spec.heads(), "{}: head {} of {}", path, head, spec.heads());
    KVR_CHECK(0 <= begin && begin <= end && end <= spec.length(), "{}: [{}, {}) of {}", path, begin, end,
              spec.length());
    KVR_CHECK(std::ssize(out) == (end - begin) * spec.width() && sizeof(T) == bytes_of(spec.element),
              "{}: {} values for {} rows of {}", path, out.size(), end - begin, spec.width());
    if (begin == end) {
      return;
    }
    hdf5::Shape first{static_cast<hsize_t>(head), static_cast<hsize_t>(begin), 0};
    hdf5::Shape count{1, static_cast<hsize_t>(end - begin), static_cast<hsize_t>(spec.width())};
    if (spec.axes.size() == 1) {
      first = {first[1]};
      count = {count[1]};
    }
    first.resize(spec.axes.size());
    count.resize(spec.axes.size());
    values.read(first, count, std::as_writable_bytes(out));
  }
};

Reader::Reader(const std::filesystem::path& path) : state_(std::make_unique<State>()) {
  const auto found = rehearse(path, limits_for(path), [&] { return bounded(inspect(path).problems); });
  if (!found.empty()) {
    throw InputError(found);
  }
  state_->file = inspect(path);
  if (!state_->file.problems.empty()) {
    throw InputError(bounded(state_->file.problems));
  }
  for (const DatasetSpec& spec : state_->file.sound) {
    hdf5::StoredArray values(hdf5::open_dataset(state_->file.file.get(), spec.path));
    state_->datasets.emplace(spec.path, State::Dataset{spec, std::move(values)});
  }
}

Reader::~Reader() = default;
Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&&) noexcept = default;

const Header& Reader::header() const {
  return state_->file.header;
}

const std::vector<std::int64_t>& Reader::query_positions() const {
  return state_->file.query_positions;
}

std::int64_t Reader::turns() const {
  const auto found = state_->datasets.find("/turns");
  return found == state_->datasets.end() ? 0 : found->second.spec.length();
}

std::int64_t Reader::query_row(std::int64_t position) const {
  // The positions are consecutive and end at seq_len - 1.
  const std::int64_t row = rows(Field::queries) - (header().seq_len - position);
  KVR_CHECK(row >= 0 && row < rows(Field::queries), "no query at position {}", position);
  return row;
}

bool Reader::has(Field field, std::int64_t layer) const {
  return state_->has(layer, name_of(field));
}

std::int64_t Reader::heads(Field field) const {
  return is_query(field) ? header().query_heads_captured() : header().kv_heads_captured();
}

std::int64_t Reader::rows(Field field) const {
  return is_query(field) ? std::ssize(query_positions()) : header().seq_len;
}

void Reader::read(Field field, std::int64_t layer, std::int64_t head, std::int64_t begin, std::int64_t end,
                  std::span<Half> out) const {
  state_->check_layer(layer);
  state_->read(field_path(header(), layer, name_of(field)), head, begin, end, out);
}

bool Reader::has_prompt_attention_sums(std::int64_t layer) const {
  return state_->has(layer, "prompt_attention_sums");
}

void Reader::read_prompt_attention_sums(std::int64_t layer, std::int64_t head, std::span<float> out) const {
  state_->check_layer(layer);
  state_->read(field_path(header(), layer, "prompt_attention_sums"), head, 0, header().prefill_len, out);
}

bool Reader::has_wo_v_norm(std::int64_t layer) const {
  return state_->has(layer, "wo_v_norm");
}

void Reader::read_wo_v_norm(std::int64_t layer, std::int64_t head, std::int64_t begin, std::int64_t end,
                            std::span<float> out) const {
  state_->check_layer(layer);
  state_->read(field_path(header(), layer, "wo_v_norm"), head, begin, end, out);
}

void Reader::read_tokens(std::int64_t begin, std::int64_t end, std::span<std::int32_t> out) const {
  state_->read("/tokens", 0, begin, end, out);
}

bool Reader::has_token_classes() const {
  return state_->datasets.contains("/token_class");
}

void Reader::read_token_classes(std::int64_t begin, std::int64_t end, std::span<std::uint8_t> out) const {
  state_->read("/token_class", 0, begin, end, out);
  const auto unknown = std::ranges::find_if(out, [](std::uint8_t one) { return one > kLastTokenClass; });
  if (unknown != out.end()) {
    throw InputError(fmt::format("{}: {} at position {}; expected 0..{}",
                                 hdf5::where(state_->file.file.get(), "/token_class"), *unknown,
                                 begin + (unknown - out.begin()), kLastTokenClass));
  }
}

Window::Window(const Reader& reader, Field field, std::int64_t layer, std::int64_t head, std::int64_t rows)
    : reader_(&reader),
      field_(field),
      layer_(layer),
      head_(head),
      capacity_(rows),
      head_dim_(reader.header().geometry.head_dim) {
  KVR_CHECK(rows > 0, "a window of {} rows", rows);
  KVR_CHECK(reader.has(field, layer), "no {} in layer {}", name_of(field), layer);
}

std::span<const Half> Window::row(std::int64_t i) {
  if (i < begin_ || i >= end_) {
    KVR_CHECK(i >= 0 && i < reader_->rows(field_), "row {} of {}", i, reader_->rows(field_));
    const std::int64_t begin = i / capacity_ * capacity_;
    const std::int64_t end = std::min(begin + capacity_, reader_->rows(field_));
    end_ = begin_;  // Holds nothing while the read may fail.
    buffer_.resize(static_cast<std::size_t>((end - begin) * head_dim_));
    reader_->read(field_, layer_, head_, begin, end, buffer_);
    begin_ = begin;
    end_ = end;
  }
  return std::span<const Half>(buffer_).subspan(static_cast<std::size_t>((i - begin_) * head_dim_),
                                                static_cast<std::size_t>(head_dim_));
}

}  // namespace kvr::trace
