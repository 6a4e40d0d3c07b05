#include "tests/models/flash/queueing/queueing_reference.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>

#include "models/flash/queueing/placement.hpp"
#include "sim/base/rng.hpp"
#include "tests/models/flash/plain_simulation.hpp"

namespace kvr::test {
namespace {

using flash::DeviceParams;

constexpr double kChunkBytes = 16384.0;

struct Command {
  std::size_t request;
  std::uint16_t thread;
  std::int64_t offset_bytes;
  std::int64_t length_bytes;
  int fragments_left = 0;
  bool has_used_link = false;
  double data_end_s = 0.0;
};

struct Sensing {
  Command* command;
  bool is_map;
  double bytes;
  double sense_s;
  double since_s = 0.0;
};

struct Die {
  std::deque<Sensing> waiting;
  std::vector<Sensing> at_work;  ///< none or one
  bool sensed = false;
  double registers_bytes = 0.0;
};

struct Thread {
  std::deque<Command*> submissions;
  std::deque<Command*> completions;
  bool busy = false;
};

struct Progress {
  std::size_t commands_left = 0;
  bool started = false;
};

class Reference {
 public:
  Reference(const DeviceParams& device, const HostCost& host, std::uint64_t root_seed, double lock_s)
      : d_(device),
        host_(host),
        placement_(device, root_seed),
        lock_s_(lock_s),
        rng_(Rng::stream(root_seed, "models/flash/queueing/read_time")),
        threads_(static_cast<std::size_t>(host.threads)),
        slots_(static_cast<std::size_t>(device.hw_queues), device.queue_depth),
        lock_(agenda_, "queue_lock", 1),
        firmware_(agenda_, "firmware", device.firmware_servers),
        link_(agenda_, device.duplex == "half" ? "link" : "link_out", 1),
        wide_left_(device.wide_reads),
        dies_(static_cast<std::size_t>(device.channels * device.dies_per_channel)),
        die_stats_{"dies", device.channels * device.dies_per_channel, 0, 0.0, 0.0} {
    for (std::int64_t i = 0; i < device.channels; ++i) {
      channels_.push_back(std::make_unique<Station>(agenda_, "channels", 1));
    }
  }

  ReferenceRun run(const std::vector<IoRequest>& requests) {
    states_.resize(requests.size());
    done_.resize(requests.size());
    for (const IoRequest& request : requests) {
      agenda_.plan(request.submit_s, [this, &request] { arrive(request); });
    }
    agenda_.run();
    ResourceStats channels{"channels", d_.channels, 0, 0.0, 0.0};
    for (const auto& one : channels_) {
      channels.served += one->stats.served;
      channels.busy_s += one->stats.busy_s;
      channels.waited_s += one->stats.waited_s;
    }
    return {done_, {lock_.stats, firmware_.stats, die_stats_, channels, link_.stats}};
  }

 private:
  double half_host_s() const { return host_.command_s(0.0) / 2.0; }

  void arrive(const IoRequest& io) {
    done_[io.id].id = io.id;
    for (std::int64_t at = 0; at < io.length_bytes; at += d_.max_transfer) {
      commands_.push_back(
          {io.id, io.thread, io.offset_bytes + at, std::min(d_.max_transfer, io.length_bytes - at)});
      threads_[io.thread].submissions.push_back(&commands_.back());
      ++states_[io.id].commands_left;
    }
    look_at_threads();
  }

  /// Lets every idle thread take up what it can: completions first.
  void look_at_threads() {
    for (std::size_t i = 0; i < threads_.size(); ++i) {
      Thread& thread = threads_[i];
      std::int64_t& slots = slots_[i % slots_.size()];
      if (thread.busy) {
        continue;
      }
      if (!thread.completions.empty()) {
        work(thread, thread.completions, half_host_s(), [this](Command& command) { complete(command); });
      } else if (!thread.submissions.empty() && slots > 0) {
        --slots;
        const Command& command = *thread.submissions.front();
        if (!states_[command.request].started) {
          states_[command.request].started = true;
          done_[command.request].start_s = agenda_.now_s();
        }
        const double bytes = static_cast<double>(command.length_bytes);
        work(thread, thread.submissions, half_host_s() + host_.per_byte_s * bytes,
             [this](Command& submitted) { contend(submitted); });
      }
    }
  }

