// A flash device by discrete events. A request goes through these stages; what is in brackets keeps something
// busy, the rest is delay:
//
//   arrive    split at max_transfer into commands
//   submit    [thread]: half the host's time for a command and all of its time for the bytes; takes a slot
//   contend   [queue lock], only when several threads share one queue and another one submitted within
//             contention_window, or waits for its turn: a command goes on once it has the lock, which is free
//             again after (1 + contention) * the time of a saturated one-block read; it limits throughput,
//             not latency with queue_round, a thread with commands to spare keeps the queue for its share of
//             the round (queueing/host_side.hpp)
//   firmware  [firmware server]: firmware_time, then command_delay
//   wide      [wide_reads], only if they are bounded and the command reads more than wide_above: from here
//   until
//             its data have crossed the link
//   reads     mapping: a miss reads a page, [die]: map_read_time, [channel]: one block
//             fragments, cut at stripes: [die]: read_time, [channel], [link] from the first 16 KiB on
//   writes    [link, the reads' own one if half duplex], then the write buffer (queueing/write_path.hpp)
//   device    done: the slot is free
//   complete  [thread]: the other half, then wake_s until the thread that asked runs
//
// Everything is first come, first served, but at the dies (queueing/flash_array.hpp) and for threads, which
// prefer completions. Events are handled in order of time, ties by order of scheduling; the only randomness
// is hashes of addresses and, if read_time_spread is set, the sensing times. Written data are not looked for
// in the write buffer, and a command looks up the mapping page of its first byte only. The device reads
// nothing ahead, so short sequential reads one by one are slower than on a real part.
#include <algorithm>
#include <deque>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "models/flash/analytic_model.hpp"
#include "models/flash/device_energy.hpp"
#include "models/flash/device_figures.hpp"
#include "models/flash/device_params.hpp"
#include "models/flash/queueing/event_heap.hpp"
#include "models/flash/queueing/flash_array.hpp"
#include "models/flash/queueing/host_side.hpp"
#include "models/flash/queueing/mapping.hpp"
#include "models/flash/queueing/outstanding.hpp"
#include "models/flash/queueing/placement.hpp"
#include "models/flash/queueing/pool.hpp"
#include "models/flash/queueing/servers.hpp"
#include "models/flash/queueing/wide_reads.hpp"
#include "models/flash/queueing/write_path.hpp"
#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/flash_device.hpp"

namespace kvr::flash {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

struct Request {
  std::uint64_t id;
  std::uint32_t commands_left;
  bool started;
  double submit_s;
  double start_s;
  double device_s;
};

struct Command {
  std::uint32_t request;
  std::uint16_t thread;
  IoKind kind;
  std::int64_t offset_bytes;
  std::int64_t length_bytes;
  std::uint64_t batch;
  std::uint32_t fragments_left;
  double data_end_s;  ///< on the link, of the fragments so far
};

class Queueing final : public FlashDevice, private ArrayListener {
 public:
  static constexpr std::string_view kName = "queueing";
  static constexpr std::string_view kDoc =
      "Discrete events: host threads, queue slots, firmware, mapping, dies, channels, link, write buffer.";
  static constexpr std::string_view kSource = "ours; held to the measurements named in configs/devices";

  using Params = DeviceParams;
  static ParamTable<Params> params() { return device_param_table(); }
  static std::vector<IdleParam> idle(const Params& params) {
    std::vector<IdleParam> idle =
        idle_params(params, kName,
                    {"latency", "latency_bandwidth", "map_latency", "fit_host_command", "fit_host_per_kib",
                     "fit_host_wake", "contention_scope", "fit_dies", "fit_read_bandwidth"});
    if (params.hw_queues > 1) {
      for (const char* name : {"hit_time", "miss_time", "read_bandwidth", "smoothing", "contention_window"}) {
        idle.push_back({name, "threads contend for one queue, and hw_queues is more"});
      }
    }
    return idle;
  }

