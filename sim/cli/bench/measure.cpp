#include "sim/cli/bench/measure.hpp"

#include <time.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "sim/base/dispatch.hpp"
#include "sim/base/error.hpp"
#include "sim/cli/bench/chains.hpp"

namespace kvr::bench {
namespace {

using EightWords = std::uint64_t __attribute__((vector_size(64), may_alias));

constexpr std::int64_t kWordBytes = sizeof(std::uint64_t);
constexpr int kWordsAtOnce = 8;
constexpr int kStreams = 4;
constexpr std::int64_t kPeakRounds = 2'000'000;
constexpr int kPeakRuns = 5;

double seconds_of(const Work& work) {
  const double begin = thread_cpu_s();
  [[maybe_unused]] const volatile double kept = work();
  return thread_cpu_s() - begin;
}

}  // namespace

namespace detail {

/// words: [kStreams * length], length a multiple of kWordsAtOnce. One stream for each of the buffer's
/// quarters keeps more cache lines on their way than one alone.
KVR_DISPATCHED std::uint64_t sum_words(const std::uint64_t* words, std::int64_t length) {
  EightWords sums[kStreams] = {};
  for (std::int64_t i = 0; i < length; i += kWordsAtOnce) {
    for (int stream = 0; stream < kStreams; ++stream) {
      EightWords next;
      __builtin_memcpy(&next, words + stream * length + i, sizeof(next));
      sums[stream] += next;
    }
  }
  const EightWords total = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  std::uint64_t sum = 0;
  for (int lane = 0; lane < kWordsAtOnce; ++lane) {
    sum += total[lane];
  }
  return sum;
}

}  // namespace detail

double thread_cpu_s() {
  timespec now{};
  KVR_CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0, "clock_gettime");
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

Timing summarise(std::vector<double> seconds) {
  KVR_CHECK(!seconds.empty(), "no runs");
  std::ranges::sort(seconds);
  const std::size_t middle = seconds.size() / 2;
  const double median =
      seconds.size() % 2 == 1 ? seconds[middle] : 0.5 * (seconds[middle - 1] + seconds[middle]);
  return {static_cast<int>(seconds.size()), median, seconds.front(), seconds.back()};
}

std::vector<Timing> time_in_turns(std::span<const Work> works, int runs) {
  std::vector<std::vector<double>> seconds(works.size());
  for (int run = 0; run < runs; ++run) {
    for (std::size_t i = 0; i < works.size(); ++i) {
      seconds_of(works[i]);
      seconds[i].push_back(seconds_of(works[i]));
    }
  }
  std::vector<Timing> timings;
  for (std::vector<double>& of_work : seconds) {
    timings.push_back(summarise(std::move(of_work)));
  }
  return timings;
}

BufferReader::BufferReader(std::int64_t bytes) {
  const std::int64_t step = kStreams * kWordsAtOnce * kWordBytes;
  words_.resize(static_cast<std::size_t>((bytes + step - 1) / step * kStreams * kWordsAtOnce));
  std::iota(words_.begin(), words_.end(), std::uint64_t{1});  // untouched pages are not in memory at all
}

double BufferReader::operator()() const {
  return static_cast<double>(detail::sum_words(words_.data(), std::ssize(words_) / kStreams));
}

double peak_flops() {
  double best = 0.0;
  for (const Chains& chains : kChainsByWidth) {
    const Work work = [&chains] { return static_cast<double>(chains.run(kPeakRounds, 0.5F, 0.5F)); };
    const Timing timing = time_in_turns(std::span(&work, 1), kPeakRuns).front();
    best = std::max(best, 2.0 * kChains * chains.lanes * static_cast<double>(kPeakRounds) / timing.median_s);
  }
  return best;
}

}  // namespace kvr::bench
