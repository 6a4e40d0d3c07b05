// One job, on each of its threads, which have an engine each:
//
//   make the engines first, so that no thread waits for another's
//   until the end of the measured time:
//     start requests until depth are outstanding; wait; note those done within the measured time
//   wait for the rest, which does not count
//
// The measured time begins when the warm-up is over and every thread has seen `depth` requests done, so that
// slow requests on a short warm-up do not count the filling of the queue.
#include "models/flash/storage/probe.hpp"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <exception>
#include <limits>
#include <numeric>
#include <thread>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"

namespace kvr::flash {

namespace {

constexpr std::int64_t kKiB = 1024;
constexpr std::int64_t kMiB = 1024 * kKiB;
constexpr std::int64_t kGiB = 1024 * kMiB;
constexpr std::int64_t kNearRange = 128 * kMiB;  ///< held by any mapping cache

constexpr std::array<std::int64_t, 10> kSizes{4 * kKiB,  8 * kKiB,   16 * kKiB,  24 * kKiB,  32 * kKiB,
                                              64 * kKiB, 128 * kKiB, 256 * kKiB, 512 * kKiB, kMiB};
constexpr std::array<std::int64_t, 9> kRanges{64 * kMiB, 128 * kMiB, 256 * kMiB, 512 * kMiB, kGiB,
                                              2 * kGiB,  4 * kGiB,   8 * kGiB,   32 * kGiB};
constexpr std::array<std::int64_t, 9> kDepths{1, 2, 4, 8, 16, 24, 32, 48, 64};

/// Adds jobs unless the same load is there or the limits exclude it.
class Plan {
 public:
  explicit Plan(const ProbeLimits& limits) : limits_(limits) {}

  void add(std::string_view group, ProbeJob job) {
    const bool fits = job.depth > 0 && job.range_bytes <= limits_.range_bytes &&
                      job.bytes <= job.range_bytes && job.depth * job.threads <= limits_.depth;
    const bool known = std::ranges::any_of(jobs_, [&job](const ProbeJob& other) {
      return other.kind == job.kind && other.sequential == job.sequential && other.bytes == job.bytes &&
             other.depth == job.depth && other.threads == job.threads && other.range_bytes == job.range_bytes;
    });
    if (fits && !known) {
      job.name = fmt::format("{}_{}_{}k_qd{}_t{}_{}M", group, verb(job), job.bytes / kKiB, job.depth,
                             job.threads, job.range_bytes / kMiB);
      jobs_.push_back(std::move(job));
    }
  }

  std::vector<ProbeJob> take() { return std::move(jobs_); }

 private:
  static std::string verb(const ProbeJob& job) {
    return fmt::format("{}{}", job.sequential ? "" : "rand", job.kind == IoKind::read ? "read" : "write");
  }

  ProbeLimits limits_;
  std::vector<ProbeJob> jobs_;
};

struct Samples {
  std::vector<double> submission_s;
  std::vector<double> completion_s;
};

/// When requests count, for all threads of a job: after `begin`, up to `begin` + seconds, of wall_s().
class Window {
 public:
  Window(double earliest_s, double seconds, std::int64_t threads)
      : earliest_s_(earliest_s), seconds_(seconds), filling_(threads) {}

  double earliest_s() const { return earliest_s_; }
  /// Said once by each thread whose queue is in its steady state; the last one begins the window.
  void ready(double now_s) {
    if (filling_.fetch_sub(1) == 1) {
      begin_s_.store(now_s);
    }
  }
  /// Lets the others end when one thread failed, which would otherwise be waited for.
  void close() { begin_s_.store(-std::numeric_limits<double>::infinity()); }
  bool contains(double time_s) const { return time_s > begin_s_.load() && !is_over(time_s); }
  bool is_over(double time_s) const { return time_s > begin_s_.load() + seconds_; }

