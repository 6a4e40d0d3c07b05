// order = what is asked, checked
// store = OUT.points, or the folder that was named; none without results to write
// take what the store has; replay the rest, which puts points there as they are finished
// write the results of all that are finished; OUT.points goes when these are all
#include "sim/cli/run/run_command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/files/new_file.hpp"
#include "sim/base/sha256.hpp"
#include "sim/cli/messages.hpp"
#include "sim/cli/notes.hpp"
#include "sim/cli/outputs.hpp"
#include "sim/cli/progress.hpp"
#include "sim/cli/run/order.hpp"
#include "sim/cli/run/run_json.hpp"
#include "sim/cli/signals.hpp"
#include "sim/results/result_file.hpp"
#include "sim/results/writer.hpp"
#include "sim/sweep/point_key.hpp"
#include "sim/sweep/runner.hpp"
#include "sim/sweep/store.hpp"

namespace kvr {
namespace {

namespace fs = std::filesystem;
using cli::Order;
using cli::RunOptions;
using sweep::Failure;
using sweep::Store;

std::string notes_text(std::span<const PointOutline> outlines) {
  std::vector<cli::NotedPoint> points;
  for (const PointOutline& outline : outlines) {
    points.push_back({outline.name, outline.variant, outline.notes});
  }
  return cli::notes_text(points);
}

Provenance described(const RunOptions& options) {
  Provenance provenance = describe_build_and_host();
  provenance.add("configuration", options.config);
  if (options.shard) {
    provenance.add("shard", *options.shard);
  }
  return provenance;
}

/// Of a results file; 0 where there is none.
std::size_t points_in(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) {
    return 0;
  }
  try {
    return ResultFile(path).points().size();
  } catch (const InputError&) {
    return 0;
  }
}

/// sha256 of all points of a configuration, by which its parts know one another.
std::string sweep_sha256(std::span<const RunConfig> points) {
  Sha256 hash;
  for (const RunConfig& point : points) {
    hash.update(std::as_bytes(std::span(point.point)));
    hash.update(std::as_bytes(std::span(point.resolved_yaml)));
  }
  return hash.hex();
}

/// The points of a run on their way into its results.
class Run {
 public:
  Run(const RunOptions& options, bool quiet)
      : options_(options),
        order_(cli::read_order(options, traces_)),
        quiet_(quiet),
        provenance_(described(options)) {
    for (std::size_t place = 0; place < order_.points.size(); ++place) {
      if (order_.shard.has(static_cast<std::int64_t>(place))) {
        places_.push_back(place);
      }
    }
    finished_.resize(order_.points.size());
    if (options_.out || options_.store) {
      find_keys();
      open_store();
    }
  }

  void replay_all() {
    const cli::PatientWithSignals patient;
    const std::vector<std::size_t> left = take_finished();
    ProgressBar bar(
        order_.points.size() == 1 ? order_.points.front().point : fs::path(options_.config).stem().string(),
        quiet_);
    const sweep::Work work{.points = order_.points,
                           .keys = keys_,
                           .groups = sweep::groups_of(order_.points, left, options_.together, options_.jobs),
                           .traces = traces_,
                           .store = store_.get()};
    const sweep::Listener listener{
        .finished =
            [this](std::size_t place, PointOutline outline, const std::optional<std::string>& not_stored) {
              finish(place, std::move(outline), not_stored);
            },
        .failed = [this](std::size_t place, const Failure& failure) { fail(place, failure); },
        .advanced =
            [this, &bar, &left](const sweep::Advance& advance) {
              cli::throw_if_interrupted();
              bar.update_points({.points = advance.points,
                                 .finished = finished_now_,
                                 .total = left.size(),
                                 .at_hand = advance.at_hand,
                                 .steps = advance.steps,
                                 .of = advance.of});
            }};
    if (options_.jobs > 1) {
      sweep::run_in_workers(work, options_.jobs, listener);
    } else {
      sweep::run_here(work, listener, order_.timeline ? &*order_.timeline : nullptr);
    }
  }

  /// Of what is finished and in the store; when that is all of the configuration, OUT.points goes.
  void write() {
    if (order_.timeline && options_.timeline) {
      tell_failure(cli::attempt_to_write([&] { order_.timeline->write(*options_.timeline); }));
    }
    if (options_.out) {
      write_to(*options_.out);
    }
  }

  void print() const {
    const std::vector<PointOutline> points = outlines(false);
    if (options_.json) {
      fmt::print("{}", cli::run_json(points, std::ssize(order_.points)));
    } else if (!points.empty()) {
      fmt::print("{}{}", summary_text(points), notes_text(points));
    }
  }

  void tell_of_interruption() const {
    cli::say("interrupted: {} of {} points are finished{}\n", outlines(false).size(), places_.size(),
             store_ ? fmt::format(" and kept in {}; the same command goes on from there",
                                  store_->folder().string())
                    : "");
  }

  int exit_code() const { return exit_code_; }

 private:
  void find_keys() {
    const std::string program = sweep::program_sha256();
    provenance_.add("program_sha256", program);
    provenance_.add("sweep_sha256", sweep_sha256(order_.points));
    for (const RunConfig& point : order_.points) {
      keys_.push_back(sweep::point_key(point, traces_.hashes_of(point), program));
    }
  }

