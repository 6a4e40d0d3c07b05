#pragma once

#include <hdf5.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/hdf5.hpp"
#include "sim/base/stored/stored_array.hpp"

/// Datasets of one dimension in files of results, and what datasets say of themselves.
namespace kvr {

constexpr hsize_t kChunkBytes = 65536;
constexpr unsigned kDeflate = 4;

/// Throws SystemError where `status` says that writing failed.
void require(herr_t status, hid_t object);
void describe(hid_t dataset, std::string_view unit, std::string_view long_name, std::string_view formula);
/// Makes a dimension scale of a dataset.
void make_scale(const hdf5::Handle& dataset, const char* name, std::string_view long_name);

/// Texts with room for the longest each. `_Encoding` is how xarray knows that they are texts.
hdf5::Handle write_texts(hid_t group, const std::string& name, const std::vector<std::string>& texts);
hdf5::Handle write_integers(hid_t group, const std::string& name, const std::vector<std::int64_t>& values);
/// 0, 1, 2, ...
std::vector<std::int64_t> counted(std::int64_t count);

// Reading what need not be trusted; whatever cannot be read is an InputError that names the place.

[[noreturn]] void refuse(hid_t object, const std::string& path, const std::string& what);
/// Whether there is a dataset of that name in the file itself: of links to other files nothing is opened.
bool is_own_dataset(hid_t group, const std::string& name);
hdf5::StoredArray open_array(hid_t group, const std::string& name);
bool is_fixed_text(hid_t dataset);
std::vector<std::string> read_texts(const hdf5::StoredArray& array);
std::vector<std::int64_t> read_numbers(const hdf5::StoredArray& array);
/// "a\nb" as two.
std::vector<std::string> lines_of(const std::string& text);

}  // namespace kvr
