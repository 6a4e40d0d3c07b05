#include "sim/sweep/processes/worker.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/sweep/bytes.hpp"
#include "sim/sweep/point_record.hpp"
#include "sim/sweep/processes/frames.hpp"

namespace kvr::sweep {
namespace {

/// How often a worker says how far it is.
constexpr std::chrono::milliseconds kInterval{50};

/// Says to the parent what happens; a parent that is gone ends the process.
class Channel {
 public:
  explicit Channel(int descriptor) : descriptor_(descriptor) {}

  void advance(std::int64_t steps, std::int64_t of) {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ >= kInterval) {
      last_ = now;
      ByteWriter frame = beginning(Word::advanced);
      frame.put(steps);
      frame.put(of);
      say(frame);
    }
  }
  void finish(std::size_t place, const PointOutline& outline,
              const std::optional<std::string>& not_stored) const {
    ByteWriter frame = beginning(Word::finished);
    frame.put(place);
    frame.put(not_stored.has_value());
    frame.put(std::string_view(not_stored ? *not_stored : ""));
    frame.put(std::string_view(encode(outline)));
    say(frame);
  }
  void fail(const Failure& failure) const {
    ByteWriter frame = beginning(Word::failed);
    frame.put(failure.exit_code);
    frame.put(std::string_view(failure.text));
    say(frame);
  }
  void end_group() const {
    ByteWriter frame = beginning(Word::done);
    say(frame);
  }

 private:
  static ByteWriter beginning(Word word) {
    ByteWriter frame;
    frame.put(word);
    return frame;
  }
  void say(ByteWriter& frame) const {
    if (!send_frame(descriptor_, frame.take())) {
      _exit(0);
    }
  }

  int descriptor_;
  std::chrono::steady_clock::time_point last_{};
};

void replay_and_tell(const Work& work, const Group& group, Channel& channel) {
  const Progress progress = [&channel](std::int64_t steps, std::int64_t of) { channel.advance(steps, of); };
  const Listener listener{
      .finished = [&channel](std::size_t place, const PointOutline& outline,
                             const std::optional<std::string>& why) { channel.finish(place, outline, why); },
      .failed = {},
      .advanced = {}};
  try {
    finish_group(work, group, replay_group(work, group, progress, nullptr), listener);
    channel.end_group();
  } catch (const std::exception&) {
    channel.fail(failure_at_hand());
  }
}

/// That this process may use.
std::vector<std::size_t> processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<std::size_t> allowed;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (std::size_t processor = 0; processor < CPU_SETSIZE; ++processor) {
      if (CPU_ISSET(processor, &set)) {
        allowed.push_back(processor);
      }
    }
  }
  return allowed;
}

/// A worker that wanders between processors loses what they had cached. Where the workers do not take the
/// whole machine, another run may pin its own, and where the system refuses, it may wander.
void pin(const WorkerRole& role, std::int64_t threads) {
  const std::vector<std::size_t> allowed = processors();
  if (role.of * threads != std::ssize(allowed)) {
    return;
  }
  cpu_set_t set;
  CPU_ZERO(&set);
  for (std::int64_t own = role.place * threads; own < (role.place + 1) * threads; ++own) {
    CPU_SET(allowed[static_cast<std::size_t>(own)], &set);
  }
  sched_setaffinity(0, sizeof set, &set);
}

}  // namespace

void serve(const Work& work, const WorkerRole& role) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != role.parent) {
    _exit(0);  // it died before that held
  }
  const auto most = std::ranges::max_element(work.points, {}, &RunConfig::threads);
  pin(role, std::max<std::int64_t>(most->threads, 1));
  Channel channel(role.descriptor);
  while (const std::optional<std::string> frame = receive_frame(role.descriptor)) {
    ByteReader in(*frame);
    replay_and_tell(work, in.values<std::size_t>(), channel);
  }
  _exit(0);
}

}  // namespace kvr::sweep
