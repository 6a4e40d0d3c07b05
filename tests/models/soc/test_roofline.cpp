#include <doctest/doctest.h>

#include <memory>

#include "sim/base/registry.hpp"
#include "sim/interfaces/compute_model.hpp"
#include "tests/models/flash/shipped_config.hpp"

namespace kvr {
namespace {

using doctest::Approx;

constexpr WeightFormat kF16 = WeightFormat::f16;

std::unique_ptr<ComputeModel> make(const ParamValues& values) {
  return Registry<ComputeModel>::instance().create("roofline", values, {});
}

TEST_CASE("the slower of memory and arithmetic decides, plus the synchronisation") {
  const auto phone = make({{"gemv_bandwidth", 50e9}, {"fp16_peak", 500e9}, {"sync_time", 5e-6}});
  CHECK(phone->time_s({1e6, 100e6}, kF16) == Approx(2e-3 + 5e-6));
  CHECK(phone->time_s({10e9, 100e6}, kF16) == Approx(20e-3 + 5e-6));
  CHECK(phone->time_s({0.0, 0.0}, kF16) == Approx(5e-6));
}

TEST_CASE("the storage cost of the OnePlus 12 is what was measured from its big core") {
  const auto phone = make(test::shipped_values("phone", "phones/oneplus_12.yaml"));
  const HostCost host = phone->host_cost();
  CHECK(host.command_s(4096.0) == Approx(4.076e-6).epsilon(1e-3));
  CHECK(host.wake_s == 15e-6);
  CHECK(host.threads == 1);
  CHECK(phone->describe() == "oneplus_12: 43 GB/s of fp16, 661 GFLOPS fp16, 24 GiB DRAM, cold");
}

TEST_CASE("a core at 2.2 GHz submits in 5.4 us, an app in 8 us and wakes after 60") {
  const auto little = make(test::shipped_values("phone", "phones/oneplus_12_little.yaml"));
  CHECK(little->host_cost().command_s(4096.0) == Approx(5.364e-6).epsilon(1e-3));
  CHECK(little->power().host_core_w == 0.3);
  const auto app = make(test::shipped_values("phone", "phones/oneplus_12_app.yaml"));
  CHECK(app->host_cost().command_s(4096.0) == Approx(8e-6));
  CHECK(app->host_cost().wake_s == 60e-6);
}

TEST_CASE("storage cost grows with size by its share per KiB") {
  const auto phone = make(
      {{"host_per_command", 10e-6}, {"host_cycles", 2000.0}, {"host_clock", 1e9}, {"host_per_kib", 0.75e-6}});
  CHECK(phone->host_cost().command_s(4096.0) == Approx(15e-6));
}

TEST_CASE("heat slows clock, bandwidth and peak alike and takes the same share off the power of cores") {
  const auto cold = make({});
  const auto hot = make({{"heat", std::string("hot")}});
  constexpr double kSync = 5e-6;
  for (const Work& work : {Work{1e6, 43e6}, Work{661e6, 1e3}}) {
    CHECK(hot->time_s(work, kF16) - kSync == Approx((cold->time_s(work, kF16) - kSync) / 0.68));
  }
  CHECK(hot->host_cost().clock_hz == Approx(0.68 * 3.3e9));
  CHECK(hot->host_cost().command_s(4096.0) == Approx(1.5e-6 + 8500.0 / (0.68 * 3.3e9)));
  CHECK(hot->power().compute_w == Approx(0.68 * 4.9));
  CHECK(hot->power().host_core_w == Approx(0.68 * 1.5));
  CHECK(hot->power().base_w == cold->power().base_w);
  CHECK(hot->power().dram_background_w == cold->power().dram_background_w);
  CHECK(hot->power().dram_j_per_byte == cold->power().dram_j_per_byte);
  CHECK(hot->describe() == "oneplus_12: 29.24 GB/s of fp16, 449.5 GFLOPS fp16, 24 GiB DRAM, hot");
}

TEST_CASE("every shipped phone draws about 7 W while it decodes 4-bit weights, cold") {
  for (const char* name : {"oneplus_12", "oneplus_ace2", "oneplus_ace3", "oneplus_ace5_pro", "oneplus_15"}) {
    CAPTURE(name);
    const ParamValues values = test::shipped_values("phone", std::string("phones/") + name + ".yaml");
    const PhonePower power = make(values)->power();
    const double dram_w = power.dram_j_per_byte * std::get<double>(values.at("q4_0_bandwidth"));
    CHECK(power.compute_w + power.base_w + power.dram_background_w + dram_w == Approx(7.0).epsilon(0.015));
  }
}

TEST_CASE("the defaults of the table are the shipped OnePlus 12") {
  const ParamValues shipped = test::shipped_values("phone", "phones/oneplus_12.yaml");
  for (const ParamSpec& spec : Catalogue::instance().find("phone", "roofline")->params) {
    CAPTURE(spec.name);
    CHECK(shipped.at(spec.name) == spec.default_value);
  }
}

}  // namespace
}  // namespace kvr
