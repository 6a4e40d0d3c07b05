#include "sim/base/hdf5.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <new>
#include <utility>

#include "sim/base/error.hpp"

namespace kvr::hdf5 {

static_assert(std::endian::native == std::endian::little,
              "kvtrace stores little-endian values as they stand");

namespace {

/// Before the first call into the library. It must not clean up at exit: after a disk was full it crashes
/// there, on the file it could not close, and every handle of ours is closed by then anyway.
void prepare_library() {
  static const herr_t once = H5dont_atexit();
  static_cast<void>(once);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

herr_t append_error(unsigned, const H5E_error2_t* error, void* line) {
  auto& text = *static_cast<std::string*>(line);
  if (error->desc != nullptr && *error->desc != '\0') {
    text += (text.empty() ? "" : ": ") + std::string(error->desc);
  }
  return 0;
}

/// What the library says of the last call, outermost call first.
std::string error_stack() {
  std::string line;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, append_error, &line);
  return line;
}

/// The system's error number in an error stack, 0 if it was not the system that refused.
int system_error_in(const std::string& stack) {
  constexpr std::string_view kNumber = "errno = ";
  const auto found = stack.find(kNumber);
  int error = 0;
  if (found != std::string::npos) {
    std::from_chars(stack.data() + found + kNumber.size(), stack.data() + stack.size(), error);
  }
  return error;
}

/// Errors that say nothing of the file: a sound disk or connection does not give them, or the process has too
/// many files open.
bool is_system_failure(int error) {
  constexpr std::array kFailures{EIO,     ENXIO,     ENODEV, ETIMEDOUT, ESTALE, EBADMSG,
                                 EUCLEAN, EREMOTEIO, ENOMEM, EMFILE,    ENFILE};
  return std::ranges::find(kFailures, error) != kFailures.end();
}

/// Keeps what the library says of the last call from the calls that find a name for the message about it.
class KeptErrors {
 public:
  KeptErrors() : stack_(H5Eget_current_stack()) {}
  ~KeptErrors() { H5Eset_current_stack(stack_); }
  KeptErrors(const KeptErrors&) = delete;
  KeptErrors& operator=(const KeptErrors&) = delete;

 private:
  hid_t stack_;
};

/// A name the library returns through a buffer; `length` < 0 says that there is none.
template <class GetName>
std::string name_from(hid_t object, GetName get_name) {
  const ssize_t length = get_name(object, nullptr, 0);
  if (length <= 0) {
    return {};
  }
  std::string name(static_cast<std::size_t>(length) + 1, '\0');
  get_name(object, name.data(), name.size());
  name.pop_back();
  return name;
}

/// Bytes of the printable character that `text` begins with; 0: it begins with none.
std::size_t character_bytes(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x80) {
    return byte(0) >= 0x20 && byte(0) != 0x7F ? 1 : 0;
  }
  const std::size_t length = byte(0) >= 0xF0 ? 4 : byte(0) >= 0xE0 ? 3 : 2;
  if (byte(0) < 0xC2 || byte(0) > 0xF4 || text.size() < length) {
    return 0;
  }
  for (std::size_t i = 1; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xBF) {
      return 0;
    }
  }
  // The controls of Latin-1, codes 0x80 to 0x9F.
  return byte(0) == 0xC2 && byte(1) < 0xA0 ? 0 : length;
}

/// `status` if the call behind it worked; else SystemError, since only writers come here.
template <class Status>
Status written(Status status, const std::string& place) {
  if (status < 0) {
    throw SystemError(fmt::format("{}: cannot be written: {}", place, error_line()));
  }
  return status;
}

[[noreturn]] void throw_failed(const std::string& place, const std::string& what) {
  const std::string message = fmt::format("{}: cannot be {}: {}", place, what, error_line());
  if (is_system_failure(system_error_in(error_stack()))) {
    throw SystemError(message);
  }
  throw InputError(message);
}

template <class Status>
Status opened(Status status, const std::string& place) {
  if (status < 0) {
    throw_failed(place, "opened");
  }
  return status;
}

