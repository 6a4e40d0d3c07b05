#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/flash/device_params.hpp"
#include "sim/config/resolve.hpp"
#include "sim/interfaces/flash_device.hpp"

namespace kvr::cli {

/// The file that `given` means: a path if it has a slash or ends in .yaml, otherwise configs/FOLDER/NAME.yaml
/// under the working directory or the source tree that the program was built in. A name that does not exist
/// is an InputError with those that do; a path is not looked at.
std::filesystem::path find_config(std::string_view folder, const std::string& given);

/// The files of configs/FOLDER that end in `extension`, by name; of the first of the places that find_config
/// looks into and that exists. InputError where none does.
std::vector<std::filesystem::path> config_files(std::string_view folder, std::string_view extension);

/// What a `kvreplay device` command was told about the device.
struct DeviceRequest {
  std::string device;  ///< NAME or file, as find_config takes it
  std::string type;    ///< fidelity; empty: the file's own
  bool hot = false;
  std::string phone;              ///< NAME or file; empty: the host of the device's own fit
  std::vector<std::string> sets;  ///< device.KEY=VALUE; with a phone, phone.KEY=VALUE too
};

struct DeviceChoice {
  RunConfig config;            ///< of its parts only `device` is set
  flash::DeviceParams params;  ///< of config.device
  std::string host_name;       ///< "fit of ufs40", "phone oneplus_12"
  HostCost host;
  std::vector<std::filesystem::path> files;  ///< that device and phone were read from

  /// A device in its first state, whose host submits from `threads` threads.
  std::unique_ptr<FlashDevice> create(std::int64_t threads, std::uint64_t seed) const;
};

/// Throws InputError with everything that is wrong with the files, the settings and what they say together.
DeviceChoice choose_device(const DeviceRequest& request);

}  // namespace kvr::cli