  static std::vector<FigureInfo> figures() {
    std::vector<FigureInfo> figures = array_figures();
    const auto add = [&figures](const char* name, const char* meaning, const char* formula) {
      figures.push_back({name, "s", meaning, formula, FigureDims::step, FigureKind::total});
    };
    add("outstanding_s", "time that requests are outstanding", "sum over requests; over io_s: their number");
    add("host_wait_s", "time that commands wait for their thread", kWait);
    add("firmware_wait_s", "time that commands wait for the firmware", kWait);
    add("die_wait_s", "time that sensing and programming wait for a die", kWait);
    add("channel_wait_s", "time that data wait for their channel", kWait);
    add("link_wait_s", "time that data wait for the link", kWait);
    return figures;
  }

  Queueing(Params params, const Context& context)
      : device_((require_sound(params), std::move(params))),
        host_(context.host),
        placement_(device_, context.root_seed),
        mapping_(device_, context.root_seed),
        threads_(host_.threads, device_.hw_queues, device_.queue_depth,
                 device_.queue_round / static_cast<double>(host_.threads), host_, events_),
        wide_(device_),
        lock_("queue_lock", 1),
        firmware_("firmware", device_.firmware_servers),
        link_(device_.duplex == "half" ? "link" : "link_out", 1),
        link_in_("link_in", 1),
        array_(device_, context.root_seed, events_, *this),
        writes_(device_, events_, array_),
        link_bytes_per_s_(device_.link * device_.thermal_factor()) {
    KVR_CHECK(host_.threads > 0 && host_.threads <= std::numeric_limits<std::uint16_t>::max(),
              "{} threads submit", host_.threads);
    set_working_set(0);
  }

  std::vector<IdleParam> idle_with_host() const override {
    if (host_.threads > 1) {
      return {};
    }
    return device_.hw_queues > 1
               ? idle_with_one_thread({"hw_queues", "queue_round", "contention"})
               : idle_with_one_thread({"hw_queues", "queue_round", "contention", "contention_window",
                                       "hit_time", "miss_time", "read_bandwidth", "smoothing"});
  }

  DeviceLimits limits() const override {
    return {device_.queue_depth, device_.block, device_.max_transfer, device_.link};
  }

  void set_working_set(std::int64_t bytes) override {
    KVR_CHECK(bytes >= 0, "a working set of {} B", bytes);
    mapping_.set_working_set(static_cast<double>(bytes));
    ReadPath one_thread = read_path(device_, host_, static_cast<double>(bytes));
    one_thread.host.threads = 1;
    lock_s_ = (1.0 + device_.contention) * service_s(one_thread, static_cast<double>(device_.block));
  }

  void submit(std::span<const IoRequest> requests) override {
    for (const IoRequest& request : requests) {
      check_request(request);
      if (request.submit_s != last_submit_s_) {
        last_submit_s_ = request.submit_s;
        ++batch_;
      }
      arrivals_.push_back({request, batch_});
    }
  }

  bool serves_batches_together() const override { return true; }

  double next_event_s() override { return next_event_up_to_s(kNever); }

  double next_event_up_to_s(double limit_s) override {
    while (delivered_ == done_.size() && (!arrivals_.empty() || outstanding_.count() > 0) &&
           next_s() <= limit_s) {
      handle_next();
    }
    return delivered_ == done_.size() ? kNever : done_[delivered_].done_s;
  }

  void advance(double to_s, std::vector<IoDone>& done) override {
    KVR_CHECK(to_s >= advanced_s_, "time goes back from {} s to {} s", advanced_s_, to_s);
    advanced_s_ = to_s;
    while (next_s() <= to_s && next_s() < kNever) {
      handle_next();
    }
    const auto begin = done_.begin() + static_cast<std::ptrdiff_t>(delivered_);
    const auto end = std::find_if(begin, done_.end(), [to_s](const IoDone& io) { return io.done_s > to_s; });
    std::sort(begin, end, [](const IoDone& a, const IoDone& b) {
      return a.done_s < b.done_s || (a.done_s == b.done_s && a.id < b.id);
    });
    done.insert(done.end(), begin, end);
    delivered_ = static_cast<std::size_t>(end - done_.begin());
    // Under constant load some are never delivered yet: what was is dropped before it outgrows the rest.
    if (delivered_ > done_.size() / 2) {
      done_.erase(done_.begin(), end);
      delivered_ = 0;
    }
  }

