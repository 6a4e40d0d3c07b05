#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "models/flash/fit/row.hpp"

namespace kvr::flash::fit {

/// No storage that a kvreplay device describes is behind a faster link: PCIe 5.0 x4, coding removed.
inline constexpr double kFastestLink = 15.75e9;

/// Reads what fio wrote with --output-format=json or json+, or a file of the same layout. Jobs of one name
/// and group that fio reports one by one are summed into one row. `link_bytes_per_s`: reads faster than this
/// came from a cache. Throws InputError with every problem of every file.
std::vector<Row> read_fio_files(std::span<const std::filesystem::path> files,
                                double link_bytes_per_s = kFastestLink);

/// A file that has been read already; the name is for messages.
struct FioText {
  std::string name;
  std::string text;
};
std::vector<Row> read_fio_texts(std::span<const FioText> files, double link_bytes_per_s = kFastestLink);

}  // namespace kvr::flash::fit
