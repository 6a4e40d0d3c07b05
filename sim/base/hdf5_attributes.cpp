// Reading and writing of HDF5 attributes; the rest of traces/hdf5.hpp is in hdf5.cpp.
#include <algorithm>
#include <cstring>
#include <utility>

#include "sim/base/error.hpp"
#include "sim/base/hdf5.hpp"

namespace kvr::hdf5 {
namespace {

constexpr hsize_t kLongestList = 65'536;

/// An attribute opened for reading, with its type and shape.
struct Attribute {
  std::string place;
  Handle id;
  Handle type;
  H5S_class_t space_class;
  Shape shape;

  [[noreturn]] void refuse(const char* expected) const {
    const std::string extents = space_class == H5S_NULL ? "without a value"
                                : shape.empty()         ? "scalar"
                                                        : fmt::format("of shape [{}]", list_text(shape));
    throw InputError(fmt::format("{}: {} {}; expected {}", place, type_name(type.get()), extents, expected));
  }

  void read(hid_t memory_type, void* value) const {
    if (H5Aread(id.get(), memory_type, value) < 0) {
      throw_unreadable(place);
    }
  }

  bool is_scalar() const { return space_class == H5S_SCALAR; }
  /// An integer type all of whose values fit in int64.
  bool is_integer() const {
    const bool is_unsigned = H5Tget_sign(type.get()) == H5T_SGN_NONE;
    return H5Tget_class(type.get()) == H5T_INTEGER && H5Tget_size(type.get()) <= (is_unsigned ? 4U : 8U);
  }
};

/// "file: /path@name"
std::string place_of(hid_t object, const std::string& name) {
  return where(object) + "@" + name;
}

/// Whether the attributes of `object` lie in its header, as few and small ones do, and take at most what
/// `header_bytes` gets.
bool are_in_header(hid_t object, hsize_t& header_bytes) {
  constexpr std::uint64_t kAttributeMessage = std::uint64_t{1}
                                              << 0x0C;  // the format's number of that message
  H5O_info_t info;
  if (H5Oget_info2(object, &info, H5O_INFO_HDR) < 0 || (info.hdr.mesg.present & kAttributeMessage) == 0) {
    return false;
  }
  header_bytes = info.hdr.space.total;
  return true;
}

Attribute open(hid_t object, const std::string& name, const char* expected) {
  const std::string place = place_of(object, name);
  if (!has_attribute(object, name)) {
    throw InputError(fmt::format("{}: missing; expected {}", place, expected));
  }
  Attribute attribute{place, Handle(H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose), {}, H5S_NULL, {}};
  if (!attribute.id) {
    throw_unreadable(place);
  }
  attribute.type = Handle(H5Aget_type(attribute.id.get()), H5Tclose);
  const Handle space(H5Aget_space(attribute.id.get()), H5Sclose);
  attribute.space_class = H5Sget_simple_extent_type(space.get());
  attribute.shape.resize(static_cast<std::size_t>(std::max(0, H5Sget_simple_extent_ndims(space.get()))));
  H5Sget_simple_extent_dims(space.get(), attribute.shape.data(), nullptr);
  const hsize_t bytes = H5Aget_storage_size(attribute.id.get());
  hsize_t header_bytes = 0;
  if (are_in_header(object, header_bytes) && bytes > header_bytes) {
    throw InputError(
        fmt::format("{}: {} bytes do not fit in a header of {}; damaged", place, bytes, header_bytes));
  }
  return attribute;
}

std::string read_variable_string(const Attribute& attribute) {
  char* text = nullptr;
  attribute.read(attribute.type.get(), &text);
  std::string value = text == nullptr ? "" : text;
  H5free_memory(text);
  return value;
}

std::string read_fixed_string(const Attribute& attribute) {
  std::string value(H5Tget_size(attribute.type.get()), '\0');
  attribute.read(attribute.type.get(), value.data());
  if (H5Tget_strpad(attribute.type.get()) == H5T_STR_SPACEPAD) {
    value.resize(value.find_last_not_of(' ') + 1);
  } else {
    value.resize(std::strlen(value.c_str()));
  }
  return value;
}

herr_t append_attribute_name(hid_t, const char* name, const H5A_info_t*, void* names) {
  static_cast<std::vector<std::string>*>(names)->emplace_back(name);
  return 0;
}

/// Writes `value`, of `type`, as a scalar or as a list of `count`.
void write(hid_t object, const std::string& name, hid_t stored, hid_t memory, const Handle& space,
           const void* value) {
  const Handle attribute(H5Acreate2(object, name.c_str(), stored, space.get(), H5P_DEFAULT, H5P_DEFAULT),
                         H5Aclose);
  const bool is_empty = H5Sget_simple_extent_npoints(space.get()) == 0;
  if (!attribute || (!is_empty && H5Awrite(attribute.get(), memory, value) < 0)) {
    throw SystemError(fmt::format("{}: cannot be written: {}", place_of(object, name), error_line()));
  }
}

Handle scalar_space() {
  return Handle(H5Screate(H5S_SCALAR), H5Sclose);
}

}  // namespace

bool has_attribute(hid_t object, const std::string& name) {
  return H5Aexists(object, name.c_str()) > 0;
}

std::vector<std::string> attribute_names(hid_t object) {
  std::vector<std::string> names;
  if (H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, nullptr, append_attribute_name, &names) < 0) {
    throw_unreadable(where(object), "the names of its attributes");
  }
  return names;
}