  DeviceStats stats() const override {
    DeviceStats stats = stats_;
    stats.slc_bytes = writes_.pool().slc_bytes();
    stats.tlc_bytes = writes_.pool().tlc_bytes();
    stats.folded_bytes = writes_.pool().folded_bytes();
    stats.busy_s = outstanding_.busy_s(now_s_);
    stats.outstanding_s = outstanding_.integral_s(now_s_);
    stats.host_busy_s = threads_.stats().busy_s;
    stats.resources = {threads_.stats(),   threads_.slot_stats(now_s_), lock_.stats(), firmware_.stats(),
                       array_.die_stats(), array_.channel_stats(),      link_.stats()};
    if (device_.duplex == "full") {
      stats.resources.push_back(link_in_.stats());
    }
    if (wide_.bounded()) {
      stats.resources.push_back(wide_.stats(now_s_));
    }
    return stats;
  }

  DeviceEnergy energy(double at_s) const override { return energy_of(device_, stats(), at_s); }

  void report(Report& report) const override {
    const DeviceStats now = stats();
    report_array(now, report);
    report.add("outstanding_s", now.outstanding_s);
    report.add("host_wait_s", threads_.stats().waited_s);
    report.add("firmware_wait_s", firmware_.stats().waited_s);
    report.add("die_wait_s", array_.die_stats().waited_s);
    report.add("channel_wait_s", array_.channel_stats().waited_s);
    report.add("link_wait_s", link_.stats().waited_s + link_in_.stats().waited_s);
  }

 private:
  static constexpr const char* kWait = "sum over operations of the time between arrival and start";

  struct Arrival {
    IoRequest request;
    std::uint64_t batch;
  };

  double next_s() const {
    const double arrival_s = arrivals_.empty() ? kNever : arrivals_.front().request.submit_s;
    return events_.empty() ? arrival_s : std::min(arrival_s, events_.top().time_s);
  }

  void handle_next() {
    if (!arrivals_.empty() &&
        (events_.empty() || arrivals_.front().request.submit_s <= events_.top().time_s)) {
      const Arrival arrival = arrivals_.front();
      arrivals_.pop_front();
      now_s_ = arrival.request.submit_s;
      arrive(arrival);
    } else {
      const Event event = events_.pop();
      now_s_ = event.time_s;
      handle(event);
    }
  }

  void handle(const Event& event) {
    switch (event.kind) {
      case EventKind::host_done:
        return on_host_done(static_cast<std::uint16_t>(event.subject));
      case EventKind::locked:
        return to_firmware(event.subject);
      case EventKind::firmware_done:
        return on_firmware_done(event.subject);
      case EventKind::written_in:
        return on_written_in(event.subject);
      case EventKind::device_done:
        return on_device_done(event.subject);
      case EventKind::drain:
        return writes_.drain(now_s_);
      case EventKind::rest:
        return on_rest(event.subject);
      default:
        return array_.handle(event);
    }
  }

  void check_request(const IoRequest& request) const {
    const std::int64_t within = device_.block - 1;
    KVR_CHECK(request.length_bytes > 0 && request.offset_bytes >= 0 &&
                  ((request.length_bytes | request.offset_bytes) & within) == 0,
              "request {} has {} B at {}, but blocks are {} B", request.id, request.length_bytes,
              request.offset_bytes, device_.block);
    const double reached_s = std::max({last_submit_s_, now_s_, advanced_s_});
    KVR_CHECK(request.submit_s >= reached_s, "request {} is submitted at {} s, after {} s", request.id,
              request.submit_s, reached_s);
  }

  void arrive(const Arrival& arrival) {
    const IoRequest& io = arrival.request;
    ++rest_;
    outstanding_.begin(now_s_);
    const bool is_read = io.kind == IoKind::read;
    ++(is_read ? stats_.reads : stats_.writes);
    (is_read ? stats_.read_bytes : stats_.written_bytes) += io.length_bytes;
    const auto commands =
        static_cast<std::uint32_t>((io.length_bytes + device_.max_transfer - 1) / device_.max_transfer);
    stats_.commands += commands;
    const std::uint32_t request = requests_.take({io.id, commands, false, io.submit_s, 0.0, 0.0});
    for (std::int64_t at = 0; at < io.length_bytes; at += device_.max_transfer) {
      const std::int64_t length = std::min(device_.max_transfer, io.length_bytes - at);
      const std::uint32_t command =
          commands_.take({request, io.thread, io.kind, io.offset_bytes + at, length, arrival.batch, 0, 0.0});
      threads_.submit(now_s_, command, io.thread,
                      fixed_host_s() / 2.0 + host_.per_byte_s * static_cast<double>(length));
    }
  }

