#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace kvr {

/// Reports progress on stderr: a bar on a terminal, a plain line every tenth otherwise, nothing when quiet.
class ProgressBar {
 public:
  ProgressBar(std::string label, bool quiet);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void update(std::int64_t done, std::int64_t total);

 private:
  void draw(std::int64_t done, std::int64_t total, double elapsed_s);

  std::string label_;
  bool quiet_;
  bool terminal_;
  bool drawn_ = false;
  std::int64_t last_tenth_ = 0;
  std::chrono::steady_clock::time_point begin_;
  std::chrono::steady_clock::time_point last_draw_;
};

}  // namespace kvr
