// A closed loop of depth * threads requests. Every request has a slot, which is of one thread for ever:
//
//   t = start; submit one request for every slot, all at t
//   until warm_up + requests are done:
//     t = next event; for each completion at t: note its latency, if it counts; submit the slot's next at t
//   drain what is outstanding; it does not count, so that the load never thins out while it is measured
//
// An id is (number of the request << bits) | slot: unique, growing with the order of submission, and the slot
// of a completion is found without a search.
#include "models/flash/closed_loop.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"

namespace kvr::flash {

namespace {

constexpr std::int64_t kMaxThreads = std::int64_t{1} << 16;  // IoRequest::thread

void require_sound(const ClosedLoop& load, std::int64_t warm_up, std::int64_t requests) {
  KVR_CHECK(load.depth > 0 && load.threads > 0 && load.threads <= kMaxThreads, "depth {}, {} threads",
            load.depth, load.threads);
  KVR_CHECK(load.bytes > 0 && load.align_bytes > 0 && load.bytes % load.align_bytes == 0 &&
                load.range_bytes >= load.bytes,
            "{} B, aligned to {} B, in {} B", load.bytes, load.align_bytes, load.range_bytes);
  KVR_CHECK(warm_up >= 0 && requests > 0, "{} requests after {}", requests, warm_up);
}

/// Where the next request goes. The n-th request goes to the same place whatever the device does.
class Offsets {
 public:
  explicit Offsets(const ClosedLoop& load)
      : rng_(Rng::stream(load.seed, "closed_loop")),
        bytes_(load.bytes),
        align_bytes_(load.align_bytes),
        last_(load.range_bytes - load.bytes),
        sequential_(load.sequential) {}

  std::int64_t next() {
    if (!sequential_) {
      const auto places = static_cast<std::uint64_t>(last_ / align_bytes_ + 1);
      return static_cast<std::int64_t>(rng_.below(places)) * align_bytes_;
    }
    const std::int64_t offset = stream_;
    stream_ = stream_ + bytes_ <= last_ ? stream_ + bytes_ : 0;
    return offset;
  }

 private:
  Rng rng_;
  std::int64_t bytes_;
  std::int64_t align_bytes_;
  std::int64_t last_;
  bool sequential_;
  std::int64_t stream_ = 0;
};

/// The smallest value that at least `share` of `values` do not exceed; reorders them.
double percentile(std::vector<double>& values, double share) {
  const double rank = std::ceil(share * static_cast<double>(values.size()));
  const auto place = values.begin() + static_cast<std::ptrdiff_t>(rank) - 1;
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

class Loop {
 public:
  Loop(FlashDevice& device, const ClosedLoop& load, std::int64_t requests)
      : device_(device), load_(load), offsets_(load) {
    const auto slots = static_cast<std::uint64_t>(load.depth * load.threads);
    slot_bits_ = static_cast<int>(std::bit_width(slots - 1));
    submit_s_.resize(slots);
    batch_.reserve(slots);
    done_.reserve(slots);
    latencies_s_.reserve(static_cast<std::size_t>(requests));
  }

  LoadResult run(std::int64_t warm_up, std::int64_t requests) {
    now_s_ = std::max(load_.start_s, drain());
    submit_first();
    double begin_s = now_s_;
    double end_s = now_s_;
    for (std::int64_t completed = 0; completed < warm_up + requests;) {
      advance_to(device_.next_event_s());
      for (const IoDone& io : done_) {
        ++completed;
        if (completed <= warm_up) {
          begin_s = io.done_s;
        } else if (completed <= warm_up + requests) {
          latencies_s_.push_back(io.done_s - submit_s_[slot_of(io)]);
          end_s = io.done_s;
        }
      }
      submit_next();
    }
    const double drained_s = drain();
    return result(end_s - begin_s, std::max(now_s_, drained_s));
  }

 private:
  std::uint64_t slot_of(const IoDone& io) const { return io.id & ((std::uint64_t{1} << slot_bits_) - 1); }

  void advance_to(double time_s) {
    KVR_CHECK(time_s < std::numeric_limits<double>::infinity(), "{} requests are outstanding, but none ends",
              submit_s_.size());
    now_s_ = time_s;
    done_.clear();
    device_.advance(time_s, done_);
  }

  /// Until nothing is outstanding; returns the last completion, 0 if there was none.
  double drain() {
    double last_s = 0.0;
    for (double next_s = device_.next_event_s(); next_s < std::numeric_limits<double>::infinity();
         next_s = device_.next_event_s()) {
      advance_to(next_s);
      last_s = next_s;
    }
    return last_s;
  }

  void add(std::uint64_t slot) {
    submit_s_[slot] = now_s_;
    batch_.push_back({.id = (number_++ << slot_bits_) | slot,
                      .kind = load_.kind,
                      .thread = static_cast<std::uint16_t>(slot % static_cast<std::uint64_t>(load_.threads)),
                      .offset_bytes = offsets_.next(),
                      .length_bytes = load_.bytes,
                      .submit_s = now_s_});
  }

  void submit_first() {
    for (std::uint64_t slot = 0; slot < submit_s_.size(); ++slot) {
      add(slot);
    }
    device_.submit(batch_);
  }

  /// One for each completion that came last.
  void submit_next() {
    batch_.clear();
    for (const IoDone& io : done_) {
      add(slot_of(io));
    }
    device_.submit(batch_);
  }

  LoadResult result(double seconds, double ended_s) {
    KVR_CHECK(seconds > 0.0, "all of {} requests end at once: too few to measure", latencies_s_.size());
    double sum_s = 0.0;
    for (const double latency_s : latencies_s_) {
      sum_s += latency_s;
    }
    const auto count = static_cast<double>(latencies_s_.size());
    return {.requests = static_cast<std::int64_t>(latencies_s_.size()),
            .seconds = seconds,
            .bytes_per_s = count * static_cast<double>(load_.bytes) / seconds,
            .requests_per_s = count / seconds,
            .latency_s = sum_s / count,
            .p50_s = percentile(latencies_s_, 0.50),
            .p99_s = percentile(latencies_s_, 0.99),
            .ended_s = ended_s};
  }

  FlashDevice& device_;
  const ClosedLoop& load_;
  Offsets offsets_;
  int slot_bits_ = 0;
  std::uint64_t number_ = 0;
  double now_s_ = 0.0;
  std::vector<double> submit_s_;  ///< [slot]
  std::vector<IoRequest> batch_;
  std::vector<IoDone> done_;
  std::vector<double> latencies_s_;
};

}  // namespace

LoadResult run_closed_loop(FlashDevice& device, const ClosedLoop& load, std::int64_t warm_up,
                           std::int64_t requests) {
  require_sound(load, warm_up, requests);
  device.set_working_set(load.sequential ? 0 : load.range_bytes);
  return Loop(device, load, requests).run(warm_up, requests);
}

}  // namespace kvr::flash
