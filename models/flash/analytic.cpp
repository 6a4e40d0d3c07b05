// A flash device by closed formulas (analytic_model.hpp), a batch at a time:
//
//   batch = requests of one submit() with the same submit_s; its reads are served first, then its writes
//   start = max(submit_s, end of the batch before)             batches do not overlap, in order of submission
//   the idle time before start lets the SLC pool recover
//   reads:  first done = start + L(first command), last done = start + T(batch); those between at the share
//           of the service (sum of S) that lies between, in order
//   writes: fill = host + firmware + link time of the command;  S = max(SLC pool, link, host, firmware)
//           done_i = start + stretch * (fill + sum of S up to i);  T = max(fill + sum S, ceil(N/D) * (fill +
//           S mean))
//
// A write is done when the controller has taken it. Since batches exclude each other in time, reads already
// wait for writes; there is no further interference term. Sequential streams are not recognised: every
// command looks its mapping up at the hit share of the working set.
#include <algorithm>
#include <bit>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "models/flash/analytic_model.hpp"
#include "models/flash/device_energy.hpp"
#include "models/flash/device_figures.hpp"
#include "models/flash/device_params.hpp"
#include "models/flash/slc_pool.hpp"
#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/flash_device.hpp"

namespace kvr::flash {
namespace {

class Analytic final : public FlashDevice {
 public:
  static constexpr std::string_view kName = "analytic";
  static constexpr std::string_view kDoc =
      "Closed formulas: service and latency of a read over its size, mapping coverage and host cost.";
  static constexpr std::string_view kSource = "ours; fitted to published measurements, see configs/devices";

  using Params = DeviceParams;
  static ParamTable<Params> params() { return device_param_table(); }
  static std::vector<IdleParam> idle(const Params& params) {
    return idle_params(
        params, kName,
        {"duplex", "command_delay", "read_time", "read_time_spread", "cache_read", "map_read_time", "mapping",
         "slc_program_time", "tlc_program_time", "erase_block", "erase_time", "program_suspend_time",
         "erase_suspend_time", "write_buffer", "contention_window", "queue_round"});
  }

  Analytic(Params params, const Context& context)
      : path_(read_path(std::move(params), context.host, 0.0)), slc_(path_.device) {
    require_sound(path_.device);
    KVR_CHECK(path_.host.threads > 0, "{} threads submit", path_.host.threads);
    block_bits_ = std::countr_zero(static_cast<std::uint64_t>(path_.device.block));
    tabulate();
  }

  std::vector<IdleParam> idle_with_host() const override {
    return path_.host.threads > 1 ? std::vector<IdleParam>{}
                                  : idle_with_one_thread({"hw_queues", "contention", "contention_scope"});
  }

  DeviceLimits limits() const override {
    const DeviceParams& d = path_.device;
    return {d.queue_depth, d.block, d.max_transfer, d.link};
  }

  void set_working_set(std::int64_t bytes) override {
    KVR_CHECK(bytes >= 0, "a working set of {} B", bytes);
    path_.map_hits = map_hit_share(path_.device, static_cast<double>(bytes));
    tabulate();
  }

  void submit(std::span<const IoRequest> requests) override {
    while (!requests.empty()) {
      const double at_s = requests.front().submit_s;
      const auto end = std::find_if(requests.begin(), requests.end(),
                                    [at_s](const IoRequest& request) { return request.submit_s != at_s; });
      const auto length = static_cast<std::size_t>(end - requests.begin());
      serve(requests.first(length), at_s);
      requests = requests.subspan(length);
    }
  }

  double next_event_s() override {
    return delivered_ == pending_.size() ? std::numeric_limits<double>::infinity()
                                         : pending_[delivered_].done_s;
  }

