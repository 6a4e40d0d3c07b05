#include "sim/cli/bench/child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "sim/base/error.hpp"
#include "sim/cli/signals.hpp"

namespace kvr::bench {
namespace {

constexpr const char* kSelf = "/proc/self/exe";
constexpr int kInputExit = 2;
constexpr int kCannotStart = 127;

class Descriptor {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {
    if (descriptor < 0) {
      throw SystemError(fmt::format("bench: {}", std::strerror(errno)));
    }
  }
  ~Descriptor() { close_now(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return descriptor_; }
  void close_now() {
    if (descriptor_ >= 0) {
      close(descriptor_);
      descriptor_ = -1;
    }
  }

 private:
  int descriptor_;
};

std::array<int, 2> make_pipe() {
  std::array<int, 2> ends{-1, -1};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw SystemError(fmt::format("bench: no pipe: {}", std::strerror(errno)));
  }
  return ends;
}

/// In the child: only what is allowed between fork and exec.
[[noreturn]] void become(char* const* argv, int output, int errors) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);  // nobody is left to be told what it took
  if (dup2(output, STDOUT_FILENO) >= 0 && dup2(errors, STDERR_FILENO) >= 0) {
    execv(kSelf, argv);
  }
  _exit(kCannotStart);
}

/// Throws Interrupted soon after a signal that is waited for patiently.
std::string read_all(int descriptor) {
  std::string text;
  std::array<char, 4096> buffer{};
  for (;;) {
    constexpr int kWaitMilliseconds = 100;
    pollfd polled{descriptor, POLLIN, 0};
    poll(&polled, 1, kWaitMilliseconds);
    cli::throw_if_interrupted();
    if (polled.revents == 0) {
      continue;
    }
    const ssize_t count = read(descriptor, buffer.data(), buffer.size());
    if (count > 0) {
      text.append(buffer.data(), static_cast<std::size_t>(count));
    } else if (count == 0 || errno != EINTR) {
      return text;
    }
  }
}

/// A process that is waited for, or is killed where nobody will.
class Child {
 public:
  explicit Child(pid_t process) : process_(process) {}
  ~Child() {
    if (process_ > 0) {
      kill(process_, SIGKILL);
      while (waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  int wait(rusage& use) {
    int status = 0;
    while (wait4(process_, &status, 0, &use) < 0) {
      if (errno != EINTR) {
        throw SystemError(fmt::format("bench: wait4: {}", std::strerror(errno)));
      }
    }
    process_ = -1;
    return status;
  }

 private:
  pid_t process_;
};

void check_success(int status, const std::vector<std::string>& args, std::string message) {
  message.erase(message.find_last_not_of('\n') + 1);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kInputExit) {
    throw InputError(message);
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    const std::string end = WIFEXITED(status) ? fmt::format("exit code {}", WEXITSTATUS(status))
                                              : fmt::format("signal {}", WTERMSIG(status));
    throw SystemError(fmt::format("kvreplay {} ended with {}: {}", fmt::join(args, " "), end, message));
  }
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

std::vector<char*> argv_of(std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (std::string& word : words) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);
  return argv;
}

}  // namespace

ChildUse run_self(const std::vector<std::string>& args) {
  std::vector<std::string> words = {"kvreplay"};
  words.insert(words.end(), args.begin(), args.end());
  const std::vector<char*> argv = argv_of(words);
  const Descriptor nowhere(open("/dev/null", O_WRONLY | O_CLOEXEC));
  const std::array<int, 2> ends = make_pipe();
  const Descriptor errors(ends[0]);
  Descriptor errors_in(ends[1]);
  const auto begin = std::chrono::steady_clock::now();
  const pid_t process = fork();
  if (process == 0) {
    become(argv.data(), nowhere.get(), errors_in.get());
  }
  if (process < 0) {
    throw SystemError(fmt::format("bench: no process: {}", std::strerror(errno)));
  }
  Child child(process);
  errors_in.close_now();
  const std::string message = read_all(errors.get());
  rusage use{};
  const int status = child.wait(use);
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
  check_success(status, args, message);
  constexpr std::int64_t kKib = 1024;
  return {wall.count(), seconds(use.ru_utime) + seconds(use.ru_stime), use.ru_maxrss * kKib};
}

}  // namespace kvr::bench