/// InputError where there is no such file or none that can be HDF5, SystemError where the system does not let
/// us see.
void check_regular(const std::filesystem::path& path) {
  std::error_code failure;
  const std::filesystem::file_status status = std::filesystem::status(path, failure);
  if (status.type() == std::filesystem::file_type::not_found) {
    throw InputError(fmt::format("{}: no such file", path.string()));
  }
  if (failure) {
    throw SystemError(fmt::format("{}: cannot be read: {}", path.string(), failure.message()));
  }
  if (status.type() != std::filesystem::file_type::regular) {
    throw InputError(fmt::format("{}: not a regular file; expected an HDF5 file", path.string()));
  }
}

void check_signature(const std::filesystem::path& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) {
    throw SystemError(fmt::format("{}: cannot be read: {}", path.string(), std::strerror(errno)));
  }
  close(descriptor);
  const htri_t is_hdf5 = H5Fis_hdf5(path.c_str());
  if (is_hdf5 < 0 && is_system_failure(system_error_in(error_stack()))) {
    throw SystemError(fmt::format("{}: cannot be read: {}", path.string(), error_line()));
  }
  if (is_hdf5 <= 0) {
    std::error_code ignored;
    throw InputError(fmt::format("{}: not an HDF5 file ({} bytes); expected an HDF5 file", path.string(),
                                 std::filesystem::file_size(path, ignored)));
  }
}

/// Says why a file that looks like HDF5 could not be opened, as far as a user can do something about it.
[[noreturn]] void throw_unopened(const std::filesystem::path& path) {
  const std::string stack = error_stack();
  const int error = system_error_in(stack);
  const std::string file = path.string();
  const bool is_lock = stack.find("unable to lock file") != std::string::npos;
  if (is_lock && (error == EWOULDBLOCK || error == EACCES)) {
    throw InputError(
        fmt::format("{}: open for writing in another process; close it there, or set "
                    "HDF5_USE_FILE_LOCKING=FALSE to read it all the same",
                    file));
  }
  if (is_lock) {
    throw SystemError(
        fmt::format("{}: cannot be locked: {}; HDF5_USE_FILE_LOCKING=FALSE reads it without a lock", file,
                    std::strerror(error)));
  }
  if (stack.find("file is already open for write") != std::string::npos) {
    throw InputError(
        fmt::format("{}: open for writing in another process, or its writer died; close it there, or "
                    "run h5clear -s on it",
                    file));
  }
  if (stack.find("truncated file") != std::string::npos) {
    std::error_code ignored;
    throw InputError(fmt::format("{}: cut short: {} bytes are fewer than the file itself says; copy it again",
                                 file, std::filesystem::file_size(path, ignored)));
  }
  throw_failed(file, "opened");
}

bool has_object(hid_t parent, const std::string& path, H5O_type_t type) {
  for (std::size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1)) {
    if (H5Lexists(parent, path.substr(0, end).c_str(), H5P_DEFAULT) <= 0) {
      return false;
    }
  }
  if (path != "/" && H5Lexists(parent, path.c_str(), H5P_DEFAULT) <= 0) {
    return false;
  }
  H5O_info_t info;
  return H5Oget_info_by_name2(parent, path.c_str(), &info, H5O_INFO_BASIC, H5P_DEFAULT) >= 0 &&
         info.type == type;
}

herr_t append_name(hid_t, const char* name, const H5L_info_t*, void* names) {
  static_cast<std::vector<std::string>*>(names)->emplace_back(name);
  return 0;
}

/// Link creation that makes the missing groups.
Handle link_properties() {
  Handle properties(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
  H5Pset_create_intermediate_group(properties.get(), 1);
  return properties;
}

}  // namespace

Handle::Handle(Handle&& other) noexcept
    : id_(std::exchange(other.id_, -1)), close_(std::exchange(other.close_, nullptr)) {}

Handle& Handle::operator=(Handle&& other) noexcept {
  if (this != &other) {
    reset();
    id_ = std::exchange(other.id_, -1);
    close_ = std::exchange(other.close_, nullptr);
  }
  return *this;
}

void Handle::reset() {
  if (id_ >= 0) {
    close_(id_);
  }
  id_ = -1;
}

