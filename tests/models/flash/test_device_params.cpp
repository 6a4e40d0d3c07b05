#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "models/flash/device_params.hpp"
#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/flash_device.hpp"
#include "sim/interfaces/language_model.hpp"
#include "tests/models/flash/shipped_config.hpp"

namespace kvr::flash {
namespace {

std::vector<std::string> files_of(const std::string& folder) {
  std::vector<std::string> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(KVR_SOURCE_DIR "/configs/") + folder)) {
    files.push_back(folder + "/" + entry.path().filename().string());
  }
  return files;
}

TEST_CASE("the defaults of the table are the shipped UFS 4.0 part") {
  const ParamValues shipped = test::shipped_values("device", "devices/ufs40.yaml");
  for (const ParamSpec& spec : specs_of(device_param_table())) {
    CAPTURE(spec.name);
    CHECK(shipped.at(spec.name) == spec.default_value);
  }
}

TEST_CASE("every shipped device states every parameter within its range and is sound") {
  const auto files = files_of("devices");
  CHECK(files.size() == 13);
  for (const std::string& file : files) {
    CAPTURE(file);
    const auto device = from_values(device_param_table(), test::shipped_values("device", file));
    CHECK(file == "devices/" + device.name + ".yaml");
    CHECK(check(device) == std::vector<std::string>{});
  }
}

TEST_CASE("every shipped phone and model makes its object") {
  for (const std::string& file : files_of("phones")) {
    CAPTURE(file);
    const auto phone =
        Registry<ComputeModel>::instance().create("roofline", test::shipped_values("phone", file), {});
    CHECK(file == "phones/" + phone->describe().substr(0, phone->describe().find(':')) + ".yaml");
  }
  for (const std::string& file : files_of("models")) {
    CAPTURE(file);
    CHECK_NOTHROW(Registry<LanguageModel>::instance().create("decoder", test::shipped_values("model", file),
                                                             {{2, 4, 2, 8, 32, 64, 100}}));
  }
}

TEST_CASE("parameters that contradict each other are all reported") {
  DeviceParams device;
  device.read_bandwidth = 5e9;
  device.tlc_bandwidth = 2e9;
  device.block = 3000;
  device.max_transfer = 4096;
  device.stripe = 4096;
  const auto problems = check(device);
  CHECK(
      problems ==
      std::vector<std::string>{
          "block: is no power of two (3000 B); allowed: powers of two",
          "max_transfer: is no multiple of block (4096 B); allowed: multiples of 3000 B",
          "stripe: is no multiple of block (4096 B); allowed: multiples of 3000 B",
          "page: is no multiple of block (16384 B); allowed: multiples of 3000 B",
          "page: exceeds stripe (16384 B); allowed: at most 4096 B",
          "read_bandwidth: exceeds link (5000 MB/s); allowed: at most 4200 MB/s",
          "read_bandwidth: exceeds what the channels deliver together (5000 MB/s); allowed: at most 4000 "
          "MB/s",
          "read_bandwidth: exceeds what the dies deliver, one stripe each hit_time (5000 MB/s); allowed: at "
          "most 1001 MB/s",
          "slc_bandwidth: exceeds what the dies program, one stripe each slc_program_time (1650 MB/s); "
          "allowed: at most 163.8 MB/s",
          "tlc_bandwidth: exceeds slc_bandwidth (2000 MB/s); allowed: at most 1650 MB/s",
          "tlc_bandwidth: exceeds what the dies program, one stripe each tlc_program_time (2000 MB/s); "
          "allowed: at most 40.96 MB/s"});
  CHECK_THROWS_AS(require_sound(device), InputError);
}

TEST_CASE("dies that program more slowly than the stated bandwidths are reported") {
  DeviceParams device;
  device.slc_program_time = 318e-6;  // eight stripes of 64 KiB in 318 us are 1649 MB/s
  CHECK(check(device) ==
        std::vector<std::string>{"slc_bandwidth: exceeds what the dies program, one stripe each "
                                 "slc_program_time (1650 MB/s); allowed: at most 1649 MB/s"});
  device.slc_program_time = 317e-6;
  CHECK(check(device).empty());
  device.tlc_bandwidth = 583e6;
  device.tlc_program_time = 900e-6;
  CHECK(check(device) ==
        std::vector<std::string>{"tlc_bandwidth: exceeds what the dies program, one stripe each "
                                 "tlc_program_time (583 MB/s); allowed: at most 582.5 MB/s"});
}

TEST_CASE("a link slower than its own overhead is reported") {
  DeviceParams device;
  device.command_link_time = 125e-6;  // 512 KiB at 4200 MB/s take 124.8 us
  CHECK(check(device) ==
        std::vector<std::string>{"command_link_time: is not below the link time of the data of max_transfer "
                                 "(125 us); allowed: below 124.8 us"});
  device.command_link_time = 124e-6;
  CHECK(check(device).empty());
}

TEST_CASE("stripes, pages and erase blocks must fit each other; the number of dies is free") {
  DeviceParams device;
  device.stripe = 98'304;
  device.erase_block = 100'000'000;
  CHECK(check(device) ==
        std::vector<std::string>{
            "stripe: is no power of two (98304 B); allowed: powers of two",
            "erase_block: is no multiple of stripe (100000000 B); allowed: multiples of 98304 B"});
  DeviceParams three;
  three.channels = 7;
  three.dies_per_channel = 3;
  CHECK(check(three).empty());
}

TEST_CASE("a latency below what it contains is reported") {
  DeviceParams device;
  device.latency = 20e-6;
  device.map_latency = 1e-6;
  device.hw_queues = 4;
  CHECK(check(device).size() == 3);
  DeviceParams per_kib;
  per_kib.fit_host_per_kib = 1e-6;
  CHECK(check(per_kib).size() == 1);
  DeviceParams slope;
  slope.latency_bandwidth = 4.1e9;
  CHECK(check(slope).size() == 1);
}

TEST_CASE("a device that contradicts itself is refused when it is made") {
  ParamValues values = test::shipped_values("device", "devices/ufs40.yaml");
  values["slc_bandwidth"] = 5e9;
  CHECK_THROWS_AS(Registry<FlashDevice>::instance().create("analytic", values, {}), InputError);
}

}  // namespace
}  // namespace kvr::flash
