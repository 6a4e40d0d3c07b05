// A file of fio's: the rows that are taken can be judged, predicted, and simulated as far as that is short.
#include <algorithm>
#include <array>
#include <cmath>

#include "models/flash/fit/fio/file.hpp"
#include "models/flash/fit/judge.hpp"
#include "models/flash/fit/predict.hpp"
#include "tests/fuzz/target.hpp"

namespace kvr::fuzz {
namespace {

void predict(const flash::fit::Row& row) {
  constexpr std::int64_t kMostOutstanding = 64;
  constexpr std::int64_t kRequests = 16;
  const flash::DeviceParams device;
  if (!flash::fit::fault_of_load(row, device.block).empty()) {
    return;
  }
  const double rate = flash::fit::predict_closed(device, row);
  KVR_CHECK(std::isfinite(rate) && rate > 0.0, "{}: {} requests per second", row.place, rate);
  if (row.outstanding() <= kMostOutstanding) {
    flash::fit::predict_event(device, row, kRequests, 0);
  }
}

void read(std::string text) {
  const std::array files = {flash::fit::FioText{"input", std::move(text)}};
  constexpr std::size_t kMostRows = 4;
  std::vector<flash::fit::Row> rows = flash::fit::read_fio_texts(files);
  flash::fit::judge(rows, flash::DeviceParams{}.block, 2);
  rows.resize(std::min(rows.size(), kMostRows));
  std::ranges::for_each(rows, predict);
}

}  // namespace
}  // namespace kvr::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kvr::fuzz::expect_no_bug([&] { kvr::fuzz::read(kvr::fuzz::text_of(data, size)); });
  return 0;
}
