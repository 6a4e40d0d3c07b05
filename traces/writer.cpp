#include "traces/writer.hpp"

#include <algorithm>
#include <cstring>
#include <map>

#include "sim/base/error.hpp"
#include "sim/base/files/new_file.hpp"
#include "sim/base/sha256.hpp"
#include "traces/checks/inspect.hpp"
#include "traces/header_io.hpp"
#include "traces/layout.hpp"

namespace kvr::trace {
namespace {

constexpr std::int64_t kChunkBytes = 65536;
constexpr unsigned kDeflateLevel = 4;

/// Rows along time of a chunk of about 64 KiB that is not longer than the axis.
std::int64_t chunk_rows(const DatasetSpec& spec) {
  const std::int64_t row_bytes = spec.width() * static_cast<std::int64_t>(bytes_of(spec.element));
  return std::clamp<std::int64_t>(kChunkBytes / row_bytes, 1, std::max<std::int64_t>(1, spec.length()));
}

hdf5::Handle create(hid_t file, const DatasetSpec& spec) {
  hdf5::Shape shape;
  hdf5::Shape chunk;
  for (std::size_t axis = 0; axis < spec.axes.size(); ++axis) {
    shape.push_back(static_cast<hsize_t>(spec.axes[axis].length));
    chunk.push_back(axis == 2 ? shape[2] : 1);
  }
  chunk[spec.time_axis()] = static_cast<hsize_t>(chunk_rows(spec));
  hdf5::Handle dataset =
      hdf5::create_dataset(file, spec.path, type_of(spec.element), shape, {chunk, kDeflateLevel});
  hdf5::write_string(dataset.get(), "units", spec.units);
  hdf5::write_string(dataset.get(), "long_name", spec.long_name);
  return dataset;
}

/// One dataset being written along time: hashes what comes, gathers one chunk per head, writes whole chunks.
class Stream {
 public:
  Stream(hid_t file, DatasetSpec spec)
      : spec_(std::move(spec)), dataset_(create(file, spec_)), chunk_rows_(chunk_rows(spec_)) {
    gathered_.reserve(static_cast<std::size_t>(chunk_rows_ * time_bytes()));
    seal_if_complete();
  }

  /// `rows`: [n, heads, width], time outermost.
  void append(std::span<const std::byte> rows) {
    const std::int64_t n = std::ssize(rows) / time_bytes();
    KVR_CHECK(n * time_bytes() == std::ssize(rows), "{}: {} bytes, {} per time", spec_.path, rows.size(),
              time_bytes());
    KVR_CHECK(rows_ + n <= spec_.length(), "{}: {} and {} rows of {}", spec_.path, rows_, n, spec_.length());
    if (n == 0) {
      return;
    }
    hash_.update(rows);
    rows_ += n;
    while (!rows.empty()) {
      const std::size_t room = static_cast<std::size_t>(chunk_rows_ * time_bytes()) - gathered_.size();
      const auto part = rows.first(std::min(room, rows.size()));
      gathered_.insert(gathered_.end(), part.begin(), part.end());
      rows = rows.subspan(part.size());
      if (part.size() == room) {
        flush();
      }
    }
    seal_if_complete();
  }

  void check_complete() const {
    KVR_CHECK(rows_ == spec_.length(), "{}: {} of {} rows were written", spec_.path, rows_, spec_.length());
  }

 private:
  /// A complete dataset gets its checksum and gives its memory back.
  void seal_if_complete() {
    if (rows_ < spec_.length()) {
      return;
    }
    flush();
    const std::string digest = spec_.path.starts_with("/truth/") ? hash_of_stored() : hash_.hex();
    hdf5::write_string(dataset_.get(), "checksum", "sha256:" + digest);
    dataset_.reset();
    gathered_ = {};
    stored_ = {};
  }

  /// Bytes of all heads at one time.
  std::int64_t time_bytes() const {
    return spec_.heads() * spec_.width() * static_cast<std::int64_t>(bytes_of(spec_.element));
  }

  /// Turns the gathered rows from [n, heads, width] into the stored order [heads, n, width] and writes them.
  void flush() {
    const std::int64_t n = std::ssize(gathered_) / time_bytes();
    if (n == 0) {
      return;
    }
    const auto row_bytes = static_cast<std::size_t>(time_bytes() / spec_.heads());
    const auto heads = static_cast<std::size_t>(spec_.heads());
    stored_.resize(gathered_.size());
    for (std::size_t head = 0; head < heads; ++head) {
      for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) {
        std::memcpy(&stored_[(head * static_cast<std::size_t>(n) + i) * row_bytes],
                    &gathered_[(i * heads + head) * row_bytes], row_bytes);
      }
    }
    hdf5::Shape begin(spec_.axes.size(), 0);
    hdf5::Shape count = hdf5::shape_of(dataset_.get());
    begin[spec_.time_axis()] = static_cast<hsize_t>(written_);
    count[spec_.time_axis()] = static_cast<hsize_t>(n);
    hdf5::write_block(dataset_.get(), type_of(spec_.element), begin, count, stored_.data());
    written_ += n;
    gathered_.clear();
  }

