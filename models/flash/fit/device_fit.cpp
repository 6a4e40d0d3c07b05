#include "models/flash/fit/device_fit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <string>
#include <utility>

#include "models/flash/fit/closed_fit.hpp"
#include "models/flash/fit/consistent.hpp"
#include "models/flash/fit/event_fit.hpp"
#include "models/flash/fit/other_rows.hpp"
#include "models/flash/fit/predict.hpp"
#include "models/flash/fit/service_fit.hpp"
#include "sim/base/error.hpp"
#include "sim/base/param_text.hpp"

namespace kvr::flash::fit {
namespace {

constexpr std::int64_t kReportRequests = 4000;
constexpr std::size_t kSizesForStripe = 3;
constexpr std::int64_t kMostStarts = 7;
constexpr std::array<std::int64_t, 8> kWideReads = {0, 1, 2, 3, 4, 6, 8, 16};
constexpr std::array<std::int64_t, 4> kStripes = {16'384, 32'768, 65'536, 131'072};
constexpr std::int64_t kLargestStripe = 4'194'304;  // the parameter table's

std::vector<Row> rows_for(const std::vector<JudgedRow>& rows, Use use) {
  std::vector<Row> chosen;
  for (const JudgedRow& judged : rows) {
    if (judged.use == use) {
      chosen.push_back(judged.row);
    }
  }
  return chosen;
}

void require_rows(const std::vector<JudgedRow>& rows, const std::vector<Row>& reads) {
  if (!reads.empty()) {
    return;
  }
  std::vector<std::string> problems = {"no reads of one queue are left to fit"};
  for (const JudgedRow& judged : rows) {
    if (judged.use == Use::rejected) {
      problems.push_back(fmt::format("{}: rejected: {}", judged.row.place, judged.why));
    }
  }
  throw InputError(std::move(problems));
}

/// A set of parameters on trial.
struct Attempt {
  Model model;
  DeviceParams centre;
  double cost = 0.0;  ///< mean squares of both fidelities' log errors, summed
};

class DeviceFit {
 public:
  DeviceFit(const std::vector<Row>& reads, const FitOptions& options)
      : reads_(reads),
        options_(options),
        event_(reads, options.seed, options.link_bytes_per_s.has_value(), [this] { note_progress(); }) {}

  /// Every stripe and number of dies, briefly; the two best at length; the best of them to the end.
  Model run() {
    std::vector<Attempt> attempts;
    for (const std::int64_t stripe : stripes()) {
      const Model closed = closed_with(stripe);
      DeviceParams centre = closed.device;
      centre.stripe = options_.base.stripe;
      for (const DeviceParams& start : event_.starts(closed.device)) {
        attempts.push_back(improve({closed, centre, 0.0}, start, kScout));
      }
    }
    std::ranges::stable_sort(attempts, {}, &Attempt::cost);
    attempts.resize(std::min<std::size_t>(attempts.size(), 2));
    for (Attempt& attempt : attempts) {
      attempt = improve(attempt, attempt.model.device, kRefine);
    }
    Attempt& best = *std::ranges::min_element(attempts, {}, &Attempt::cost);
    best = with_best_wide_reads(std::move(best));
    best = improve(best, event_.with_best_transfer(best.model.device), kPolish);
    name(best.model);
    return std::move(best.model);
  }

 private:
  /// Searches may end early, and a last step of theirs may take a little longer.
  void note_progress() {
    const auto scouts = static_cast<std::int64_t>(stripes().size()) * kMostStarts;
    constexpr std::int64_t kTransferTrials = 5;
    const std::int64_t wide = shows_wide_reads() ? std::ssize(kWideReads) * kScout.evaluations : 0;
    const std::int64_t total =
        scouts * kScout.evaluations + 2 * kRefine.evaluations + wide + kTransferTrials + kPolish.evaluations;
    options_.progress(std::min(++simulations_, total), total);
  }

  bool shows_stripe() const { return deep_sizes(reads_).size() >= kSizesForStripe; }