  void work(Thread& thread, std::deque<Command*>& list, double service_s,
            const std::function<void(Command&)>& then) {
    thread.busy = true;
    Command* command = list.front();
    list.pop_front();
    agenda_.plan(agenda_.now_s() + service_s, [this, &thread, command, then] {
      thread.busy = false;
      look_at_threads();
      then(*command);
    });
  }

  void contend(Command& command) {
    double other_s = -std::numeric_limits<double>::infinity();
    for (const auto& [thread, at_s] : last_submit_s_) {
      other_s = thread == command.thread ? other_s : std::max(other_s, at_s);
    }
    last_submit_s_[command.thread] = agenda_.now_s();
    if (d_.hw_queues == 1 && agenda_.now_s() - other_s <= d_.contention_window) {
      lock_.enter(
          lock_s_, [this, &command] { enter_firmware(command); }, [] {});
    } else {
      enter_firmware(command);
    }
  }

  void enter_firmware(Command& command) {
    firmware_.enter(
        d_.firmware_time, [] {},
        [this, &command] {
          agenda_.plan(agenda_.now_s() + d_.command_delay, [this, &command] { enter_wide(command); });
        });
  }

  bool is_wide(const Command& command) const {
    return d_.wide_reads > 0 && command.length_bytes > d_.wide_above;
  }

  void enter_wide(Command& command) {
    if (is_wide(command)) {
      if (wide_left_ == 0) {
        wide_waiting_.push_back(&command);
        return;
      }
      --wide_left_;
    }
    look_up(command);
  }

  void leave_wide(const Command& command) {
    if (!is_wide(command)) {
      return;
    }
    ++wide_left_;
    if (!wide_waiting_.empty()) {
      Command& next = *wide_waiting_.front();
      wide_waiting_.pop_front();
      enter_wide(next);
    }
  }

  void look_up(Command& command) {
    const auto page = static_cast<std::uint64_t>(command.offset_bytes / (1024 * d_.block));
    const auto cached = std::ranges::find(map_cache_, page);
    if (cached != map_cache_.end()) {
      map_cache_.erase(cached);
      map_cache_.push_front(page);
      return sense_data(command);
    }
    if (std::isinf(d_.map_coverage)) {
      return sense_data(command);
    }
    on_their_way_[page].push_back(&command);
    if (on_their_way_[page].size() == 1) {
      sense(placement_.die_of_map_page(page),
            {&command, true, static_cast<double>(d_.block), spread(d_.map_read_time)});
    }
  }

  void map_page_is_there(const Command& command) {
    const auto page = static_cast<std::uint64_t>(command.offset_bytes / (1024 * d_.block));
    map_cache_.push_front(page);
    if (static_cast<double>(map_cache_.size()) >
        std::floor(d_.map_coverage / static_cast<double>(1024 * d_.block))) {
      map_cache_.pop_back();
    }
    const std::vector<Command*> waited = on_their_way_.extract(page).mapped();
    for (Command* each : waited) {
      sense_data(*each);
    }
  }

  void sense_data(Command& command) {
    std::vector<std::pair<std::uint32_t, double>> fragments;
    std::int64_t left = command.length_bytes;
    for (std::int64_t at = command.offset_bytes; left > 0;) {
      const std::int64_t length = std::min(left, (at / d_.stripe + 1) * d_.stripe - at);
      fragments.emplace_back(placement_.die_of(at), static_cast<double>(length));
      at += length;
      left -= length;
    }
    command.fragments_left = static_cast<int>(fragments.size());
    for (const auto& [die, bytes] : fragments) {
      sense(die, {&command, false, bytes, spread(d_.read_time)});
    }
  }

  /// Log-normal; its mean is `mean_s`.
  double spread(double mean_s) {
    const double sigma = d_.read_time_spread;
    return sigma > 0.0 ? mean_s * std::exp(sigma * rng_.normal() - sigma * sigma / 2.0) : mean_s;
  }

  void sense(std::uint32_t die, Sensing sensing) {
    sensing.since_s = agenda_.now_s();
    dies_[die].waiting.push_back(sensing);
    look_at_die(die);
  }

  double in_registers(double bytes) const {
    const auto page = static_cast<double>(d_.page);
    return std::ceil(bytes / page) * page;
  }