std::string error_line() {
  const std::string line = error_stack();
  if (line.find("memory allocation failed") != std::string::npos) {
    throw std::bad_alloc();
  }
  // What the system said, if it was asked, is the reason; the rest is the way there.
  constexpr std::string_view kSystem = "error message = '";
  if (const auto found = line.find(kSystem); found != std::string::npos) {
    const auto begin = found + kSystem.size();
    return line.substr(begin, line.find('\'', begin) - begin);
  }
  return line.empty() ? "no reason given by HDF5" : shown(line);
}

std::string where(hid_t object) {
  const KeptErrors kept;
  const std::string path = name_from(object, H5Iget_name);
  return name_from(object, H5Fget_name) + ": " + (path.empty() ? "/" : shown(path));
}

std::string where(hid_t object, const std::string& path) {
  const KeptErrors kept;
  if (path.starts_with('/')) {
    return name_from(object, H5Fget_name) + ": " + shown(path);
  }
  const std::string place = where(object);
  return place + (place.ends_with('/') ? "" : "/") + shown(path);
}

std::string shown(std::string_view text, std::size_t most_bytes) {
  std::string result;
  for (std::size_t i = 0; i < text.size();) {
    if (result.size() >= most_bytes) {
      return result + fmt::format("... ({} bytes)", text.size());
    }
    const std::size_t length = character_bytes(text.substr(i));
    if (length > 0) {
      result += text.substr(i, length);
      i += length;
    } else {
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i++]));
    }
  }
  return result;
}

void throw_unreadable(const std::string& place, const std::string& from) {
  throw_failed(place, from.empty() ? "read" : "read " + from);
}

Handle open_file(const std::filesystem::path& path) {
  prepare_library();
  check_regular(path);
  check_signature(path);
  Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  if (!file) {
    throw_unopened(path);
  }
  return file;
}

Handle open_image(std::span<const std::byte> bytes, const std::string& name) {
  prepare_library();
  constexpr std::size_t kIncrement = std::size_t{1} << 16;
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  // The library copies the bytes, although it asks for a pointer through which it could write.
  std::vector<std::byte> copy(bytes.begin(), bytes.end());
  if (H5Pset_fapl_core(access.get(), kIncrement, false) < 0 ||
      H5Pset_file_image(access.get(), copy.data(), copy.size()) < 0) {
    throw SystemError(fmt::format("{}: cannot be held in memory: {}", name, error_line()));
  }
  return Handle(opened(H5Fopen(name.c_str(), H5F_ACC_RDONLY, access.get()), name), H5Fclose);
}

Handle create_file(const std::filesystem::path& path) {
  prepare_library();
  Handle file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose);
  if (!file) {
    throw SystemError(fmt::format("{}: cannot be created: {}", path.string(), error_line()));
  }
  return file;
}

void close_file(Handle& file) {
  const std::string place = where(file.get());
  written(H5Fflush(file.get(), H5F_SCOPE_LOCAL), place);
  file.reset();
}

Handle open_group(hid_t parent, const std::string& path) {
  return Handle(opened(H5Gopen2(parent, path.c_str(), H5P_DEFAULT), where(parent, path)), H5Gclose);
}

Handle create_group(hid_t parent, const std::string& path) {
  const Handle links = link_properties();
  return Handle(
      written(H5Gcreate2(parent, path.c_str(), links.get(), H5P_DEFAULT, H5P_DEFAULT), where(parent, path)),
      H5Gclose);
}

std::vector<std::string> child_names(hid_t group) {
  std::vector<std::string> names;
  opened(H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, nullptr, append_name, &names), where(group));
  return names;
}

bool has_group(hid_t parent, const std::string& path) {
  return has_object(parent, path, H5O_TYPE_GROUP);
}

bool has_dataset(hid_t parent, const std::string& path) {
  return has_object(parent, path, H5O_TYPE_DATASET);
}

hid_t half_type() {
  // Made once and kept until the process ends, like the library's own types.
  static const hid_t type = [] {
    const hid_t half = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_fields(half, 15, 10, 5, 0, 10);
    H5Tset_size(half, 2);
    H5Tset_ebias(half, 15);
    return half;
  }();
  return type;
}

