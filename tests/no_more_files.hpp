#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace kvr::test {

/// While it lives this process can open no file beside `left`.
class NoMoreFiles {
 public:
  explicit NoMoreFiles(std::size_t left = 0) {
    constexpr rlim_t kFew = 256;  // else there may be a million to open
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit few = before_;
    few.rlim_cur = std::min(few.rlim_cur, kFew);
    setrlimit(RLIMIT_NOFILE, &few);
    for (int file = next(); file >= 0; file = next()) {
      files_.push_back(file);
    }
    for (; left > 0 && !files_.empty(); --left) {
      close_last();
    }
  }
  ~NoMoreFiles() {
    while (!files_.empty()) {
      close_last();
    }
    setrlimit(RLIMIT_NOFILE, &before_);
  }
  NoMoreFiles(const NoMoreFiles&) = delete;
  NoMoreFiles& operator=(const NoMoreFiles&) = delete;

 private:
  static int next() { return open("/dev/null", O_RDONLY | O_CLOEXEC); }
  void close_last() {
    close(files_.back());
    files_.pop_back();
  }

  rlimit before_{};
  std::vector<int> files_;
};

}  // namespace kvr::test
