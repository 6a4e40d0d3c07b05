// runs times over: the sweep as usual, in two processes, one by one, without results, each in a process of
// its
//   own; then in this one, of every point p of one seed:
//     own(p) = CPU(p beside p) - CPU(p), exact(p) = CPU(p) - own(p)
// and the sweeps that grow
#include "sim/cli/bench/sweep.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/files/temporary_folder.hpp"
#include "sim/cli/bench/child.hpp"
#include "sim/cli/bench/replay.hpp"
#include "sim/cli/signals.hpp"
#include "sim/config/resolve.hpp"
#include "sim/engine/replay.hpp"
#include "traces/reader.hpp"

namespace kvr::bench {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "sample_sweep.yaml";

/// What makes the sweep of one size.
struct Sweep {
  fs::path config;
  std::vector<std::string> sets;
  std::int64_t steps = 0;
  std::int64_t points = 0;
};

Sweep sweep_of(const fs::path& source, std::int64_t seeds, std::int64_t steps) {
  Sweep sweep{.config = source / kConfigFolder / kConfig,
              .sets = {fmt::format("run.seeds={}", seeds), fmt::format("run.steps={}", steps)},
              .steps = steps};
  sweep.points = std::ssize(load_config(sweep.config, sweep.sets));
  return sweep;
}

/// Measures a sweep again and again, as one of several in turns, so that all meet the same weather.
class Runner {
 public:
  Runner(const Sweep& sweep, std::string what, const std::vector<std::string>& options, const fs::path& out)
      : what_(std::move(what)), points_(sweep.points), steps_(sweep.steps), out_(out) {
    args_ = {"--quiet", "run", sweep.config.string()};
    for (const std::string& set : sweep.sets) {
      args_.insert(args_.end(), {"--set", set});
    }
    args_.insert(args_.end(), options.begin(), options.end());
  }

  void run() {
    const ChildUse use = run_self(args_);
    fs::remove(out_);  // as is done the first time
    cpus_.push_back(use.cpu_s);
    walls_.push_back(use.wall_s);
  }

  SweepRun result() const {
    return {.what = what_,
            .points = points_,
            .steps = steps_,
            .cpu = summarise(cpus_),
            .wall = summarise(walls_)};
  }

 private:
  std::string what_;
  std::int64_t points_;
  std::int64_t steps_;
  fs::path out_;
  std::vector<std::string> args_;
  std::vector<double> cpus_;
  std::vector<double> walls_;
};

double cpu_of(std::span<const RunConfig> points, const trace::Reader& trace) {
  const std::array<const trace::Reader*, 1> traces = {&trace};
  const double begin_s = thread_cpu_s();
  replay_together(
      points, traces, [](std::int64_t, std::int64_t) { cli::throw_if_interrupted(); }, nullptr);
  return thread_cpu_s() - begin_s;
}

struct Parts {
  double own_s = 0.0;    ///< of all points
  double exact_s = 0.0;  ///< of one pass
};

Parts parts_of(std::span<const RunConfig> points) {
  const trace::Reader trace(points.front().sequences.front().trace_path);
  Parts parts;
  for (const RunConfig& point : points) {
    const std::array<RunConfig, 2> twice = {point, point};
    const double alone_s = cpu_of({&point, 1}, trace);
    const double own_s = cpu_of(twice, trace) - alone_s;
    parts.own_s += own_s;
    parts.exact_s += (alone_s - own_s) / static_cast<double>(points.size());
  }
  return parts;
}

void measure_parts(const Sweep& one_seed, const SweepSize& size, SweepCost& cost) {
  const std::vector<RunConfig> points = load_config(one_seed.config, one_seed.sets);
  std::vector<double> own;
  std::vector<double> exact;
  for (int run = 0; run < size.runs; ++run) {
    const Parts parts = parts_of(points);
    own.push_back(static_cast<double>(size.seeds) * parts.own_s);
    exact.push_back(parts.exact_s);
  }
  cost.own = summarise(std::move(own));
  cost.exact = summarise(std::move(exact));
}

}  // namespace

SweepCost measure_sweep(const fs::path& source, const SweepSize& size) {
  TemporaryFolder folder;
  const cli::PatientWithSignals patient;  // else the processes would leave points in the folder
  const fs::path out = folder.file("sweep.h5");
  const std::vector<std::string> written = {"--out", out.string()};
  const auto with = [&written](std::vector<std::string> more) {
    more.insert(more.begin(), written.begin(), written.end());
    return more;
  };
  const Sweep sweep = sweep_of(source, size.seeds, size.steps);
  std::vector<Runner> runners = {{sweep, "as usual, with results", written, out},
                                 {sweep, "in two processes (-j 2)", with({"--jobs", "2"}), out},
                                 {sweep, "points one by one (--together 1)", with({"--together", "1"}), out},
                                 {sweep, "without results", {}, out}};
  for (const std::int64_t seeds : size.more_seeds) {
    runners.emplace_back(sweep_of(source, seeds, size.more_steps), "a sweep that grows", written, out);
  }
  for (int run = 0; run < size.runs; ++run) {
    std::ranges::for_each(runners, &Runner::run);
  }
  SweepCost cost{.usual = runners[0].result(),
                 .two_jobs = runners[1].result(),
                 .one_by_one = runners[2].result(),
                 .unwritten = runners[3].result(),
                 .growing = {runners[4].result(), runners[5].result(), runners[6].result()},
                 .own = {},
                 .exact = {}};
  measure_parts(sweep_of(source, 1, size.steps), size, cost);
  return cost;
}

}  // namespace kvr::bench
