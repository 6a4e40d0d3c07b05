#include <doctest/doctest.h>

#include <fstream>

#include "sim/base/error.hpp"
#include "sim/base/files/temporary_folder.hpp"

namespace kvr {
namespace {

namespace fs = std::filesystem;

TEST_CASE("a temporary folder goes with all it holds") {
  fs::path path;
  {
    const TemporaryFolder folder;
    const TemporaryFolder other;
    path = folder.path();
    CHECK(path != other.path());
    fs::create_directories(folder / "a" / "b");
    std::ofstream(folder / "a" / "b" / "c") << "text";
    const TemporaryFolder inner(folder / "a");
    CHECK(inner.path().parent_path() == folder / "a");
  }
  CHECK_FALSE(fs::exists(path));
}

TEST_CASE("what is about to end removes a temporary folder and the files that it was told of") {
  TemporaryFolder folder;
  std::ofstream(folder.file("told")) << "text";
  remove_unfinished_files();
  CHECK_FALSE(fs::exists(folder.path()));
}

TEST_CASE("a temporary folder that cannot be made is a system error") {
  CHECK_THROWS_AS(TemporaryFolder("/no such folder"), SystemError);
}

}  // namespace
}  // namespace kvr