 private:
  double earliest_s_;
  double seconds_;
  std::atomic<std::int64_t> filling_;
  std::atomic<double> begin_s_ = std::numeric_limits<double>::infinity();
};

/// One thread's part of a job.
class Worker {
 public:
  Worker(const ProbeJob& job, std::unique_ptr<DirectIo> io, std::atomic<std::int64_t>& stream,
         std::uint64_t number)
      : job_(job), io_(std::move(io)), stream_(stream), rng_(Rng::stream(0, job.name, number)) {}

  void run(Window& window) {
    std::int64_t completed = 0;
    for (bool open = true; open || io_->outstanding() > 0;) {
      while (open && !io_->full()) {
        io_->start({0, job_.kind, next_offset(), job_.bytes});
      }
      done_.clear();
      io_->wait(done_);
      const double now_s = done_.back().done_s;  // that of all: they were seen together
      if (window.contains(now_s)) {
        for (const DirectDone& one : done_) {
          samples_.submission_s.push_back(one.handed_s - one.start_s);
          samples_.completion_s.push_back(one.done_s - one.handed_s);
        }
      }
      completed += std::ssize(done_);
      if (!ready_ && completed >= job_.depth && now_s >= window.earliest_s()) {
        ready_ = true;
        window.ready(now_s);
      }
      open = open && !window.is_over(now_s);
    }
  }

  const Samples& samples() const { return samples_; }

 private:
  std::int64_t next_offset() {
    const std::int64_t places = job_.range_bytes / job_.bytes;
    const std::int64_t place =
        job_.sequential ? stream_.fetch_add(1, std::memory_order_relaxed) % places
                        : static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(places)));
    return place * job_.bytes;
  }

  ProbeJob job_;
  std::unique_ptr<DirectIo> io_;
  std::atomic<std::int64_t>& stream_;
  Rng rng_;
  bool ready_ = false;
  std::vector<DirectDone> done_;
  Samples samples_;
};

ProbeTimes times_of(std::vector<double> samples) {
  if (samples.empty()) {
    return {};
  }
  std::ranges::sort(samples);
  const auto count = static_cast<double>(samples.size());
  const double mean = std::accumulate(samples.begin(), samples.end(), 0.0) / count;
  double squares = 0.0;
  for (const double sample : samples) {
    squares += (sample - mean) * (sample - mean);
  }
  ProbeTimes times{mean, std::sqrt(squares / count), samples.front(), samples.back(), {}};
  for (const double percent : kProbePercentiles) {
    const double rank = std::ceil(percent / 100.0 * count);
    times.percentiles_s.push_back(samples[static_cast<std::size_t>(rank) - 1]);
  }
  return times;
}

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

/// Processor time of this program, all threads.
struct Processor {
  double user_s = 0.0;
  double system_s = 0.0;

  static Processor now() {
    rusage usage{};
    KVR_CHECK(getrusage(RUSAGE_SELF, &usage) == 0, "getrusage");
    return {seconds_of(usage.ru_utime), seconds_of(usage.ru_stime)};
  }
};

/// Runs all workers, the first one on this thread where it is alone.
void run_workers(std::vector<Worker>& workers, Window& window) {
  if (workers.size() == 1) {
    workers.front().run(window);
    return;
  }
  std::vector<std::exception_ptr> failures(workers.size());
  {
    std::vector<std::jthread> threads;
    try {
      for (std::size_t i = 0; i < workers.size(); ++i) {
        threads.emplace_back([&, i] {
          try {
            workers[i].run(window);
          } catch (...) {
            failures[i] = std::current_exception();
            window.close();
          }
        });
      }
    } catch (...) {  // no thread to be had
      window.close();
      throw;
    }
  }
  for (const std::exception_ptr& failure : failures) {
    if (failure) {
      std::rethrow_exception(failure);
    }
  }
}

}  // namespace