std::string read_string(hid_t object, const std::string& name, std::size_t most_bytes) {
  constexpr const char* kExpected = "a string";
  const Attribute attribute = open(object, name, kExpected);
  if (!attribute.is_scalar() || H5Tget_class(attribute.type.get()) != H5T_STRING) {
    attribute.refuse(kExpected);
  }
  std::string value = H5Tis_variable_str(attribute.type.get()) > 0 ? read_variable_string(attribute)
                                                                   : read_fixed_string(attribute);
  if (value.size() > most_bytes) {
    throw InputError(fmt::format("{}: a string of {} bytes; expected at most {}", attribute.place,
                                 value.size(), most_bytes));
  }
  return value;
}

std::int64_t read_int(hid_t object, const std::string& name) {
  constexpr const char* kExpected = "an integer";
  const Attribute attribute = open(object, name, kExpected);
  if (!attribute.is_scalar() || !attribute.is_integer()) {
    attribute.refuse(kExpected);
  }
  std::int64_t value = 0;
  attribute.read(H5T_NATIVE_INT64, &value);
  return value;
}

double read_double(hid_t object, const std::string& name) {
  constexpr const char* kExpected = "a floating-point number";
  const Attribute attribute = open(object, name, kExpected);
  if (!attribute.is_scalar() || H5Tget_class(attribute.type.get()) != H5T_FLOAT) {
    attribute.refuse(kExpected);
  }
  double value = 0.0;
  attribute.read(H5T_NATIVE_DOUBLE, &value);
  return value;
}

std::vector<std::int64_t> read_ints(hid_t object, const std::string& name) {
  constexpr const char* kExpected = "a list of integers";
  const Attribute attribute = open(object, name, kExpected);
  if (attribute.shape.size() != 1 || !attribute.is_integer()) {
    attribute.refuse(kExpected);
  }
  if (attribute.shape[0] > kLongestList) {
    throw InputError(fmt::format("{}: {} numbers; expected at most {}", attribute.place, attribute.shape[0],
                                 kLongestList));
  }
  std::vector<std::int64_t> values(attribute.shape[0]);
  if (!values.empty()) {
    attribute.read(H5T_NATIVE_INT64, values.data());
  }
  return values;
}

Handle text_type(std::size_t longest) {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.get(), std::max<std::size_t>(longest + 1, 2));
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  return type;
}

void write_string(hid_t object, const std::string& name, std::string_view value) {
  std::string text(value);
  if (text.size() <= kLongestText) {
    const Handle type = text_type(text.size());
    text.resize(H5Tget_size(type.get()));
    return write(object, name, type.get(), type.get(), scalar_space(), text.data());
  }
  const Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.get(), H5T_VARIABLE);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  const char* pointer = text.c_str();
  write(object, name, type.get(), type.get(), scalar_space(), &pointer);
}

void write_int(hid_t object, const std::string& name, std::int64_t value) {
  write(object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, scalar_space(), &value);
}

void write_double(hid_t object, const std::string& name, double value) {
  write(object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, scalar_space(), &value);
}

void write_ints(hid_t object, const std::string& name, std::span<const std::int64_t> values) {
  const hsize_t count = values.size();
  const Handle space(H5Screate_simple(1, &count, nullptr), H5Sclose);
  write(object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, space, values.data());
}

}  // namespace kvr::hdf5
