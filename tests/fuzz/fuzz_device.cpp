// A file under configs/devices: a device that is accepted serves requests.
#include "models/flash/closed_loop.hpp"
#include "models/flash/device_params.hpp"
#include "sim/config/resolve.hpp"
#include "tests/fuzz/scratch_file.hpp"
#include "tests/fuzz/target.hpp"

namespace kvr::fuzz {
namespace {

void serve(const RunConfig& config) {
  const auto params = from_values(flash::device_param_table(), config.device.values);
  const auto device = Registry<FlashDevice>::instance().create(
      config.device.type, config.device.values, {.host = flash::fit_host(params, 1), .root_seed = 1});
  double start_s = 0.0;
  for (const IoKind kind : {IoKind::read, IoKind::write}) {
    const flash::ClosedLoop load{.kind = kind,
                                 .bytes = 3 * params.block,
                                 .depth = 4,
                                 .range_bytes = std::int64_t{1} << 36,
                                 .align_bytes = params.block,
                                 .start_s = start_s};
    start_s = flash::run_closed_loop(*device, load, 4, 16).ended_s;
  }
}

}  // namespace
}  // namespace kvr::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kvr::fuzz::expect_no_bug([&] {
    const kvr::fuzz::ScratchFile file(kvr::fuzz::text_of(data, size));
    kvr::fuzz::serve(kvr::load_part(file.path(), kvr::FlashDevice::kKind, {}));
  });
  return 0;
}