std::vector<ProbeJob> probe_plan(const ProbeLimits& limits) {
  const std::int64_t all = limits.range_bytes;
  const std::int64_t near = std::min(kNearRange, all);
  constexpr IoKind kRead = IoKind::read;
  Plan plan(limits);
  for (const std::int64_t depth : {std::int64_t{1}, std::int64_t{8}, limits.depth}) {
    plan.add("J1", {"", kRead, true, kMiB, depth, 1, all});
  }
  for (const std::int64_t bytes : kSizes) {
    plan.add("J2", {"", kRead, false, bytes, 1, 1, near});
  }
  for (const std::int64_t range : kRanges) {
    plan.add("J3", {"", kRead, false, 4 * kKiB, limits.depth, 1, range});
  }
  for (const std::int64_t bytes : kSizes) {
    plan.add("J4", {"", kRead, false, bytes, limits.depth, 1, all});
  }
  for (const std::int64_t bytes : {4 * kKiB, 24 * kKiB}) {
    for (const std::int64_t depth : kDepths) {
      plan.add("J5", {"", kRead, false, bytes, depth, 1, all});
    }
  }
  for (const std::int64_t threads : {1, 2, 4}) {
    plan.add("J7", {"", kRead, false, 4 * kKiB, limits.depth / threads, threads, near});
  }
  plan.add("J8", {"", IoKind::write, true, kMiB, limits.depth, 1, all});
  plan.add("J8", {"", IoKind::write, false, 4 * kKiB, 1, 1, near});
  return plan.take();
}

ProbeJob job_for_engine(ProbeJob job, std::string_view engine) {
  if (engine == "threads") {
    job.threads *= job.depth;
    job.depth = 1;
  }
  return job;
}

ProbeRow run_probe_job(const StorageFile& file, std::string_view engine, const ProbeJob& job,
                       double warm_up_s, double seconds) {
  KVR_CHECK(job.range_bytes <= file.bytes() && job.bytes <= job.range_bytes && seconds > 0.0,
            "{} B within {} B of a file of {} B, for {} s", job.bytes, job.range_bytes, file.bytes(),
            seconds);
  std::atomic<std::int64_t> stream = 0;
  std::vector<Worker> workers;
  for (std::int64_t i = 0; i < job.threads; ++i) {
    workers.emplace_back(job, make_direct_io(engine, {file.descriptor(), job.name, job.depth, job.bytes}),
                         stream, static_cast<std::uint64_t>(i));
  }
  const Processor before = Processor::now();
  const double begin_s = wall_s();
  Window window(begin_s + warm_up_s, seconds, job.threads);
  run_workers(workers, window);
  const double elapsed_s = (wall_s() - begin_s) * static_cast<double>(job.threads);
  const Processor after = Processor::now();

  Samples all;
  for (const Worker& worker : workers) {
    const auto append = [](std::vector<double>& to, const std::vector<double>& from) {
      to.insert(to.end(), from.begin(), from.end());
    };
    append(all.submission_s, worker.samples().submission_s);
    append(all.completion_s, worker.samples().completion_s);
  }
  std::vector<double> latency_s(all.submission_s.size());
  std::ranges::transform(all.submission_s, all.completion_s, latency_s.begin(), std::plus{});
  const auto requests = std::ssize(latency_s);
  const double requests_per_s = static_cast<double>(requests) / seconds;
  return {job,
          seconds,
          requests,
          requests_per_s,
          times_of(std::move(latency_s)),
          times_of(std::move(all.submission_s)),
          times_of(std::move(all.completion_s)),
          (after.user_s - before.user_s) / elapsed_s,
          (after.system_s - before.system_s) / elapsed_s,
          requests_per_s,
          requests_per_s};
}

ProbeRow middle_pass(std::vector<ProbeRow> passes) {
  KVR_CHECK(!passes.empty(), "no pass");
  std::ranges::stable_sort(passes, {}, &ProbeRow::requests_per_s);
  ProbeRow middle = passes[(passes.size() - 1) / 2];
  middle.lowest_per_s = passes.front().requests_per_s;
  middle.highest_per_s = passes.back().requests_per_s;
  return middle;
}

}  // namespace kvr::flash
