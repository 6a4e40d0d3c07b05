#include "traces/hdf5.hpp"

#include <bit>
#include <fstream>
#include <utility>

#include "sim/error.hpp"

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

/// "file: /path" of something inside `parent`.
std::string where(hid_t parent, const std::string& path) {
  if (path.starts_with('/')) {
    return name_from(parent, H5Fget_name) + ": " + path;
  }
  const std::string place = hdf5::where(parent);
  return place + (place.ends_with('/') ? "" : "/") + path;
}

/// `status` if the call behind it worked; else SystemError, since only writers come here.
template <class Status>
Status written(Status status, const std::string& place) {
  if (status < 0) {
    throw SystemError(fmt::format("{}: cannot be written: {}", place, error_line()));
  }
  return status;
}

template <class Status>
Status opened(Status status, const std::string& place) {
  if (status < 0) {
    throw InputError(fmt::format("{}: cannot be opened: {}", place, error_line()));
  }
  return status;
}

bool starts_like_hdf5(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    throw SystemError(fmt::format("{}: cannot be read; check its permissions", path.string()));
  }
  return H5Fis_hdf5(path.c_str()) > 0;
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
  std::string line;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, append_error, &line);
  // What the system said, if it was asked, is the reason; the rest is the way there.
  constexpr std::string_view kSystem = "error message = '";
  if (const auto found = line.find(kSystem); found != std::string::npos) {
    const auto begin = found + kSystem.size();
    return line.substr(begin, line.find('\'', begin) - begin);
  }
  return line.empty() ? "no reason given by HDF5" : line;
}

std::string where(hid_t object) {
  const std::string path = name_from(object, H5Iget_name);
  return name_from(object, H5Fget_name) + ": " + (path.empty() ? "/" : path);
}

Handle open_file(const std::filesystem::path& path) {
  prepare_library();
  if (!std::filesystem::exists(path)) {
    throw InputError(fmt::format("{}: no such file", path.string()));
  }
  if (!std::filesystem::is_regular_file(path)) {
    throw InputError(fmt::format("{}: not a regular file; expected an HDF5 file", path.string()));
  }
  const auto size_bytes = std::filesystem::file_size(path);
  if (!starts_like_hdf5(path)) {
    throw InputError(
        fmt::format("{}: not an HDF5 file ({} bytes); expected an HDF5 file", path.string(), size_bytes));
  }
  Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  if (!file) {
    const std::string reason = error_line();
    if (reason.find("truncated file") != std::string::npos) {
      throw InputError(
          fmt::format("{}: cut short: {} bytes are fewer than the file itself says; copy it again",
                      path.string(), size_bytes));
    }
    throw InputError(fmt::format("{}: cannot be opened: {}", path.string(), reason));
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
  const herr_t status =
      H5Sselect_hyperslab(selection.file.get(), H5S_SELECT_SET, begin.data(), nullptr, count.data(), nullptr);
  KVR_CHECK(status >= 0, "{}", error_line());
  return selection;
}

}  // namespace

void read_block(hid_t dataset, hid_t type, const Shape& begin, const Shape& count, void* values) {
  const Selection selection = select(dataset, begin, count);
  if (H5Dread(dataset, type, selection.memory.get(), selection.file.get(), H5P_DEFAULT, values) < 0) {
    throw InputError(fmt::format("{}: cannot be read from [{}] on: {}", where(dataset),
                                 fmt::join(begin, ", "), error_line()));
  }
}

void write_block(hid_t dataset, hid_t type, const Shape& begin, const Shape& count, const void* values) {
  const Selection selection = select(dataset, begin, count);
  written(H5Dwrite(dataset, type, selection.memory.get(), selection.file.get(), H5P_DEFAULT, values),
          where(dataset));
}

}  // namespace kvr::hdf5
