#include "sim/results/lists.hpp"

#include <hdf5_hl.h>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>
#include <sstream>

#include "sim/base/error.hpp"

namespace kvr {

using hdf5::Handle;
using hdf5::StoredArray;

void require(herr_t status, hid_t object) {
  if (status < 0) {
    throw SystemError(fmt::format("{}: cannot be written: {}", hdf5::where(object), hdf5::error_line()));
  }
}

void describe(hid_t dataset, std::string_view unit, std::string_view long_name, std::string_view formula) {
  hdf5::write_string(dataset, "units", unit);
  hdf5::write_string(dataset, "long_name", long_name);
  hdf5::write_string(dataset, "formula", formula);
}

void make_scale(const Handle& dataset, const char* name, std::string_view long_name) {
  require(H5DSset_scale(dataset.get(), name), dataset.get());
  hdf5::write_string(dataset.get(), "long_name", long_name);
}

Handle write_texts(hid_t group, const std::string& name, const std::vector<std::string>& texts) {
  std::size_t longest = 0;
  for (const std::string& text : texts) {
    longest = std::max(longest, text.size());
  }
  const Handle type = hdf5::text_type(longest);
  const hsize_t room = H5Tget_size(type.get());
  const hsize_t chunk = std::clamp<hsize_t>(kChunkBytes / room, 1, texts.size());
  Handle dataset =
      hdf5::create_dataset(group, name, type.get(), {texts.size()}, {.chunk = {chunk}, .deflate = kDeflate});
  std::string padded;
  for (hsize_t i = 0; i < texts.size(); ++i) {
    padded = texts[i];
    padded.resize(room);
    hdf5::write_block(dataset.get(), type.get(), {i}, {1}, padded.data());
  }
  hdf5::write_string(dataset.get(), "_Encoding", "utf-8");
  return dataset;
}

Handle write_integers(hid_t group, const std::string& name, const std::vector<std::int64_t>& values) {
  Handle dataset = hdf5::create_dataset(group, name, H5T_STD_I64LE, {values.size()}, {});
  hdf5::write_block(dataset.get(), H5T_NATIVE_INT64, {0}, {values.size()}, values.data());
  return dataset;
}

std::vector<std::int64_t> counted(std::int64_t count) {
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), std::int64_t{0});
  return numbers;
}

void refuse(hid_t object, const std::string& path, const std::string& what) {
  throw InputError(fmt::format("{}: {}", hdf5::where(object, path), what));
}

bool is_own_dataset(hid_t group, const std::string& name) {
  H5L_info_t link;
  return H5Lexists(group, name.c_str(), H5P_DEFAULT) > 0 &&
         H5Lget_info(group, name.c_str(), &link, H5P_DEFAULT) >= 0 && link.type == H5L_TYPE_HARD &&
         hdf5::has_dataset(group, name);
}

StoredArray open_array(hid_t group, const std::string& name) {
  if (!is_own_dataset(group, name)) {
    refuse(group, name, "missing; expected a dataset");
  }
  StoredArray array(hdf5::open_dataset(group, name));
  array.check_storage();
  return array;
}

namespace {

/// What a dataset of one dimension holds, to the byte.
std::vector<std::byte> read_list(const StoredArray& array, const char* expected) {
  if (array.shape().size() != 1) {
    throw InputError(fmt::format("{}: {} dimensions; expected one, of {}", hdf5::where(array.dataset()),
                                 array.shape().size(), expected));
  }
  std::vector<std::byte> bytes(array.value_count() * array.element_bytes());
  array.read({0}, array.shape(), bytes);
  return bytes;
}

}  // namespace

bool is_fixed_text(hid_t dataset) {
  const Handle type(H5Dget_type(dataset), H5Tclose);
  return H5Tget_class(type.get()) == H5T_STRING && H5Tis_variable_str(type.get()) == 0;
}

std::vector<std::string> read_texts(const StoredArray& array) {
  if (!is_fixed_text(array.dataset())) {
    throw InputError(
        fmt::format("{}: no strings of fixed length; expected them", hdf5::where(array.dataset())));
  }
  const std::vector<std::byte> bytes = read_list(array, "strings");
  std::vector<std::string> texts;
  for (std::size_t begin = 0; begin < bytes.size(); begin += array.element_bytes()) {
    const std::string_view padded(reinterpret_cast<const char*>(bytes.data()) + begin, array.element_bytes());
    texts.emplace_back(padded.substr(0, padded.find('\0')));
  }
  return texts;
}

std::vector<std::int64_t> read_numbers(const StoredArray& array) {
  if (!hdf5::has_type(array.dataset(), H5T_STD_I64LE)) {
    throw InputError(fmt::format("{}: {}; expected int64", hdf5::where(array.dataset()),
                                 hdf5::type_name_of_dataset(array.dataset())));
  }
  const std::vector<std::byte> bytes = read_list(array, "integers");
  std::vector<std::int64_t> numbers(bytes.size() / sizeof(std::int64_t));
  std::ranges::copy(bytes, std::as_writable_bytes(std::span(numbers)).begin());
  return numbers;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line);
  }
  return lines;
}

}  // namespace kvr
