#include <doctest/doctest.h>

#include <memory>

#include "sim/interfaces/compute_model.hpp"
#include "sim/registry.hpp"
#include "tests/models/shipped_config.hpp"

namespace kvr {
namespace {

using doctest::Approx;

std::unique_ptr<ComputeModel> make(const ParamValues& values) {
  return Registry<ComputeModel>::instance().create("roofline", values, {});
}

TEST_CASE("the slower of memory and arithmetic decides, plus the synchronisation") {
  const auto phone = make({{"gemv_bandwidth", 50e9}, {"fp16_peak", 500e9}, {"sync_time", 5e-6}});
  CHECK(phone->time_s({1e6, 100e6}) == Approx(2e-3 + 5e-6));
  CHECK(phone->time_s({10e9, 100e6}) == Approx(20e-3 + 5e-6));
  CHECK(phone->time_s({0.0, 0.0}) == Approx(5e-6));
}

TEST_CASE("the storage cost of the OnePlus 12 is what was measured from its big core") {
  const auto phone = make(test::shipped_values("phone", "phones/oneplus_12.yaml"));
  const HostCost host = phone->host_cost();
  CHECK(host.command_s(4096.0) == Approx(4.076e-6).epsilon(1e-3));
  CHECK(host.wake_s == 15e-6);
  CHECK(host.threads == 1);
  CHECK(phone->describe() == "oneplus_12: 43 GB/s, 661 GFLOPS fp16, 24 GiB DRAM");
}

TEST_CASE("storage cost grows with size by its share per KiB") {
  const auto phone = make(
      {{"host_per_command", 10e-6}, {"host_cycles", 2000.0}, {"host_clock", 1e9}, {"host_per_kib", 0.75e-6}});
  CHECK(phone->host_cost().command_s(4096.0) == Approx(15e-6));
}

}  // namespace
}  // namespace kvr