  /// Moves what was sensed to the registers if they have room; senses the next.
  void look_at_die(std::uint32_t number) {
    Die& die = dies_[number];
    if (die.sensed) {
      const Sensing sensing = die.at_work.front();
      const double needed = in_registers(sensing.bytes);
      if (die.registers_bytes > 0.0 && die.registers_bytes + needed > static_cast<double>(d_.stripe)) {
        return;
      }
      die.registers_bytes += needed;
      die.sensed = false;
      if (d_.cache_read) {
        die.at_work.clear();
      }
      cross_channel(number, sensing);
    }
    if (!die.at_work.empty() || die.waiting.empty()) {
      return;
    }
    die.at_work.push_back(die.waiting.front());
    die.waiting.pop_front();
    const Sensing& sensing = die.at_work.front();
    ++die_stats_.served;
    die_stats_.busy_s += sensing.sense_s;
    die_stats_.waited_s += agenda_.now_s() - sensing.since_s;
    agenda_.plan(agenda_.now_s() + sensing.sense_s, [this, number] {
      dies_[number].sensed = true;
      look_at_die(number);
    });
  }

  void cross_channel(std::uint32_t number, const Sensing& sensing) {
    const double bandwidth = d_.channel_bandwidth * d_.thermal_factor();
    const double service_s = sensing.bytes / bandwidth;
    const bool cuts_through = sensing.bytes > kChunkBytes;
    Station& channel = *channels_[number % channels_.size()];
    channel.enter(
        service_s,
        [this, sensing, bandwidth, service_s, cuts_through] {
          if (cuts_through) {
            const double end_s = agenda_.now_s() + service_s;
            agenda_.plan(agenda_.now_s() + kChunkBytes / bandwidth,
                         [this, sensing, end_s] { left_the_channel(sensing, end_s); });
          }
        },
        [this, number, sensing, cuts_through] {
          Die& die = dies_[number];
          die.registers_bytes -= in_registers(sensing.bytes);
          if (!d_.cache_read) {
            die.at_work.clear();
          }
          look_at_die(number);
          if (!cuts_through) {
            left_the_channel(sensing, agenda_.now_s());
          }
        });
  }

  void left_the_channel(const Sensing& sensing, double channel_end_s) {
    if (sensing.is_map) {
      return map_page_is_there(*sensing.command);
    }
    Command& command = *sensing.command;
    const double bandwidth = d_.link * d_.thermal_factor();
    const double overhead_s = command.has_used_link ? 0.0 : d_.command_link_time;
    const double last_s = channel_end_s + std::min(sensing.bytes, kChunkBytes) / bandwidth;
    command.has_used_link = true;
    link_.enter(
        sensing.bytes / bandwidth + overhead_s, [] {},
        [this, &command, last_s] {
          command.data_end_s = std::max({command.data_end_s, agenda_.now_s(), last_s});
          if (--command.fragments_left == 0) {
            agenda_.plan(command.data_end_s, [this, &command] { device_done(command); });
          }
        });
  }

  void device_done(Command& command) {
    IoDone& done = done_[command.request];
    done.device_s = std::max(done.device_s, agenda_.now_s());
    leave_wide(command);
    ++slots_[command.thread % slots_.size()];
    threads_[command.thread].completions.push_back(&command);
    look_at_threads();
  }

  void complete(const Command& command) {
    if (--states_[command.request].commands_left == 0) {
      done_[command.request].done_s = agenda_.now_s() + host_.wake_s;
    }
  }

  DeviceParams d_;
  HostCost host_;
  flash::Placement placement_;
  double lock_s_;
  Rng rng_;
  Agenda agenda_;
  std::vector<Thread> threads_;
  std::vector<std::int64_t> slots_;
  Station lock_;
  Station firmware_;
  Station link_;
  std::vector<std::unique_ptr<Station>> channels_;
  std::int64_t wide_left_;
  std::deque<Command*> wide_waiting_;
  std::vector<Die> dies_;
  ResourceStats die_stats_;
  std::deque<Command> commands_;
  std::vector<Progress> states_;
  std::vector<IoDone> done_;
  std::map<std::uint16_t, double> last_submit_s_;
  std::deque<std::uint64_t> map_cache_;
  std::map<std::uint64_t, std::vector<Command*>> on_their_way_;
};

}  // namespace

ReferenceRun run_reference(const DeviceParams& device, const HostCost& host, std::uint64_t root_seed,
                           double lock_s, const std::vector<IoRequest>& requests) {
  return Reference(device, host, root_seed, lock_s).run(requests);
}

}  // namespace kvr::test
