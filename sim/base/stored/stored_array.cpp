// read, of chunks:
//   for each chunk that the block meets: decode it, unless it is kept; copy what the two have in common
//
// decode: raw bytes -> inflate -> unshuffle, each unless the chunk's mask says that the writer left it out;
// the sizes must come out to the byte.
#include "sim/base/stored/stored_array.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>

#include "sim/base/error.hpp"
#include "sim/base/stored/filters.hpp"

namespace kvr::hdf5 {
namespace {

/// What HDF5 keeps of a dataset by default.
constexpr std::uint64_t kKeptBytes = std::uint64_t{1} << 20;
constexpr std::uint64_t kMostSlots = 64;
/// No deflate stream grows by more when it is inflated (zlib's technical details).
constexpr std::uint64_t kDeflateRatio = 1032;

/// The product, or the largest number where it is larger.
std::uint64_t saturated_product(std::uint64_t a, std::uint64_t b) {
  constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
  return a != 0 && b > kMost / a ? kMost : a * b;
}

std::uint64_t saturated_product(const Shape& extents, std::uint64_t factor) {
  if (std::ranges::find(extents, hsize_t{0}) != extents.end()) {
    return 0;
  }
  return std::accumulate(extents.begin(), extents.end(), factor,
                         [](std::uint64_t a, std::uint64_t b) { return saturated_product(a, b); });
}

std::string text_of(const Shape& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

/// Steps `index` through all of [0, count) in C order; false after the last.
bool advance(Shape& index, const Shape& count) {
  for (std::size_t axis = count.size(); axis-- > 0;) {
    if (++index[axis] < count[axis]) {
      return true;
    }
    index[axis] = 0;
  }
  return false;
}

/// Values in C order, and where in them a part begins.
struct Box {
  const Shape& extents;
  const Shape& begin;

  std::size_t offset(const Shape& index) const {
    std::size_t offset = 0;
    for (std::size_t axis = 0; axis < extents.size(); ++axis) {
      offset = offset * extents[axis] + begin[axis] + index[axis];
    }
    return offset;
  }
};

/// Copies a part of `count` values from one box to another, in runs that are contiguous in both.
void copy_part(const Box& from, const std::byte* source, const Box& to, std::byte* target, Shape count,
               std::size_t element_bytes) {
  std::size_t run_bytes = element_bytes;
  for (std::size_t axis = count.size(); axis-- > 0;) {
    const hsize_t extent = std::exchange(count[axis], 1);
    run_bytes *= extent;
    if (extent != from.extents[axis] || extent != to.extents[axis]) {
      break;
    }
  }
  Shape index(count.size(), 0);
  do {
    std::memcpy(target + to.offset(index) * element_bytes, source + from.offset(index) * element_bytes,
                run_bytes);
  } while (advance(index, count));
}

}  // namespace

StoredArray::StoredArray(Handle dataset) : dataset_(std::move(dataset)) {
  const Handle properties(H5Dget_create_plist(dataset_.get()), H5Pclose);
  const H5D_layout_t layout = H5Pget_layout(properties.get());
  // Before anything is asked of the extents, which for a virtual dataset opens others.
  if (layout != H5D_CHUNKED && layout != H5D_CONTIGUOUS && layout != H5D_COMPACT) {
    refuse(fmt::format("{} dataset; expected the values in this file",
                       layout == H5D_VIRTUAL ? "virtual" : "unknown kind of"));
  }
  if (H5Pget_external_count(properties.get()) != 0) {
    refuse("stored in other files; expected the values in this one");
  }
  type_ = Handle(H5Dget_type(dataset_.get()), H5Tclose);
  const Handle space(H5Dget_space(dataset_.get()), H5Sclose);
  if (!type_ || !space) {
    throw_unreadable(where(dataset_.get()));
  }
  shape_ = shape_of(dataset_.get());
  element_bytes_ = H5Tget_size(type_.get());
  value_count_ = H5Sget_simple_extent_type(space.get()) == H5S_NULL ? 0 : saturated_product(shape_, 1);
  if (layout == H5D_CHUNKED) {
    find_chunks(properties.get());
    find_filters(properties.get());
  }
}

void StoredArray::find_chunks(hid_t properties) {
  std::array<hsize_t, H5S_MAX_RANK> extents{};
  const int rank = H5Pget_chunk(properties, H5S_MAX_RANK, extents.data());
  if (rank < 1 || static_cast<std::size_t>(rank) != shape_.size()) {
    refuse(
        fmt::format("chunks of {} dimensions contradict shape {}; expected as many", rank, text_of(shape_)));
  }
  chunk_.assign(extents.begin(), extents.begin() + rank);
  chunk_bytes_ = saturated_product(chunk_, element_bytes_);
  if (chunk_bytes_ == 0 || chunk_bytes_ > kLargestChunkBytes) {
    refuse(fmt::format("chunks of {} values of {} bytes; expected chunks of at most {} bytes",
                       text_of(chunk_), element_bytes_, kLargestChunkBytes));
  }
}

void StoredArray::find_filters(hid_t properties) {
  const int count = H5Pget_nfilters(properties);
  for (int i = 0; i < count; ++i) {
    unsigned flags = 0;
    std::size_t parameter_count = 1;
    unsigned parameter = 0;
    const H5Z_filter_t filter = H5Pget_filter2(properties, static_cast<unsigned>(i), &flags, &parameter_count,
                                               &parameter, 0, nullptr, nullptr);
    const bool is_deflate = filter == H5Z_FILTER_DEFLATE && (filters_.empty() || filters_.back() != filter);
    const bool is_shuffle = filter == H5Z_FILTER_SHUFFLE && filters_.empty();
    if (!is_deflate && !is_shuffle) {
      refuse(
          fmt::format("filter {} (number {} of {}); expected shuffle (2), then deflate (1), or one of them",
                      filter, i + 1, count));
    }
    if (is_shuffle && (parameter_count < 1 || parameter != element_bytes_)) {
      refuse(fmt::format("shuffle of {} bytes contradicts values of {}", parameter, element_bytes_));
    }
    filters_.push_back(filter);
  }
}

std::uint64_t StoredArray::check_storage() const {
  const std::uint64_t stored_bytes = H5Dget_storage_size(dataset_.get());
  if (value_count_ == 0) {
    return stored_bytes;
  }
  if (chunk_.empty()) {
    check_one_piece(stored_bytes);
  } else {
    check_chunks(stored_bytes);
  }
  return stored_bytes;
}

void StoredArray::check_chunks(std::uint64_t stored_bytes) const {
  Shape grid(shape_.size());
  for (std::size_t axis = 0; axis < grid.size(); ++axis) {
    grid[axis] = (shape_[axis] - 1) / chunk_[axis] + 1;
  }
  const std::uint64_t expected = saturated_product(grid, 1);
  hsize_t found = 0;
  const Handle space(H5Dget_space(dataset_.get()), H5Sclose);
  if (H5Dget_num_chunks(dataset_.get(), space.get(), &found) < 0) {
    throw_unreadable(where(dataset_.get()));
  }
  if (found != expected) {
    refuse(fmt::format("{} of {} chunks are stored; expected all of them", found, expected));
  }
  const std::uint64_t value_bytes = saturated_product(expected, chunk_bytes_);
  const std::uint64_t most_bytes = saturated_product(stored_bytes, filters_.empty() ? 1 : kDeflateRatio);
  if (value_bytes > most_bytes) {
    refuse(fmt::format("{} bytes of values cannot come from the {} bytes that are stored", value_bytes,
                       stored_bytes));
  }
}

void StoredArray::check_one_piece(std::uint64_t stored_bytes) const {
  const H5T_class_t type = H5Tget_class(type_.get());
  const bool is_number = type == H5T_INTEGER || type == H5T_FLOAT;
  const std::uint64_t expected = saturated_product(value_count_, element_bytes_);
  if (is_number ? stored_bytes != expected : stored_bytes == 0) {
    refuse(fmt::format("{} bytes are stored; expected {}", stored_bytes, expected));
  }
  const Handle file(H5Iget_file_id(dataset_.get()), H5Fclose);
  hsize_t file_bytes = 0;
  H5Fget_filesize(file.get(), &file_bytes);
  const haddr_t offset = H5Dget_offset(dataset_.get());  // compact ones, in their header, have none
  if (offset != HADDR_UNDEF && (offset > file_bytes || file_bytes - offset < stored_bytes)) {
    refuse(fmt::format("{} bytes are stored at {}; expected them before the end of the file at {}",
                       stored_bytes, offset, file_bytes));
  }
}

void StoredArray::read(const Shape& begin, const Shape& count, std::span<std::byte> out) const {
  KVR_CHECK(begin.size() == shape_.size() && count.size() == shape_.size(), "{} and {} of {} dimensions",
            begin.size(), count.size(), shape_.size());
  for (std::size_t axis = 0; axis < shape_.size(); ++axis) {
    KVR_CHECK(begin[axis] <= shape_[axis] && count[axis] <= shape_[axis] - begin[axis], "{} and {} of {}",
              text_of(begin), text_of(count), text_of(shape_));
  }
  KVR_CHECK(out.size() == saturated_product(count, element_bytes_), "{} bytes for {} values of {}",
            out.size(), text_of(count), element_bytes_);
  if (out.empty()) {
    return;
  }
  if (chunk_.empty()) {
    return read_block(dataset_.get(), type_.get(), begin, count, out.data());
  }
  Shape first(shape_.size());
  Shape chunks(shape_.size());
  for (std::size_t axis = 0; axis < shape_.size(); ++axis) {
    first[axis] = begin[axis] / chunk_[axis];
    chunks[axis] = (begin[axis] + count[axis] - 1) / chunk_[axis] + 1 - first[axis];
  }
  Shape index(shape_.size(), 0);
  Shape origin(shape_.size());
  Shape in_chunk(shape_.size());
  Shape in_block(shape_.size());
  Shape part(shape_.size());
  do {
    for (std::size_t axis = 0; axis < shape_.size(); ++axis) {
      origin[axis] = (first[axis] + index[axis]) * chunk_[axis];
      const hsize_t from = std::max(origin[axis], begin[axis]);
      in_chunk[axis] = from - origin[axis];
      in_block[axis] = from - begin[axis];
      part[axis] = std::min(origin[axis] + chunk_[axis], begin[axis] + count[axis]) - from;
    }
    copy_part({chunk_, in_chunk}, chunk_at(origin).data(), {count, in_block}, out.data(), part,
              element_bytes_);
  } while (advance(index, chunks));
}

const std::vector<std::byte>& StoredArray::chunk_at(const Shape& origin) const {
  const auto kept = std::ranges::find(slots_, origin, &Slot::origin);
  if (kept != slots_.end()) {
    kept->last_use = ++uses_;
    return kept->values;
  }
  Slot& slot = slot_to_fill();
  slot.origin.clear();  // holds nothing while decoding may fail
  decode(origin, slot.values);
  slot.origin = origin;
  slot.last_use = ++uses_;
  return slot.values;
}

StoredArray::Slot& StoredArray::slot_to_fill() const {
  if (slots_.size() < std::clamp<std::uint64_t>(kKeptBytes / chunk_bytes_, 1, kMostSlots)) {
    return slots_.emplace_back();
  }
  return *std::ranges::min_element(slots_, {}, &Slot::last_use);
}

void StoredArray::decode(const Shape& origin, std::vector<std::byte>& values) const {
  const std::uint32_t left_out = read_raw(origin);
  const auto was_applied = [&](H5Z_filter_t filter) {
    const auto found = std::ranges::find(filters_, filter);
    return found != filters_.end() && (left_out >> (found - filters_.begin()) & 1U) == 0;
  };
  values.resize(chunk_bytes_);
  std::span<const std::byte> bytes = raw_;
  if (was_applied(H5Z_FILTER_DEFLATE)) {
    inflated_.resize(chunk_bytes_);
    if (!inflate_exactly(bytes, inflated_)) {
      refuse_chunk(origin, fmt::format("the chunk does not inflate to its {} bytes", chunk_bytes_));
    }
    bytes = inflated_;
  }
  if (bytes.size() != chunk_bytes_) {
    refuse_chunk(origin, fmt::format("the chunk has {} bytes; expected {}", bytes.size(), chunk_bytes_));
  }
  if (was_applied(H5Z_FILTER_SHUFFLE)) {
    unshuffle(bytes, element_bytes_, values);
  } else {
    std::ranges::copy(bytes, values.begin());
  }
}

std::uint32_t StoredArray::read_raw(const Shape& origin) const {
  hsize_t bytes = 0;
  std::uint32_t left_out = 0;
  if (H5Dget_chunk_storage_size(dataset_.get(), origin.data(), &bytes) < 0) {
    throw_unreadable(where(dataset_.get()), fmt::format("from {} on", text_of(origin)));
  }
  // What deflate cannot make smaller is stored as it is.
  if (bytes == 0 || bytes > chunk_bytes_ + chunk_bytes_ / 100 + 64) {
    refuse_chunk(origin, fmt::format("the chunk takes {} bytes in the file; expected 1 to about {}", bytes,
                                     chunk_bytes_));
  }
  raw_.resize(bytes);
  if (H5Dread_chunk(dataset_.get(), H5P_DEFAULT, origin.data(), &left_out, raw_.data()) < 0) {
    throw_unreadable(where(dataset_.get()), fmt::format("from {} on", text_of(origin)));
  }
  return left_out;
}

void StoredArray::refuse(const std::string& what) const {
  throw InputError(fmt::format("{}: {}", where(dataset_.get()), what));
}

void StoredArray::refuse_chunk(const Shape& origin, const std::string& why) const {
  refuse(fmt::format("cannot be read from {} on: {}", text_of(origin), why));
}

}  // namespace kvr::hdf5
