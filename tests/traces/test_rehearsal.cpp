#include <doctest/doctest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>
#include <thread>

#include "sim/base/error.hpp"
#include "tests/traces/sample.hpp"
#include "traces/checks/rehearsal.hpp"

namespace kvr::trace {
namespace {

constexpr RehearsalLimits kLimits{.memory_bytes = 100'000'000, .processor_s = 1};

Lines rehearse_here(const std::function<Lines()>& work) {
  return rehearse("a.h5", kLimits, work);
}

}  // namespace

TEST_CASE("a rehearsal gives back what the work returns") {
  CHECK(rehearse_here([] { return Lines{}; }).empty());
  CHECK(rehearse_here([] { return Lines{"", "one\ntwo", "näïve"}; }) == Lines{"", "one\ntwo", "näïve"});
  const Lines many(20'000, std::string(50, 'x'));  // more than a pipe holds
  CHECK(rehearse_here([&] { return many; }) == many);
}

TEST_CASE("what the work throws is thrown here") {
  CHECK_THROWS_WITH_AS(rehearse_here([]() -> Lines {
                         throw InputError(Lines{"one", "two"});
                       }),
                       "one\ntwo", InputError);
  CHECK_THROWS_WITH_AS(rehearse_here([]() -> Lines { throw SystemError("disk"); }), "disk", SystemError);
  CHECK_THROWS_WITH_AS(rehearse_here([]() -> Lines { throw InternalError("bug"); }), "bug", InternalError);
}

TEST_CASE("work that crashes is one problem of its file") {
  for (const int number : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE}) {
    CAPTURE(number);
    CHECK_THROWS_WITH_AS(rehearse_here([number] {
                           std::signal(number, SIG_DFL);  // doctest's own handler allocates
                           std::raise(number);
                           return Lines{};
                         }),
                         doctest::Contains("a.h5: the HDF5 library does not survive it ("), InputError);
  }
}

TEST_CASE("work that is stopped from outside is no problem of its file") {
  CHECK_THROWS_WITH_AS(rehearse_here([] {
                         std::raise(SIGTERM);
                         return Lines{};
                       }),
                       "a.h5: reading it was stopped: Terminated", SystemError);
}

TEST_CASE("work that takes too much time or memory is one problem of its file") {
  if (!rehearsals_are_limited()) {
    return;
  }
  CHECK_THROWS_WITH_AS(rehearse_here([] {
                         for (std::atomic<int> i = 0;; ++i) {
                         }
                         return Lines{};
                       }),
                       "a.h5: takes more than 1 s of processor time to be read, the most for a file of its "
                       "size; a sound one takes less with chunks of about 64 KiB along time "
                       "(traces/FORMAT.md, Storage; h5repack rewrites a file)",
                       InputError);
  CHECK_THROWS_WITH_AS(rehearse_here([] { return Lines{std::string(200'000'000, 'x')}; }),
                       "a.h5: takes more than 100 MB of memory to be read; damaged, or made to do harm",
                       InputError);
}

TEST_CASE("the child leaves nothing behind: no output of the parent's, no process") {
  const TemporaryFolder folder;
  std::FILE* out = std::fopen((folder / "out").c_str(), "w");
  REQUIRE(out != nullptr);
  std::fputs("once", out);
  rehearse_here([] { return Lines{}; });
  std::fclose(out);
  std::ifstream in(folder / "out");
  CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == "once");
  CHECK(waitpid(-1, nullptr, WNOHANG) == -1);
  CHECK(errno == ECHILD);
}

TEST_CASE("a process that ignores its children's ends hears them all the same") {
  const auto before = std::signal(SIGCHLD, SIG_IGN);
  CHECK(rehearse_here([] { return Lines{"heard"}; }) == Lines{"heard"});
  std::signal(SIGCHLD, before);
}

TEST_CASE("the child ends with its parent, whenever that is killed and even where the child is stopped") {
  REQUIRE(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);  // orphans become children of this process
  const unsigned seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int trial = 0; trial < 40; ++trial) {
    CAPTURE(trial);
    const pid_t parent = fork();
    REQUIRE(parent >= 0);
    if (parent == 0) {
      rehearse("a.h5", kLimits, []() -> Lines {
        std::raise(SIGSTOP);
        for (;;) {
          pause();
        }
      });
      _exit(0);
    }
    // From before the child is there to when it has long been stopped.
    std::this_thread::sleep_for(
        std::chrono::microseconds(std::uniform_int_distribution<int>(0, 5000)(random)));
    kill(parent, SIGKILL);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    pid_t ended = 0;
    while (ended >= 0 && std::chrono::steady_clock::now() < end) {
      ended = waitpid(-1, nullptr, WNOHANG);
      if (ended == 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
    CHECK(ended == -1);  // neither is left
    CHECK(errno == ECHILD);
  }
  prctl(PR_SET_CHILD_SUBREAPER, 0);
}

}  // namespace kvr::trace