  std::vector<std::int64_t> stripes() const {
    if (shows_stripe()) {
      return {kStripes.begin(), kStripes.end()};
    }
    return {options_.base.stripe};
  }

  /// A stripe that is too small for what was measured is doubled until it is not.
  Model closed_with(std::int64_t stripe) const {
    DeviceParams base = options_.base;
    const bool of_threads = std::ranges::any_of(reads_, [](const Row& row) { return row.threads > 1; });
    base.contention = of_threads ? 0.0 : base.contention;
    for (base.stripe = stripe;; base.stripe *= 2) {
      Model model = fit_closed(reads_, base);
      const DeviceParams& d = model.device;
      if (d.read_bandwidth * d.hit_time <= static_cast<double>(d.stripe) || base.stripe >= kLargestStripe) {
        start_event_parameters(base, options_.link_bytes_per_s, model);
        return model;
      }
    }
  }

  Attempt improve(Attempt attempt, const DeviceParams& start, const Effort& effort) const {
    auto [device, cost] = event_.search(start, attempt.centre, effort, has_ranges(attempt.model));
    attempt.model.device = std::move(device);
    attempt.model.device.map_latency = map_latency_s(attempt.model.device);
    refit_closed(reads_, attempt.centre, attempt.model);
    settle(attempt.model.device);
    attempt.cost = cost + closed_square(reads_, attempt.model.device);
    return attempt;
  }

  bool shows_wide_reads() const {
    return std::ranges::any_of(reads_, [&](const Row& row) {
      return row.outstanding() > 1 && !row.sequential && row.bytes > options_.base.wide_above;
    });
  }

  /// Few rows are explained a little better by any number, and far worse beyond them: another than the base's
  /// must halve the cost.
  Attempt with_best_wide_reads(Attempt best) const {
    constexpr double kGain = 0.5;
    if (!shows_wide_reads()) {
      return best;
    }
    std::vector<Attempt> others;
    for (const std::int64_t wide : kWideReads) {
      if (wide != best.model.device.wide_reads) {
        DeviceParams start = best.model.device;
        start.wide_reads = wide;
        others.push_back(improve(best, start, kScout));
      }
    }
    const Attempt& other = *std::ranges::min_element(others, {}, &Attempt::cost);
    return other.cost < kGain * best.cost ? improve(other, other.model.device, kRefine) : best;
  }

  static bool has_ranges(const Model& model) {
    const auto coverage = model.findings.find("map_coverage");
    return coverage != model.findings.end() && coverage->second.origin == Origin::fitted;
  }

  void name(Model& model) const {
    const std::string how = "simulation of all fitted rows";
    model.found("fit_host_wake", "the latency at depth 1 less what the device takes of it");
    for (const auto& [parameter, shown] : event_.shown(model.device, has_ranges(model))) {
      if (shown) {
        model.found(parameter, how);
      } else {
        model.keep(parameter, "nearly; the rows hardly show it: 25 % more or less costs them nothing");
      }
    }
    for (const char* parameter : {"channels", "dies_per_channel"}) {
      if (event_.shows_dies(model.device, has_ranges(model))) {
        model.found(parameter, how);
      } else {
        model.assume(parameter,
                     "the rows hardly tell twice or half as many dies, each as much slower or faster");
      }
    }
    if (shows_stripe()) {
      model.found("stripe", "both fidelities over all sizes");
    } else {
      model.keep("stripe", "no size between the smallest and the largest at depth");
    }
    if (model.device.wide_reads != options_.base.wide_reads) {
      model.found("wide_reads", "both fidelities over all sizes");
    } else {
      model.keep("wide_reads", "no other number halves the mean square of the errors");
    }
    if (event_.shows(model.device.max_transfer)) {
      model.found("max_transfer", how);
    } else {
      model.keep("max_transfer", "no row is longer than it");
    }
  }

