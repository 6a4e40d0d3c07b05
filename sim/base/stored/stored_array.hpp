#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/hdf5.hpp"

namespace kvr::hdf5 {

/// The values of a dataset as they lie in a file that need not be trusted.
///
/// The dataset is stored in one piece or in chunks, and chunks may have gone through shuffle and then
/// deflate, or one of them; anything else (other filters, other files, virtual datasets) is refused. Chunks
/// are read raw and decoded here, because HDF5 1.10 reads past the end of one that is shorter than it should
/// be. The last chunks read are kept, about a MiB of them. Whatever cannot be read is an InputError, or a
/// SystemError if the disk failed. Not thread-safe, nor are the const functions.
class StoredArray {
 public:
  static constexpr std::uint64_t kLargestChunkBytes = std::uint64_t{16} << 20;

  /// Looks at how the dataset is stored, and reads nothing.
  explicit StoredArray(Handle dataset);

  hid_t dataset() const { return dataset_.get(); }
  /// Empty: a scalar.
  const Shape& shape() const { return shape_; }
  /// Of one value in memory, which is that in the file for numbers.
  std::size_t element_bytes() const { return element_bytes_; }
  std::uint64_t value_count() const { return value_count_; }
  /// Chunk extents; empty: in one piece.
  const Shape& chunk() const { return chunk_; }

  /// Refuses the dataset unless the file has storage for every value; with chunks that takes a walk over
  /// their index. Returns the bytes that the values take in the file.
  std::uint64_t check_storage() const;

  /// The block of `count` values at `begin`, one number per dimension, in C order.
  void read(const Shape& begin, const Shape& count, std::span<std::byte> out) const;

 private:
  /// A chunk decoded; no origin: of no chunk yet.
  struct Slot {
    Shape origin;
    std::vector<std::byte> values;
    std::uint64_t last_use = 0;
  };

  void find_chunks(hid_t properties);
  void find_filters(hid_t properties);
  void check_chunks(std::uint64_t stored_bytes) const;
  void check_one_piece(std::uint64_t stored_bytes) const;
  const std::vector<std::byte>& chunk_at(const Shape& origin) const;
  Slot& slot_to_fill() const;
  void decode(const Shape& origin, std::vector<std::byte>& values) const;
  std::uint32_t read_raw(const Shape& origin) const;
  [[noreturn]] void refuse(const std::string& what) const;
  [[noreturn]] void refuse_chunk(const Shape& origin, const std::string& why) const;

  Handle dataset_;
  Handle type_;
  Shape shape_;
  Shape chunk_;
  std::size_t element_bytes_ = 0;
  std::uint64_t value_count_ = 0;
  std::uint64_t chunk_bytes_ = 0;
  /// In the order in which a writer applies them.
  std::vector<H5Z_filter_t> filters_;
  mutable std::vector<Slot> slots_;
  mutable std::uint64_t uses_ = 0;
  mutable std::vector<std::byte> raw_;
  mutable std::vector<std::byte> inflated_;
};

}  // namespace kvr::hdf5
