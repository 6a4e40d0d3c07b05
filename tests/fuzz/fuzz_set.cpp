// Settings, one a line, over a sound configuration.
#include <sstream>
#include <vector>

#include "sim/config/resolve.hpp"
#include "tests/config/catalogue.hpp"
#include "tests/fuzz/scratch_file.hpp"
#include "tests/fuzz/target.hpp"

namespace kvr::fuzz {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line);
  }
  return lines;
}

}  // namespace
}  // namespace kvr::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const kvr::fuzz::ScratchFile base(kvr::test::kGood);
  const std::vector<std::string> sets = kvr::fuzz::lines_of(kvr::fuzz::text_of(data, size));
  kvr::fuzz::expect_no_bug([&] { kvr::load_config(base.path(), sets, kvr::test::catalogue()); });
  return 0;
}
