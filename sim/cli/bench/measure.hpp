#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace kvr::bench {

/// Seconds of several runs of the same work.
struct Timing {
  int runs = 0;
  double median_s = 0.0;
  double min_s = 0.0;
  double max_s = 0.0;
};

/// At least one run.
Timing summarise(std::vector<double> seconds);

/// CPU time of the calling thread so far: who else wants the core does not count.
double thread_cpu_s();

/// Something to time; what it returns is derived from its results, so that no compiler drops them.
using Work = std::function<double()>;

/// Times each of `works` in turn, `runs` times over, so that all meet the same weather. Each timed run
/// follows an untimed one, which warms the caches. The time is the thread's own CPU time: who else wants the
/// core does not count, who else uses caches and memory does.
std::vector<Timing> time_in_turns(std::span<const Work> works, int runs);

/// Reads a buffer of `bytes` once: what memory, or the cache that holds so much, allows at best.
class BufferReader {
 public:
  explicit BufferReader(std::int64_t bytes);

  double operator()() const;

 private:
  std::vector<std::uint64_t> words_;
};

/// float multiply-adds of this core that touch registers only, as operations per second (2 for each).
double peak_flops();

}  // namespace kvr::bench