  /// /truth is hashed in C order, head by head, which is not the order it was written in.
  std::string hash_of_stored() const {
    Sha256 hash;
    std::vector<std::byte> block;
    for (std::int64_t head = 0; head < spec_.heads(); ++head) {
      for (std::int64_t begin = 0; begin < spec_.length(); begin += chunk_rows_) {
        const std::int64_t rows = std::min(chunk_rows_, spec_.length() - begin);
        block.resize(static_cast<std::size_t>(rows) * bytes_of(spec_.element));
        hdf5::read_block(dataset_.get(), type_of(spec_.element),
                         {static_cast<hsize_t>(head), static_cast<hsize_t>(begin)},
                         {1, static_cast<hsize_t>(rows)}, block.data());
        hash.update(block);
      }
    }
    return hash.hex();
  }

  DatasetSpec spec_;
  hdf5::Handle dataset_;
  std::int64_t chunk_rows_;
  Sha256 hash_;
  /// Rows taken, and those of them already in the file.
  std::int64_t rows_ = 0;
  std::int64_t written_ = 0;
  std::vector<std::byte> gathered_;
  std::vector<std::byte> stored_;
};

}  // namespace

/// Members end in reverse: the streams, the file, and then its temporary name.
struct Writer::State {
  explicit State(const std::filesystem::path& out) : path(out), target(out) {}

  std::filesystem::path path;
  NewFile target;
  Header header;
  std::vector<DatasetSpec> layout;
  hdf5::Handle file;
  /// By path; the optional ones appear with their first append.
  std::map<std::string, Stream> streams;
  bool is_finished = false;

  Stream& stream(const std::string& dataset) {
    const auto found = streams.find(dataset);
    if (found != streams.end()) {
      return found->second;
    }
    return streams.emplace(dataset, Stream(file.get(), find(layout, dataset))).first->second;
  }

  Stream& stream(std::int64_t layer, const char* name) {
    KVR_CHECK(layer >= 0 && layer < std::ssize(header.captured_layers), "layer {} of {}", layer,
              header.captured_layers.size());
    return stream(field_path(header, layer, name));
  }
};

Writer::Writer(const std::filesystem::path& path, const Header& header,
               const std::vector<std::int64_t>& query_positions) {
  std::vector<std::string> problems = check_header(header, path.string());
  if (problems.empty()) {
    PositionCheck check(header, std::ssize(query_positions), path.string() + ": /query_positions");
    check.add(query_positions);
    if (const std::string problem = check.problem(); !problem.empty()) {
      problems.push_back(problem);
    }
  }
  if (!problems.empty()) {
    throw InputError(problems);
  }
  state_ = std::make_unique<State>(path);
  state_->header = header;
  state_->layout = layout_of(header, std::ssize(query_positions));
  state_->file = hdf5::create_file(state_->target.temporary());
  write_header(state_->file.get(), header);
  state_->stream("/query_positions").append(std::as_bytes(std::span(query_positions)));
}

Writer::~Writer() = default;

void Writer::append_tokens(std::span<const std::int32_t> tokens) {
  state_->stream("/tokens").append(std::as_bytes(tokens));
}

void Writer::append_token_classes(std::span<const std::uint8_t> classes) {
  state_->stream("/token_class").append(std::as_bytes(classes));
}

void Writer::append(Field field, std::int64_t layer, std::span<const Half> rows) {
  state_->stream(layer, name_of(field)).append(std::as_bytes(rows));
}

void Writer::append_prompt_attention_sums(std::int64_t layer, std::span<const float> rows) {
  state_->stream(layer, "prompt_attention_sums").append(std::as_bytes(rows));
}

void Writer::append_wo_v_norm(std::int64_t layer, std::span<const float> rows) {
  state_->stream(layer, "wo_v_norm").append(std::as_bytes(rows));
}

void Writer::declare_truth(const std::string& name, std::int64_t heads, std::int64_t length,
                           const std::string& long_name) {
  state_->layout.push_back(
      {"/truth/" + name, Element::int32, {{"heads", heads}, {"length", length}}, "1", long_name, true});
  state_->stream("/truth/" + name);
}

void Writer::append_truth(const std::string& name, std::span<const std::int32_t> rows) {
  state_->stream("/truth/" + name).append(std::as_bytes(rows));
}

void Writer::finish() {
  KVR_CHECK(!state_->is_finished, "{} is already finished", state_->path.string());
  for (const DatasetSpec& spec : state_->layout) {
    if (spec.required) {
      state_->stream(spec.path);  // One never written is made here, so that it is checked too.
    }
  }
  for (const auto& [path, stream] : state_->streams) {
    stream.check_complete();
  }
  state_->streams.clear();
  hdf5::close_file(state_->file);
  state_->target.commit();
  state_->is_finished = true;
}

}  // namespace kvr::trace
