#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "sim/base/files/temporary_folder.hpp"
#include "sim/base/half.hpp"
#include "sim/base/hdf5.hpp"
#include "traces/header.hpp"

namespace kvr::trace {

/// 4 layers of which 0 and 3 are captured, 2 KV heads with 2 query heads each, 2 channels, 6 prompt tokens,
/// 4 steps, queries from position 4 on.
Header sample_header();
std::vector<std::int64_t> sample_positions();
/// Time-major rows of a field of the sample, the same at every call: [times, heads, head_dim].
std::vector<Half> sample_rows(Field field, std::int64_t layer);
std::vector<std::int32_t> sample_tokens();
std::vector<std::uint8_t> sample_classes();
/// Sums for layer 0, [prefill_len, query heads]; every head's add up to prefill_len.
std::vector<float> sample_sums();
/// Norms for layer 0, [seq_len, query heads].
std::vector<float> sample_norms();
/// A valid trace with every optional dataset somewhere, and a label of each token under /truth/labels.
void write_sample(const std::filesystem::path& path);

using Edit = std::function<void(hid_t file)>;
using Messages = std::vector<std::string>;

/// Writes the sample to `path` and lets `edit` change the file.
void write_edited(const std::filesystem::path& path, const Edit& edit);
/// What validate says of the sample after `edit`, without the file's name in front.
Messages problems_after(const Edit& edit);
/// Whether a Reader of the sample after `edit` throws InputError.
bool reader_refuses(const Edit& edit);

/// Replaces an attribute of `object`.
void replace_string(hid_t object, const std::string& name, const std::string& value);
void replace_int(hid_t object, const std::string& name, std::int64_t value);
void replace_ints(hid_t object, const std::string& name, const std::vector<std::int64_t>& values);
/// Replaces the attribute of a dataset or group.
void replace_string_at(hid_t file, const std::string& path, const std::string& name,
                       const std::string& value);
/// Replaces a dataset by zeros of another type or shape, keeping units and long_name; the checksum fits.
void replace_dataset(hid_t file, const std::string& path, hid_t type, const hdf5::Shape& shape);
/// Overwrites one element.
void poke(hid_t file, const std::string& path, hid_t type, const hdf5::Shape& index, const void* value);
std::string checksum_of(hid_t file, const std::string& path);

}  // namespace kvr::trace