  double fixed_host_s() const { return host_.command_s(0.0); }

  void on_host_done(std::uint16_t thread) {
    const HostSide::Finished finished = threads_.finish(now_s_, thread);
    Command& command = commands_[finished.command];
    Request& request = requests_[command.request];
    if (finished.is_submission) {
      if (!request.started) {
        request.started = true;
        request.start_s = finished.start_s;
      }
      if (contends(thread)) {
        events_.schedule(lock_.reserve(now_s_, lock_s_).start_s, EventKind::locked, finished.command);
      } else {
        to_firmware(finished.command);
      }
      return;
    }
    commands_.give_back(finished.command);
    if (--request.commands_left == 0) {
      finish(command.request);
    }
  }

  void to_firmware(std::uint32_t command) {
    events_.schedule(firmware_.reserve(now_s_, device_.firmware_time).end_s + device_.command_delay,
                     EventKind::firmware_done, command);
  }

  /// Whether another thread used the same queue a short while ago, or waits for its turn on it.
  bool contends(std::uint16_t thread) {
    if (device_.hw_queues > 1 || host_.threads == 1) {
      return false;
    }
    if (thread != last_thread_) {
      other_submit_s_ = last_thread_submit_s_;
      last_thread_ = thread;
    }
    last_thread_submit_s_ = now_s_;
    return now_s_ - other_submit_s_ <= device_.contention_window ||
           (device_.queue_round > 0.0 && threads_.others_wait(thread));
  }

  void on_firmware_done(std::uint32_t command) {
    const Command& c = commands_[command];
    const auto bytes = static_cast<double>(c.length_bytes);
    if (c.kind == IoKind::write) {
      Servers& link = device_.duplex == "half" ? link_ : link_in_;
      events_.schedule(link.reserve(now_s_, bytes / link_bytes_per_s_ + device_.command_link_time).end_s,
                       EventKind::written_in, command);
      return;
    }
    stats_.sensed_bytes += sensed_bytes(device_, bytes);
    if (!wide_.concerns(c.length_bytes) || wide_.enter(now_s_, command)) {
      look_up(command);
    }
  }

  void look_up(std::uint32_t command) {
    const Command& c = commands_[command];
    switch (mapping_.look_up(command, c.offset_bytes, c.length_bytes, c.batch)) {
      case Mapping::Lookup::hit:
        return read_fragments(command);
      case Mapping::Lookup::waits:
        return;
      case Mapping::Lookup::must_read:
        stats_.map_misses += 1.0;
        array_.read(now_s_, placement_.die_of_map_page(mapping_.page_of(c.offset_bytes)), ArrayUse::map_read,
                    command, static_cast<double>(device_.block));
    }
  }

  void read_fragments(std::uint32_t command) {
    Command& c = commands_[command];
    const std::int64_t end = c.offset_bytes + c.length_bytes;
    // Counted before the first is asked for: an idle die may answer at once.
    const std::int64_t stripe = device_.stripe;
    c.fragments_left = static_cast<std::uint32_t>((end - 1) / stripe - c.offset_bytes / stripe + 1);
    for (std::int64_t at = c.offset_bytes; at < end;) {
      const std::int64_t length = std::min(placement_.left_in_stripe(at), end - at);
      array_.read(now_s_, placement_.die_of(at), ArrayUse::host_read, command, static_cast<double>(length));
      at += length;
    }
  }

  void data_ready(double at_s, ArrayUse use, std::uint32_t tag, double bytes, double channel_end_s) override {
    if (use == ArrayUse::copy_read) {
      return writes_.copied(at_s, bytes);
    }
    if (use == ArrayUse::host_read) {
      return send(at_s, tag, bytes, channel_end_s);
    }
    woken_.clear();
    mapping_.arrived(tag, commands_[tag].offset_bytes, woken_);
    for (const std::uint32_t command : woken_) {
      read_fragments(command);
    }
  }