  const std::vector<Row>& reads_;
  const FitOptions& options_;
  EventFit event_;
  std::int64_t simulations_ = 0;
};

/// Synchronous threads stand for a depth, so they are fitted without contention. Where there are reads of
/// several threads with a queue each, they show it, and the synchronous ones with them.
void settle_contention(const std::vector<Row>& reads, std::vector<Row> several, Model& model) {
  const auto is_of_threads = [](const Row& row) { return row.threads > 1; };
  if (several.empty() && std::ranges::any_of(reads, is_of_threads)) {
    model.assume("contention", "synchronous threads stand for a depth, which shows no difference of theirs");
    return;
  }
  if (!several.empty()) {
    std::ranges::copy_if(reads, std::back_inserter(several), is_of_threads);
  }
  fit_contention(several, model);
}

/// A part far from anything the parameters were made for gives values outside the table's ranges; its rows
/// are named.
void require_valid(const DeviceParams& device, const std::vector<Row>& reads) {
  std::vector<std::string> problems = check(device);
  for (const Param<DeviceParams>& param : device_param_table()) {
    const ParamSpec& spec = param.spec();
    const Value value = param.get(device);
    const double* real = std::get_if<double>(&value);
    const bool unlimited = spec.info.unlimited && real != nullptr && std::isinf(*real);
    if (real != nullptr && !unlimited &&
        (*real < spec.info.min || *real > spec.info.max || (spec.info.above_min && *real == spec.info.min))) {
      problems.push_back(
          fmt::format("{}: {}; allowed: {}", spec.name, format_value(value, spec), describe_allowed(spec)));
    }
  }
  for (std::string& problem : problems) {
    problem = fmt::format("the fit describes no device: {}", problem);
  }
  if (!problems.empty()) {
    const auto [slowest, fastest] = std::ranges::minmax_element(reads, {}, &Row::requests_per_s);
    problems.push_back(
        fmt::format("the slowest row fitted is {} with {:.4g} reads/s, the fastest {} with {:.4g}",
                    slowest->place, slowest->requests_per_s, fastest->place, fastest->requests_per_s));
    throw InputError(std::move(problems));
  }
}

}  // namespace

ErrorSummary FitResult::errors(Use use, bool event) const {
  ErrorSummary summary;
  double squares = 0.0;
  std::vector<double> magnitudes;
  for (const JudgedRow& judged : rows) {
    const double predicted = event ? judged.event : judged.closed;
    if (judged.use != use || predicted == 0.0) {
      continue;
    }
    const double error = predicted / judged.row.requests_per_s - 1.0;
    magnitudes.push_back(std::abs(error));
    squares += error * error;
    summary.worst = std::abs(error) > std::abs(summary.worst) ? error : summary.worst;
  }
  if (!magnitudes.empty()) {
    summary.rows = std::ssize(magnitudes);
    summary.rms = std::sqrt(squares / static_cast<double>(summary.rows));
    const auto middle = magnitudes.begin() + summary.rows / 2;
    std::ranges::nth_element(magnitudes, middle);
    summary.median = *middle;
  }
  return summary;
}

bool FitResult::accepted(Use use, bool event) const {
  const ErrorSummary judged = errors(use, event);
  return judged.rms <= kAcceptedRms && std::abs(judged.worst) <= kAcceptedWorst;
}

bool FitResult::accepted() const {
  return std::ranges::all_of(kJudgedUses,
                             [this](Use use) { return accepted(use, false) && accepted(use, true); });
}

FitResult fit_device(std::vector<Row> rows, const FitOptions& options) {
  FitResult result;
  result.rows = judge(std::move(rows), options.base.block, options.holdout);
  const std::vector<Row> reads = rows_for(result.rows, Use::fitted);
  require_rows(result.rows, reads);
  result.model = DeviceFit(reads, options).run();
  settle_contention(reads, rows_for(result.rows, Use::threads), result.model);
  fit_writes(rows_for(result.rows, Use::writes), result.model);
  finish(result.model);
  require_valid(result.model.device, reads);
  for (JudgedRow& judged : result.rows) {
    if (fault_of_load(judged.row, options.base.block).empty()) {
      judged.closed = predict_closed(result.model.device, judged.row);
      judged.event = predict_event(result.model.device, judged.row, kReportRequests, options.seed);
    }
  }
  return result;
}

}  // namespace kvr::flash::fit