  void advance(double to_s, std::vector<IoDone>& done) override {
    KVR_CHECK(to_s >= now_s_, "time goes back from {} s to {} s", now_s_, to_s);
    now_s_ = to_s;
    const auto begin = pending_.begin() + static_cast<std::ptrdiff_t>(delivered_);
    const auto end = std::upper_bound(begin, pending_.end(), to_s,
                                      [](double time_s, const IoDone& io) { return time_s < io.done_s; });
    done.insert(done.end(), begin, end);
    delivered_ = static_cast<std::size_t>(end - pending_.begin());
    // Under constant load some are never delivered yet: what was is dropped before it outgrows the rest.
    if (delivered_ > pending_.size() / 2) {
      pending_.erase(pending_.begin(), end);
      delivered_ = 0;
    }
  }

  /// Counts what was submitted, delivered or not.
  DeviceStats stats() const override {
    DeviceStats stats = stats_;
    stats.slc_bytes = slc_.slc_bytes();
    stats.tlc_bytes = slc_.tlc_bytes();
    stats.folded_bytes = slc_.folded_bytes();
    // Nothing here tells the time integral from the sum that Little's law equates it with.
    stats.outstanding_s = stats.response_s;
    return stats;
  }
  DeviceEnergy energy(double at_s) const override { return energy_of(path_.device, stats(), at_s); }
  static std::vector<FigureInfo> figures() { return array_figures(); }
  void report(Report& report) const override { report_array(stats(), report); }

 private:
  /// One kind's requests of a batch, in order.
  struct Sequence {
    double submit_s;
    double start_s;
    std::size_t first;  ///< of its requests in pending_
  };

  void serve(std::span<const IoRequest> batch, double submit_s) {
    KVR_CHECK(submit_s >= now_s_, "submitted at {} s, after {} s", submit_s, now_s_);
    const double start_s = std::max(submit_s, free_s_);
    slc_.idle(start_s - free_s_);
    free_s_ = serve_reads(batch, start_s);
    free_s_ = serve_writes(batch, free_s_);
    stats_.busy_s += free_s_ - start_s;
  }

  /// Adds the requests of `kind` with done_s = the service up to and including each, the first command's not
  /// counted: `take` adds one command and returns its service time.
  template <class Take>
  Sequence collect(std::span<const IoRequest> batch, IoKind kind, double start_s, Take take) {
    const Sequence sequence{batch.front().submit_s, start_s, pending_.size()};
    double served_s = 0.0;
    bool is_first = true;
    for (const IoRequest& request : batch) {
      if (request.kind != kind) {
        continue;
      }
      check_request(request);
      for (std::int64_t left = request.length_bytes; left > 0; left -= path_.device.max_transfer) {
        const std::int64_t bytes = std::min(left, path_.device.max_transfer);
        const double service_s = take(bytes);
        stats_.commands += 1;
        stats_.host_busy_s += path_.host.command_s(static_cast<double>(bytes));
        served_s += is_first ? 0.0 : service_s;
        is_first = false;
      }
      pending_.push_back({.id = request.id, .done_s = served_s});
    }
    return sequence;
  }

  double serve_reads(std::span<const IoRequest> batch, double start_s) {
    ReadBatch reads;
    std::int64_t first_bytes = 0;
    const Sequence sequence = collect(batch, IoKind::read, start_s, [&](std::int64_t bytes) {
      const double service_s = service_of(bytes);
      first_bytes = reads.commands == 0 ? bytes : first_bytes;
      reads.commands += 1;
      reads.bytes += static_cast<double>(bytes);
      reads.service_s += service_s;
      reads.largest_bytes = std::max(reads.largest_bytes, static_cast<double>(bytes));
      stats_.sensed_bytes += sensed_bytes(path_.device, static_cast<double>(bytes));
      return service_s;
    });
    if (reads.commands == 0) {
      return start_s;
    }
    stats_.reads += static_cast<std::int64_t>(pending_.size() - sequence.first);
    stats_.map_misses += (1.0 - path_.map_hits) * static_cast<double>(reads.commands);
    stats_.read_bytes += static_cast<std::int64_t>(reads.bytes);
    return spread(sequence, latency_s(path_, static_cast<double>(first_bytes)), batch_s(path_, reads));
  }

