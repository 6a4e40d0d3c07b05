#include "tests/config/fixture.hpp"

#include <doctest/doctest.h>

#include <fstream>

#include "sim/base/error.hpp"

namespace kvr::test {

Folder::Folder() : before_(std::filesystem::current_path()) {
  std::filesystem::current_path(folder_.path());
}

Folder::~Folder() {
  std::filesystem::current_path(before_);
}

void Folder::write(const std::string& name, std::string_view text) const {
  const std::filesystem::path file = folder_ / name;
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file) << text;
}

std::vector<RunConfig> load(const std::string& file, const std::vector<std::string>& sets) {
  return load_config(file, sets, catalogue());
}

std::string error_of(const std::string& file, const std::vector<std::string>& sets) {
  try {
    load(file, sets);
  } catch (const InputError& error) {
    return error.what();
  }
  FAIL("no error in " << file);
  return "";
}

std::string error_of_text(std::string_view text, const std::vector<std::string>& sets) {
  const Folder folder;
  folder.write("c.yaml", text);
  return error_of("c.yaml", sets);
}

std::string good_with(std::string_view from, std::string_view to) {
  std::string text(kGood);
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace kvr::test
