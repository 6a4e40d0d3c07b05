#pragma once

#include <string>

namespace kvr::flash {

/// What decides how fast the storage of this machine looks, besides the device; "unknown" where the system
/// does not tell.
struct StorageHost {
  std::string kernel = "unknown";
  std::string cpu = "unknown";
  std::string file_system = "unknown";  ///< "ext4 on /data"; "none" on a bare block device
  std::string block_device = "unknown";
  std::string model = "unknown";
  std::string scheduler = "unknown";
  std::string nr_requests = "unknown";
  std::string max_sectors_kb = "unknown";
  std::string rotational = "unknown";
  std::string write_cache = "unknown";
};

/// Of the file or block device that is open as `descriptor`.
StorageHost describe_storage_host(int descriptor);

}  // namespace kvr::flash