  double serve_writes(std::span<const IoRequest> batch, double start_s) {
    std::int64_t commands = 0;
    double bytes_in = 0.0;
    double service_s = 0.0;
    double first_s = 0.0;
    const Sequence sequence = collect(batch, IoKind::write, start_s, [&](std::int64_t bytes) {
      const auto size = static_cast<double>(bytes);
      const double one_s = write_service_s(path_.device, path_.host, size, slc_.write_s(size));
      first_s = commands == 0 ? one_s : first_s;
      commands += 1;
      bytes_in += static_cast<double>(bytes);
      service_s += one_s;
      return one_s;
    });
    if (commands == 0) {
      return start_s;
    }
    stats_.writes += static_cast<std::int64_t>(pending_.size() - sequence.first);
    stats_.written_bytes += static_cast<std::int64_t>(bytes_in);
    const auto count = static_cast<double>(commands);
    const double fill_s = write_fill_s(path_.device, path_.host, bytes_in / count);
    const std::int64_t depth = path_.device.queue_depth;
    const std::int64_t rounds = (commands + depth - 1) / depth;
    const double alone_s = fill_s + service_s / count;
    const double total_s = std::max(fill_s + service_s, static_cast<double>(rounds) * alone_s);
    return spread(sequence, fill_s + first_s, total_s);
  }

  /// Turns the service counted by `collect` into times: the first command done after `first_s`, the last
  /// after `total_s`. A request is taken up when the one `queue_depth` before it is done. Returns the end.
  double spread(const Sequence& sequence, double first_s, double total_s) {
    const std::span<IoDone> ios(pending_.begin() + static_cast<std::ptrdiff_t>(sequence.first),
                                pending_.end());
    const double served_s = ios.back().done_s;
    const double stretch = served_s > 0.0 ? (total_s - first_s) / served_s : 0.0;
    const auto depth = static_cast<std::size_t>(path_.device.queue_depth);
    bool ordered = true;
    for (std::size_t i = 0; i < ios.size(); ++i) {
      ios[i].done_s = sequence.start_s + (first_s + stretch * ios[i].done_s);
      ios[i].start_s = i < depth ? sequence.start_s : ios[i - depth].done_s;
      ios[i].device_s = std::max(ios[i].start_s, ios[i].done_s - path_.host.wake_s);
      stats_.response_s += ios[i].done_s - sequence.submit_s;
      ordered = ordered && (i == 0 || before(ios[i - 1], ios[i]));
    }
    if (!ordered) {
      std::sort(ios.begin(), ios.end(), before);
    }
    return ios.back().done_s;
  }

  static bool before(const IoDone& a, const IoDone& b) {
    return a.done_s < b.done_s || (a.done_s == b.done_s && a.id < b.id);
  }

  void check_request(const IoRequest& request) const {
    const std::int64_t within = path_.device.block - 1;
    KVR_CHECK(request.length_bytes > 0 && request.offset_bytes >= 0 &&
                  ((request.length_bytes | request.offset_bytes) & within) == 0,
              "request {} reads {} B at {}, but blocks are {} B", request.id, request.length_bytes,
              request.offset_bytes, path_.device.block);
  }

  /// S of every size a command can have, because a power for each request would dominate.
  void tabulate() {
    const std::int64_t blocks = path_.device.max_transfer >> block_bits_;
    services_s_.resize(static_cast<std::size_t>(blocks));
    for (std::int64_t i = 0; i < blocks; ++i) {
      services_s_[static_cast<std::size_t>(i)] =
          service_s(path_, static_cast<double>((i + 1) << block_bits_));
    }
  }

  double service_of(std::int64_t bytes) const {
    return services_s_[static_cast<std::size_t>((bytes >> block_bits_) - 1)];
  }

  ReadPath path_;
  SlcPool slc_;
  int block_bits_ = 0;
  std::vector<double> services_s_;  ///< [blocks of a command - 1]
  std::vector<IoDone> pending_;     ///< by time, ties by id
  std::size_t delivered_ = 0;       ///< of pending_
  double now_s_ = 0.0;
  double free_s_ = 0.0;  ///< end of the last batch
  DeviceStats stats_;
};

const Registration<FlashDevice, Analytic> registered;

}  // namespace
}  // namespace kvr::flash
