// Where a configuration may come from besides a file.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "sim/base/error.hpp"
#include "sim/config/text/source.hpp"
#include "tests/config/fixture.hpp"

namespace kvr::test {

namespace {

/// Standard input reads `file` while the object lives.
class StandardInput {
 public:
  explicit StandardInput(const std::string& file) : before_(dup(STDIN_FILENO)) {
    const int opened = open(file.c_str(), O_RDONLY);
    dup2(opened, STDIN_FILENO);
    close(opened);
  }
  ~StandardInput() {
    dup2(before_, STDIN_FILENO);
    close(before_);
  }
  StandardInput(const StandardInput&) = delete;
  StandardInput& operator=(const StandardInput&) = delete;

 private:
  int before_;
};

}  // namespace

TEST_CASE("standard input is a configuration, relative to the working folder") {
  const Folder folder;
  folder.write("c.yaml", "include: sub/b.yaml\n" + good_with("name: good\n", ""));
  folder.write("sub/b.yaml", "run: {threads: 3}\n");
  for (const char* name : {"-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"}) {
    CAPTURE(name);
    const StandardInput input("c.yaml");
    const RunConfig config = load(name).front();
    CHECK(config.sequences.front().trace_path == "t.h5");
    CHECK(config.threads == 3);
    CHECK(config.name == "stdin");
    CHECK(config.place("run.seed").starts_with(fmt::format("{}:15:3", name)));
  }
}

TEST_CASE("errors in standard input have their place") {
  const Folder folder;
  folder.write("c.yaml", good_with("seed: 7", "seed: x"));
  const StandardInput input("c.yaml");
  CHECK(error_of("-") == "-:15:3: run.seed: is not an integer (x); allowed: an integer, at least 0");
}

TEST_CASE("a pipe is read once, relative to the working folder") {
  const Folder folder;
  folder.write("sub/x", "");
  REQUIRE(mkfifo("sub/pipe.yaml", 0600) == 0);
  std::thread writer([] {
    const int pipe = open("sub/pipe.yaml", O_WRONLY);
    const auto written = write(pipe, kGood.data(), kGood.size());
    close(pipe);
    CHECK(written == static_cast<ssize_t>(kGood.size()));
  });
  CHECK(load("sub/pipe.yaml").front().sequences.front().trace_path == "t.h5");
  writer.join();
}

TEST_CASE("input without end ends at the limit") {
  CHECK(error_of("/dev/zero") == "/dev/zero: is too long (/dev/zero); allowed: 1048576 bytes");
  const StandardInput input("/dev/zero");
  CHECK(error_of("-") == "-: is too long (-); allowed: 1048576 bytes");
}

TEST_CASE("a folder is no file") {
  const Folder folder;
  folder.write("sub/x", "");
  CHECK(error_of("sub") == "sub: is not a file (sub)");
}

TEST_CASE("an include is a file, never a stream") {
  CHECK(error_of_text("include: /dev/zero\n" + std::string(kGood)) ==
        "c.yaml:1:1: include: is not a file (/dev/zero)");
  CHECK(error_of_text("include: '-'\n" + std::string(kGood)) == "c.yaml:1:1: include: no such file (-)");
}

}  // namespace kvr::test
