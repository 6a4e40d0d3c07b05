#include "models/flash/device_params.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "sim/error.hpp"
#include "sim/interfaces/flash_device.hpp"
#include "sim/interfaces/language_model.hpp"
#include "sim/registry.hpp"
#include "tests/models/shipped_config.hpp"

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
  CHECK(files.size() == 10);
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
  REQUIRE(problems.size() == 7);
  CHECK(problems[0] == "device ufs40: block (3000 B) is no power of two");
  CHECK(problems[3] == "device ufs40: read_bandwidth (5e+09 B/s) exceeds the link (4.2e+09 B/s)");
  CHECK_THROWS_AS(require_sound(device), InputError);
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
