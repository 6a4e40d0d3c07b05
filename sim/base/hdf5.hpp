#pragma once

#include <fmt/format.h>
#include <hdf5.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// A thin layer over the HDF5 C library: handles that close themselves and errors that are exceptions.
///
/// Failing to read is an InputError, failing to write a SystemError; both name the file and the object inside
/// it and fold the library's error stack into one line. The library itself is kept from printing. The serial
/// HDF5 library is not thread-safe: use everything here from one thread at a time.
namespace kvr::hdf5 {

/// Owns an HDF5 identifier.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);

  Handle() = default;
  Handle(hid_t id, Close close) : id_(id), close_(close) {}
  ~Handle() { reset(); }
  Handle(Handle&& other) noexcept;
  Handle& operator=(Handle&& other) noexcept;
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  hid_t get() const { return id_; }
  explicit operator bool() const { return id_ >= 0; }
  void reset();

 private:
  hid_t id_ = -1;
  Close close_ = nullptr;
};

/// Why the last call failed, as one line: the system's words if it was the system, else the library's error
/// stack, outermost call first. Throws std::bad_alloc where it was want of memory.
std::string error_line();
/// "file: /path/in/file" of an open object, the way every message starts, and of a path in the file of
/// `object`.
std::string where(hid_t object);
std::string where(hid_t object, const std::string& path);
/// For messages, which a file must not lengthen or colour: about `most_bytes` of `text` at most, with \xNN
/// for what is neither printable ASCII nor sound UTF-8.
std::string shown(std::string_view text, std::size_t most_bytes = 200);
/// For messages: the first few of `items`, separated by commas, and how many there are if that is not all.
template <class Items>
std::string list_text(const Items& items) {
  constexpr std::size_t kMost = 10;
  const auto end = items.begin() + static_cast<std::ptrdiff_t>(std::min(kMost, items.size()));
  const std::string text = fmt::format("{}", fmt::join(items.begin(), end, ", "));
  return items.size() <= kMost ? text : fmt::format("{}, ... ({} in all)", text, items.size());
}
/// Throws what the last call failed with, "PLACE: cannot be read: why" or "cannot be read FROM: why":
/// SystemError if the disk failed, else InputError.
[[noreturn]] void throw_unreadable(const std::string& place, const std::string& from = "");

// --- Files and groups ---

/// InputError if there is no such file, if it is not HDF5 or if it is cut short; SystemError without
/// permission.
Handle open_file(const std::filesystem::path& path);
/// Opens the bytes of a file that lie in memory, which may go afterwards; messages call it `name`. No other
/// open image may have that name: the library would take it for the same file.
Handle open_image(std::span<const std::byte> bytes, const std::string& name);
/// Replaces what was there.
Handle create_file(const std::filesystem::path& path);
/// Closes the file and reports what could not be written; the handle is empty afterwards.
void close_file(Handle& file);
Handle open_group(hid_t parent, const std::string& path);
/// Makes the missing groups on the way too.
Handle create_group(hid_t parent, const std::string& path);
/// Names of a group's links in alphabetical order.
std::vector<std::string> child_names(hid_t group);
/// Whether `path`, with every group on the way, exists under `parent` and is a group / a dataset.
bool has_group(hid_t parent, const std::string& path);
bool has_dataset(hid_t parent, const std::string& path);

// --- Attributes ---

bool has_attribute(hid_t object, const std::string& name);
/// What an attribute of fixed length holds in the files that we write; HDF5 allows little more.
constexpr std::size_t kLongestText = 60'000;
/// In alphabetical order.
std::vector<std::string> attribute_names(hid_t object);
/// A scalar string of fixed or variable length, of at most `most_bytes`.
std::string read_string(hid_t object, const std::string& name, std::size_t most_bytes = kLongestText);
/// A scalar of any integer type that fits.
std::int64_t read_int(hid_t object, const std::string& name);
/// A scalar of any floating-point type.
double read_double(hid_t object, const std::string& name);
/// One dimension of any integer type that fits.
std::vector<std::int64_t> read_ints(hid_t object, const std::string& name);

/// UTF-8 of fixed length with room for `longest` bytes, ended by zeros. Never of one byte: netCDF software
/// takes that for an array of characters.
Handle text_type(std::size_t longest);
/// Strings are text_type() of their length, variable-length UTF-8 above kLongestText; integers are int64,
/// numbers float64. The attribute must not exist yet.
void write_string(hid_t object, const std::string& name, std::string_view value);
void write_int(hid_t object, const std::string& name, std::int64_t value);
void write_double(hid_t object, const std::string& name, double value);
void write_ints(hid_t object, const std::string& name, std::span<const std::int64_t> values);

// --- Datasets ---

using Shape = std::vector<hsize_t>;

/// IEEE binary16, little-endian, the type h5py uses for numpy's float16; HDF5 1.10 has none of its own.
hid_t half_type();
/// For messages: "float16", "int32", "string", ...
std::string type_name(hid_t type);
std::string type_name_of_dataset(hid_t dataset);
/// Whether the stored type is `type` to the bit.
bool has_type(hid_t dataset, hid_t type);

/// Whether it stores integers or floating-point numbers.
bool is_numeric(hid_t dataset);

struct Storage {
  /// Chunk extents; empty: contiguous and unfiltered.
  Shape chunk;
  /// Deflate after shuffle, 1 to 9; 0: no filter.
  unsigned deflate = 0;
};

/// Makes the missing groups on the way too. No modification time is stored, so equal data give equal files.
Handle create_dataset(hid_t parent, const std::string& path, hid_t type, const Shape& shape,
                      const Storage& storage);
Handle open_dataset(hid_t parent, const std::string& path);
Shape shape_of(hid_t dataset);
/// Reads or writes the block of `count` elements at `begin` (one number per dimension); `values` is C order
/// and of `type`, which the library converts from or to the stored type.
void read_block(hid_t dataset, hid_t type, const Shape& begin, const Shape& count, void* values);
void write_block(hid_t dataset, hid_t type, const Shape& begin, const Shape& count, const void* values);

}  // namespace kvr::hdf5