  /// A fragment crosses the link while the rest of it crosses the channel.
  void send(double at_s, std::uint32_t command, double bytes, double channel_end_s) {
    Command& c = commands_[command];
    const double overhead_s = c.data_end_s == 0.0 ? device_.command_link_time : 0.0;
    const double crossed_s = link_.reserve(at_s, bytes / link_bytes_per_s_ + overhead_s).end_s;
    const double last_chunk_s = std::min(bytes, FlashArray::kChunkBytes) / link_bytes_per_s_;
    c.data_end_s = std::max({c.data_end_s, crossed_s, channel_end_s + last_chunk_s});
    if (--c.fragments_left == 0) {
      events_.schedule(c.data_end_s, EventKind::device_done, command);
    }
  }

  void on_written_in(std::uint32_t command) {
    accept([&] {
      writes_.arrive(now_s_, command, static_cast<double>(commands_[command].length_bytes), woken_);
    });
  }

  void programmed(double at_s, ArrayUse use, std::uint32_t, double bytes) override {
    if (use == ArrayUse::program) {
      accept([&] { writes_.programmed(at_s, bytes, woken_); });
    }
  }

  /// Ends the commands that `step` of the write path accepts.
  template <class Step>
  void accept(Step step) {
    woken_.clear();
    step();
    for (const std::uint32_t command : woken_) {
      on_device_done(command);
    }
  }

  void on_device_done(std::uint32_t command) {
    const Command& c = commands_[command];
    if (c.kind == IoKind::read && wide_.concerns(c.length_bytes)) {
      if (const auto next = wide_.leave(now_s_)) {
        look_up(*next);
      }
    }
    Request& request = requests_[c.request];
    request.device_s = std::max(request.device_s, now_s_);
    threads_.complete(now_s_, command, c.thread, fixed_host_s() / 2.0);
  }

  void finish(std::uint32_t slot) {
    const Request& request = requests_[slot];
    const double done_s = now_s_ + (host_.depth > 0 ? 0.0 : host_.wake_s);  // or the thread has woken already
    done_.push_back({request.id, request.start_s, request.device_s, done_s});
    stats_.response_s += done_s - request.submit_s;
    requests_.give_back(slot);
    outstanding_.end(done_s);
    if (outstanding_.count() == 0 && writes_.has_rest_to_do()) {
      events_.schedule(done_s + device_.fold_delay, EventKind::rest, rest_);
    }
  }

  /// A round of rest, unless a request came since it was planned.
  void on_rest(std::uint32_t rest) {
    if (rest != rest_ || !writes_.has_rest_to_do()) {
      return;
    }
    const double next_s = now_s_ + writes_.rest(now_s_);
    events_.schedule(next_s, EventKind::rest, rest);
  }

  DeviceParams device_;
  HostCost host_;
  EventHeap events_;
  Placement placement_;
  Mapping mapping_;
  HostSide threads_;
  WideReads wide_;
  Servers lock_;
  Servers firmware_;
  Servers link_;     ///< to the host; of a half-duplex part the only one
  Servers link_in_;  ///< from the host
  FlashArray array_;
  WritePath writes_;
  double link_bytes_per_s_;
  double lock_s_ = 0.0;

  Pool<Request> requests_;
  Pool<Command> commands_;
  std::deque<Arrival> arrivals_;
  std::vector<IoDone> done_;  ///< by time
  std::size_t delivered_ = 0;
  std::vector<std::uint32_t> woken_;  ///< commands

  Outstanding outstanding_;
  DeviceStats stats_;
  std::uint64_t batch_ = 0;
  std::uint32_t rest_ = 0;  ///< counts the times without requests
  std::uint16_t last_thread_ = 0;
  double last_thread_submit_s_ = -kNever;
  double other_submit_s_ = -kNever;
  double last_submit_s_ = 0.0;
  double now_s_ = 0.0;       ///< of the last event
  double advanced_s_ = 0.0;  ///< what the caller has seen
};

const Registration<FlashDevice, Queueing> registered;

}  // namespace
}  // namespace kvr::flash
