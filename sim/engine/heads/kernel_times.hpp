#pragma once

#include <chrono>

namespace kvr {

/// Seconds of this machine that the kernels of a step took.
struct KernelTimes {
  double score_s = 0.0;
  double update_s = 0.0;
  double attention_s = 0.0;
  double truth_s = 0.0;

  KernelTimes& operator+=(const KernelTimes& other) {
    score_s += other.score_s;
    update_s += other.update_s;
    attention_s += other.attention_s;
    truth_s += other.truth_s;
    return *this;
  }
};

/// Adds the time until its end of life to a total.
class Stopwatch {
 public:
  explicit Stopwatch(double& total_s) : total_s_(&total_s), begin_(std::chrono::steady_clock::now()) {}
  ~Stopwatch() {
    *total_s_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double* total_s_;
  std::chrono::steady_clock::time_point begin_;
};

}  // namespace kvr
