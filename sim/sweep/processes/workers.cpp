// parent: a process for each job, a socket to each; gives every idle one the next group, and hears what
//   worker.hpp lists; one that dies is a failure of what it was at, and another takes its place
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <list>

#include "sim/base/error.hpp"
#include "sim/sweep/bytes.hpp"
#include "sim/sweep/point_record.hpp"
#include "sim/sweep/processes/frames.hpp"
#include "sim/sweep/processes/worker.hpp"
#include "sim/sweep/runner.hpp"

namespace kvr::sweep {
namespace {

struct Worker {
  std::int64_t place;  ///< among the jobs
  pid_t process = -1;
  int descriptor = -1;
  FrameBuffer received = {};
  Group group = {};        ///< that it is at; empty: it is idle
  std::size_t told = 0;    ///< of those, how many are finished
  std::int64_t steps = 0;  ///< that the group has behind it
  std::int64_t of = 0;     ///< so many; 0: it has not said yet

  double points() const {
    return of > 0 ? static_cast<double>(group.size()) * static_cast<double>(steps) / static_cast<double>(of)
                  : 0.0;
  }
};

/// Of a process that ended with a group at hand. The system kills what takes too much memory.
Failure death_of(int status) {
  if (!WIFSIGNALED(status)) {
    return {kBugExit, fmt::format("the process that replayed it left with code {}", WEXITSTATUS(status))};
  }
  const int signal = WTERMSIG(status);
  const bool from_outside = signal == SIGKILL || signal == SIGTERM || signal == SIGINT || signal == SIGHUP;
  return {from_outside ? kSystemExit : kBugExit,
          fmt::format("the process that replayed it was ended by signal {} ({}){}", signal, strsignal(signal),
                      signal == SIGKILL ? "; is there enough memory for all jobs?" : "")};
}

class Workers {
 public:
  Workers(const Work& work, std::int64_t jobs, const Listener& listener)
      : work_(work), listener_(listener), left_(work.groups), jobs_(jobs) {}
  ~Workers() {
    for (const Worker& worker : workers_) {
      kill(worker.process, SIGKILL);  // a record that it writes appears whole or not at all
      reap(worker);
    }
  }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  void run() {
    while (std::ssize(workers_) < std::min(jobs_, std::ssize(work_.groups))) {
      start(std::ssize(workers_));
    }
    while (give_groups()) {
      receive();
    }
  }

 private:
  static int reap(const Worker& worker) {
    int status = 0;
    while (waitpid(worker.process, &status, 0) < 0 && errno == EINTR) {
    }
    close(worker.descriptor);
    return status;
  }

  void start(std::int64_t place) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
      throw SystemError(fmt::format("a process for points cannot be had: {}", std::strerror(errno)));
    }
    std::fflush(nullptr);  // else both would write what is still to be written
    const pid_t parent = getpid();
    const pid_t process = fork();
    if (process == 0) {
      close(ends[0]);
      for (const Worker& other : workers_) {
        close(other.descriptor);  // else it would stay open when the parent closes it
      }
      serve(work_, {.place = place, .of = jobs_, .parent = parent, .descriptor = ends[1]});
    }
    close(ends[1]);
    if (process < 0) {
      const int reason = errno;
      close(ends[0]);
      throw SystemError(fmt::format("a process for points cannot be had: {}", std::strerror(reason)));
    }
    workers_.push_back({.place = place, .process = process, .descriptor = ends[0]});
  }

  /// False when nothing is left and nobody is at work.
  bool give_groups() {
    bool busy = false;
    for (Worker& worker : workers_) {
      if (worker.group.empty() && !left_.empty()) {
        worker.group = left_.take();
        worker.told = 0;
        ByteWriter frame;
        frame.put(std::span<const std::size_t>(worker.group));
        send_frame(worker.descriptor, frame.take());  // where it is gone, `receive` finds out
      }
      busy = busy || !worker.group.empty();
    }
    return busy;
  }

  void receive() {
    std::vector<pollfd> polled;
    for (const Worker& worker : workers_) {
      polled.push_back({worker.descriptor, POLLIN, 0});
    }
    constexpr int kWaitMilliseconds = 200;  // then signals are looked after
    poll(polled.data(), polled.size(), kWaitMilliseconds);
    auto worker = workers_.begin();
    for (const pollfd& one : polled) {
      const auto received = worker++;  // which may go, and another be added at the end
      if (one.revents != 0) {
        receive(received);
      }
    }
    listener_.advanced(advance());
  }

  Advance advance() const {
    Advance advance{done_, 0};
    for (const Worker& worker : workers_) {
      advance.points += worker.points();
      advance.at_hand += worker.group.size() - worker.told;
      advance.steps += worker.steps;
      advance.of += worker.of;
    }
    return advance;
  }

  void receive(std::list<Worker>::iterator worker) {
    const bool alive = worker->received.fill(worker->descriptor);
    while (const std::optional<std::string> frame = worker->received.next()) {
      ByteReader in(*frame);
      handle(*worker, in);
    }
    if (!alive) {
      replace_dead(worker);
    }
  }

  void handle(Worker& worker, ByteReader& in) {
    switch (in.get<Word>()) {
      case Word::advanced:
        worker.steps = in.get<std::int64_t>();
        worker.of = in.get<std::int64_t>();
        break;
      case Word::finished: {
        const auto place = in.get<std::size_t>();
        const bool lost = in.flag();
        std::string why = in.text();
        ++worker.told;
        listener_.finished(place, decode_outline(in.text()),
                           lost ? std::optional(std::move(why)) : std::nullopt);
        break;
      }
      case Word::failed: {
        const int exit_code = in.get<int>();
        fail(worker, {exit_code, in.text()});
        break;
      }
      case Word::done:
        end_group(worker);
        break;
    }
  }

  void end_group(Worker& worker) {
    done_ += static_cast<double>(worker.group.size());
    worker.group.clear();
    worker.told = 0;
    worker.steps = 0;
    worker.of = 0;
  }

  /// Points of the group that are finished stay so; of the others each is tried alone.
  void fail(Worker& worker, const Failure& failure) {
    const Group rest(worker.group.begin() + static_cast<std::ptrdiff_t>(worker.told), worker.group.end());
    const bool alone = worker.group.size() == 1;
    end_group(worker);
    if (alone) {
      std::ranges::for_each(rest, [&](std::size_t place) { listener_.failed(place, failure); });
    } else {
      done_ -= static_cast<double>(rest.size());
      left_.put_back_singly(rest);
    }
  }

  /// Another takes its place where there is still something to do.
  void replace_dead(std::list<Worker>::iterator worker) {
    const int status = reap(*worker);
    if (!worker->group.empty()) {
      fail(*worker, death_of(status));
    }
    const std::int64_t place = worker->place;
    workers_.erase(worker);
    if (!left_.empty()) {
      start(place);
    }
  }

  const Work& work_;
  const Listener& listener_;
  GroupQueue left_;
  std::int64_t jobs_;
  std::list<Worker> workers_;
  double done_ = 0.0;  ///< points
};

}  // namespace

void run_in_workers(const Work& work, std::int64_t jobs, const Listener& listener) {
  work.traces.close();
  Workers(work, jobs, listener).run();
}

}  // namespace kvr::sweep