  void open_store() {
    store_ = std::make_unique<Store>(
        options_.store ? fs::path(*options_.store)
                       : fs::path(output_target(options_.out.value_or("")).string() + ".points"));
    std::set<std::string> others = store_->keys();
    std::ranges::for_each(keys_, [&others](const std::string& key) { others.erase(key); });
    if (options_.store || others.empty()) {
      return;
    }
    if (!options_.force) {
      throw InputError(fmt::format(
          "{}: has finished points of another configuration, trace or program ({}); --force gives them up, "
          "another --out keeps them",
          store_->folder().string(), others.size()));
    }
    std::ranges::for_each(others, [this](const std::string& key) { store_->remove(key); });
  }

  /// Takes from the store what it has; what is left to do comes back. A timeline is of what is replayed, so
  /// with one nothing is taken.
  std::vector<std::size_t> take_finished() {
    std::vector<std::size_t> left;
    for (const std::size_t place : places_) {
      std::optional<PointOutline> found;
      if (store_ && !order_.timeline) {
        found = store_->find(keys_[place], [](const std::string& damage) {
          cli::say("{}; the point is replayed again\n", damage);
        });
      }
      if (found) {
        keep(place, std::move(*found));
      } else {
        left.push_back(place);
      }
    }
    if (left.size() < places_.size()) {
      cli::say("{} of {} points were finished before\n", places_.size() - left.size(), places_.size());
    }
    return left;
  }

  /// A record knows not what its point is called here.
  void keep(std::size_t place, PointOutline outline) {
    outline.number = static_cast<std::int64_t>(place);
    outline.name = order_.points[place].point;
    outline.variant = order_.points[place].variant;
    outline.axes = order_.points[place].axes;
    outline.resolved_config = order_.points[place].resolved_yaml;
    finished_[place] = std::move(outline);
  }

  void finish(std::size_t place, PointOutline outline, const std::optional<std::string>& not_stored) {
    keep(place, std::move(outline));
    ++finished_now_;
    if (not_stored) {
      not_stored_.insert(place);
      tell({sweep::kSystemExit, *not_stored});
    }
  }

  void fail(std::size_t place, const Failure& failure) {
    const bool alone = order_.points.size() == 1;
    tell({failure.exit_code,
          alone ? failure.text : fmt::format("{}: {}", order_.points[place].point, failure.text)});
  }

  void tell_failure(const std::optional<SystemError>& failure) {
    if (failure) {
      tell({sweep::kSystemExit, failure->what()});
    }
  }

  /// Of several failures the gravest says how the program exits.
  void tell(const Failure& failure) {
    cli::say("{}\n", failure.text);
    exit_code_ = std::max(exit_code_, failure.exit_code);
  }

  /// What is finished, in order; `stored`: and has its record.
  std::vector<PointOutline> outlines(bool stored) const {
    std::vector<PointOutline> points;
    for (const std::size_t place : places_) {
      const std::optional<PointOutline>& point = finished_[place];
      if (point && !(stored && not_stored_.contains(place))) {
        points.push_back(*point);
      }
    }
    return points;
  }

  void write_to(const fs::path& out) {
    const std::vector<PointOutline> points = outlines(true);
    if (points.empty()) {
      return;
    }
    if (points.size() < places_.size() && points_in(out) >= points.size()) {
      cli::say("{} stays as it was: it has no fewer points\n", out.string());
      return;
    }
    const auto failure = cli::attempt_to_write([&] { write(out, points); });
    tell_failure(failure);
    if (!failure && !options_.store && points.size() == places_.size()) {
      std::ranges::for_each(places_, [this](std::size_t place) { store_->remove(keys_[place]); });
    }
  }

  void write(const fs::path& out, std::span<const PointOutline> points) {
    Provenance provenance = provenance_;
    traces_.describe(provenance);
    const LoadPoint load = [&](std::size_t index) {
      return store_->values(keys_[static_cast<std::size_t>(points[index].number)]);
    };
    write_results(out, points, load, std::ssize(order_.points), provenance);
  }

  const RunOptions& options_;
  sweep::TraceFiles traces_;
  Order order_;
  bool quiet_;
  Provenance provenance_;
  std::vector<std::size_t> places_;                    ///< of the points that are asked for
  std::vector<std::string> keys_;                      ///< of all points, where there is a store
  std::unique_ptr<Store> store_;                       ///< null without results to write
  std::vector<std::optional<PointOutline>> finished_;  ///< of all points
  std::size_t finished_now_ = 0;                       ///< by this run
  std::set<std::size_t> not_stored_;
  int exit_code_ = 0;
};

}  // namespace

int run_run_command(std::span<const std::string> args, bool quiet) {
  const std::optional<RunOptions> options = cli::parse_run_options(args);
  if (!options) {
    return 0;
  }
  Run run(*options, quiet);
  try {
    run.replay_all();
  } catch (const cli::Interrupted&) {
    run.write();
    run.tell_of_interruption();
    run.print();
    std::fflush(stdout);
    throw;
  }
  run.write();
  run.print();
  return run.exit_code();
}

}  // namespace kvr
