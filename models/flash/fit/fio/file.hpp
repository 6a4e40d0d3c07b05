#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/flash/fit/row.hpp"

namespace kvr::flash::fit {

/// No storage that a kvreplay device describes is behind a faster link: PCIe 5.0 x4, coding removed.
inline constexpr double kFastestLink = 15.75e9;

/// What the files do not say.
struct FioReading {
  double link_bytes_per_s = kFastestLink;  ///< faster reads came from a cache
  /// Of the file or device that was read: the range of rows that state none, or state a share of it.
  std::optional<std::int64_t> whole_bytes = std::nullopt;
};

/// Reads what fio wrote with --output-format=json or json+, or a file of the same layout. Jobs of one name
/// and group that fio reports one by one are summed into one row. Jobs that ran at the same time have a
/// fault. Throws InputError with every problem of every file.
std::vector<Row> read_fio_files(std::span<const std::filesystem::path> files, const FioReading& reading = {});

/// A file that has been read already; the name is for messages.
struct FioText {
  std::string name;
  std::string text;
};
std::vector<Row> read_fio_texts(std::span<const FioText> files, const FioReading& reading = {});

}  // namespace kvr::flash::fit