std::string type_name(hid_t type) {
  const std::size_t bits = 8 * H5Tget_size(type);
  const char* order = bits > 8 && H5Tget_order(type) == H5T_ORDER_BE ? "big-endian " : "";
  switch (H5Tget_class(type)) {
    case H5T_INTEGER:
      return fmt::format("{}{}int{}", order, H5Tget_sign(type) == H5T_SGN_NONE ? "u" : "", bits);
    case H5T_FLOAT:
      return fmt::format("{}float{}", order, bits);
    case H5T_STRING:
      return "string";
    default:
      return "another kind of type";
  }
}

std::string type_name_of_dataset(hid_t dataset) {
  const Handle type(H5Dget_type(dataset), H5Tclose);
  return type_name(type.get());
}

bool has_type(hid_t dataset, hid_t type) {
  const Handle stored(H5Dget_type(dataset), H5Tclose);
  return H5Tequal(stored.get(), type) > 0;
}

bool is_numeric(hid_t dataset) {
  const H5T_class_t type = H5Tget_class(Handle(H5Dget_type(dataset), H5Tclose).get());
  return type == H5T_INTEGER || type == H5T_FLOAT;
}

Handle create_dataset(hid_t parent, const std::string& path, hid_t type, const Shape& shape,
                      const Storage& storage) {
  const std::string place = where(parent, path);
  const Handle space(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), H5Sclose);
  const Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_obj_track_times(properties.get(), false);
  if (!storage.chunk.empty()) {
    KVR_CHECK(storage.chunk.size() == shape.size(), "{} and {} dimensions", storage.chunk.size(),
              shape.size());
    written(H5Pset_chunk(properties.get(), static_cast<int>(shape.size()), storage.chunk.data()), place);
  }
  if (storage.deflate > 0) {
    written(H5Pset_shuffle(properties.get()), place);
    written(H5Pset_deflate(properties.get(), storage.deflate), place);
  }
  const Handle links = link_properties();
  return Handle(
      written(H5Dcreate2(parent, path.c_str(), type, space.get(), links.get(), properties.get(), H5P_DEFAULT),
              place),
      H5Dclose);
}

Handle open_dataset(hid_t parent, const std::string& path) {
  return Handle(opened(H5Dopen2(parent, path.c_str(), H5P_DEFAULT), where(parent, path)), H5Dclose);
}

Shape shape_of(hid_t dataset) {
  const Handle space(H5Dget_space(dataset), H5Sclose);
  Shape shape(static_cast<std::size_t>(std::max(0, H5Sget_simple_extent_ndims(space.get()))));
  H5Sget_simple_extent_dims(space.get(), shape.data(), nullptr);
  return shape;
}

namespace {

struct Selection {
  Handle file;
  Handle memory;
};

Selection select(hid_t dataset, const Shape& begin, const Shape& count) {
  Selection selection{
      Handle(H5Dget_space(dataset), H5Sclose),
      Handle(H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr), H5Sclose)};
  const int rank = H5Sget_simple_extent_ndims(selection.file.get());
  KVR_CHECK(begin.size() == count.size() && rank == static_cast<int>(count.size()),
            "{}, {} and {} dimensions", begin.size(), count.size(), rank);
  if (rank > 0) {  // a scalar is selected as it is
    const herr_t status = H5Sselect_hyperslab(selection.file.get(), H5S_SELECT_SET, begin.data(), nullptr,
                                              count.data(), nullptr);
    KVR_CHECK(status >= 0, "{}", error_line());
  }
  return selection;
}

}  // namespace

void read_block(hid_t dataset, hid_t type, const Shape& begin, const Shape& count, void* values) {
  const Selection selection = select(dataset, begin, count);
  if (H5Dread(dataset, type, selection.memory.get(), selection.file.get(), H5P_DEFAULT, values) < 0) {
    throw_unreadable(where(dataset), fmt::format("from [{}] on", fmt::join(begin, ", ")));
  }
}

void write_block(hid_t dataset, hid_t type, const Shape& begin, const Shape& count, const void* values) {
  const Selection selection = select(dataset, begin, count);
  written(H5Dwrite(dataset, type, selection.memory.get(), selection.file.get(), H5P_DEFAULT, values),
          where(dataset));
}

}  // namespace kvr::hdf5
