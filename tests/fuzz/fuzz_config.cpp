// A whole configuration: what is accepted is resolved to a text that means the same.
#include "sim/config/resolve.hpp"
#include "tests/config/catalogue.hpp"
#include "tests/fuzz/scratch_file.hpp"
#include "tests/fuzz/target.hpp"

namespace kvr::fuzz {
namespace {

std::vector<RunConfig> load(std::string_view text) {
  const ScratchFile file(text);
  return load_config(file.path(), {}, test::catalogue());
}

void check_resolved(const RunConfig& point) {
  const std::string again = load(point.resolved_yaml).at(0).resolved_yaml;
  KVR_CHECK(again == point.resolved_yaml, "resolved again, '{}' is '{}'", point.resolved_yaml, again);
}

}  // namespace
}  // namespace kvr::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kvr::fuzz::expect_no_bug([&] {
    const std::vector<kvr::RunConfig> points = kvr::fuzz::load(kvr::fuzz::text_of(data, size));
    kvr::fuzz::check_resolved(points.at(0));
    kvr::fuzz::check_resolved(points.back());
  });
  return 0;
}
