// rehearse:
//   fork; the child: signals as usual, limits, no output; work; one message into the pipe; _exit
//   read the pipe to its end; wait for the child
//   a complete message counts whatever became of the child afterwards; without one, how it ended is the
//   answer
//
// A message is its kind, then its lines, each ended by a NUL, then kEnd.
#include "traces/checks/rehearsal.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <new>
#include <string_view>

#include "sim/base/error.hpp"

namespace kvr::trace {
namespace {

// Clang tells by __has_feature, GCC by a macro of its own.
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || __has_feature(address_sanitizer) || \
    __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

constexpr char kLines = 'l';
constexpr char kInputError = 'u';
constexpr char kSystemError = 's';
constexpr char kInternalError = 'i';
constexpr char kNoMemory = 'm';
constexpr char kEnd = '\n';

struct Message {
  char kind;
  Lines lines;
};

class Pipe {
 public:
  Pipe() {
    if (pipe2(ends_.data(), O_CLOEXEC) != 0) {
      throw SystemError(fmt::format("no pipe to a process of its own: {}", std::strerror(errno)));
    }
  }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int reading() const { return ends_[0]; }
  int writing() const { return ends_[1]; }
  void close_end(std::size_t end) {
    if (ends_[end] >= 0) {
      close(ends_[end]);
      ends_[end] = -1;
    }
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

/// Address space in use, 0 if the system does not say.
std::uint64_t memory_in_use() {
  std::uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

void limit(__rlimit_resource resource, rlim_t value) {
  rlimit now{};
  if (getrlimit(resource, &now) == 0) {
    now.rlim_cur = std::min({value, now.rlim_cur, now.rlim_max});
    setrlimit(resource, &now);
  }
}

/// Whether the process may not even have what a file is allowed, so that want of memory says nothing of the
/// file.
bool memory_is_short(const RehearsalLimits& limits) {
  rlimit now{};
  return getrlimit(RLIMIT_AS, &now) == 0 && now.rlim_cur != RLIM_INFINITY &&
         now.rlim_cur < memory_in_use() + limits.memory_bytes;
}

void limit_child(const RehearsalLimits& limits) {
  limit(RLIMIT_CORE, 0);
  if (kSanitized) {
    return;
  }
  limit(RLIMIT_CPU, limits.processor_s);
  if (const std::uint64_t present = memory_in_use(); present > 0) {
    limit(RLIMIT_AS, present + limits.memory_bytes);
  }
}

/// The parent's handlers are about the parent; the child ends as a process without any would.
void forget_handlers() {
  for (const int number :
       {SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGABRT, SIGFPE, SIGBUS, SIGSEGV, SIGTERM, SIGXCPU, SIGPIPE}) {
    if (!kSanitized || number == SIGINT || number == SIGTERM) {
      std::signal(number, SIG_DFL);
    }
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

/// So that what the C library says of a broken heap is not taken for a word of the program.
void discard_output() {
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere >= 0 && !kSanitized) {
    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
  }
}

Message message_of(const std::function<Lines()>& work) {
  try {
    return {kLines, work()};
  } catch (const InputError& error) {
    return {kInputError, error.problems()};
  } catch (const SystemError& error) {
    return {kSystemError, {error.what()}};
  } catch (const std::bad_alloc&) {
    return {kNoMemory, {}};
  } catch (const std::exception& error) {
    return {kInternalError, {error.what()}};
  }
}

void send(int pipe, const Message& message) {
  std::string text(1, message.kind);
  for (const std::string& line : message.lines) {
    text += line;
    text += '\0';
  }
  text += kEnd;
  for (std::string_view left = text; !left.empty();) {
    const ssize_t count = write(pipe, left.data(), left.size());
    if (count < 0 && errno != EINTR) {
      return;
    }
    left.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(0, count)));
  }
}

[[noreturn]] void be_child(pid_t parent, int pipe, const RehearsalLimits& limits,
                           const std::function<Lines()>& work) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) {
    _exit(1);
  }
  forget_handlers();
  discard_output();
  limit_child(limits);
  send(pipe, message_of(work));
  _exit(0);
}

/// Up to the end; no more where the system fails, and `error` is then its number.
std::string read_all(int pipe, int& error) {
  std::string text;
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t count = read(pipe, buffer.data(), buffer.size());
    if (count > 0) {
      text.append(buffer.data(), static_cast<std::size_t>(count));
    } else if (count == 0) {
      return text;
    } else if (errno != EINTR) {
      error = errno;
      return text;
    }
  }
}

/// How the child ended; 0 where somebody else was told of it (SIGCHLD ignored).
int wait_for(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) {
      return 0;
    }
  }
  return status;
}

bool is_complete(const std::string& text) {
  return text.size() >= 2 && text.back() == kEnd && (text.size() == 2 || text[text.size() - 2] == '\0');
}

Message parse(const std::string& text) {
  Message message{text.front(), {}};
  std::string_view rest(text);
  rest.remove_prefix(1);
  rest.remove_suffix(1);
  while (!rest.empty()) {
    const std::size_t end = rest.find('\0');
    message.lines.emplace_back(rest.substr(0, end));
    rest.remove_prefix(end + 1);
  }
  return message;
}

Lines answer(const std::string& file, const RehearsalLimits& limits, Message message) {
  switch (message.kind) {
    case kLines:
      return std::move(message.lines);
    case kInputError:
      throw InputError(std::move(message.lines));
    case kNoMemory:
      if (memory_is_short(limits)) {
        throw SystemError(fmt::format("{}: there is not enough memory to read it", file));
      }
      throw InputError(
          fmt::format("{}: takes more than {} MB of memory to be read; damaged, or made to do harm", file,
                      limits.memory_bytes / 1'000'000));
    case kSystemError:
      throw SystemError(message.lines.front());
    default:
      throw InternalError(message.lines.front());
  }
}

/// What the end of a child that said nothing means.
[[noreturn]] void throw_end(const std::string& file, const RehearsalLimits& limits, int status) {
  const int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  switch (number) {
    case SIGXCPU:
      throw InputError(fmt::format(
          "{}: takes more than {} s of processor time to be read, the most for a file of its size; a sound "
          "one takes less with chunks of about 64 KiB along time (traces/FORMAT.md, Storage; h5repack "
          "rewrites a file)",
          file, limits.processor_s));
    case SIGHUP:
    case SIGINT:
    case SIGTERM:
    case SIGKILL:
      throw SystemError(fmt::format("{}: reading it was stopped: {}", file, strsignal(number)));
    default:
      if (memory_is_short(limits)) {  // of which the library dies in places
        throw SystemError(fmt::format("{}: there is not enough memory to read it", file));
      }
      throw InputError(
          fmt::format("{}: the HDF5 library does not survive it ({}); damaged, or made to do harm", file,
                      number == 0 ? "it ends without a word" : strsignal(number)));
  }
}

}  // namespace

bool rehearsals_are_limited() {
  return !kSanitized;
}

RehearsalLimits limits_for(const std::filesystem::path& file) {
  constexpr std::uint64_t kMegabyte = 1'000'000;
  std::error_code failure;
  const std::uintmax_t bytes = std::filesystem::file_size(file, failure);
  return {.memory_bytes = 900 * kMegabyte, .processor_s = 3 + (failure ? 0 : 6 * bytes / kMegabyte)};
}

Lines rehearse(const std::filesystem::path& file, const RehearsalLimits& limits,
               const std::function<Lines()>& work) {
  Pipe pipe;
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    be_child(parent, pipe.writing(), limits, work);
  }
  if (child < 0) {
    throw SystemError(fmt::format("{}: no process to read it in: {}", file.string(), std::strerror(errno)));
  }
  pipe.close_end(1);
  int error = 0;
  const std::string text = read_all(pipe.reading(), error);
  const int status = wait_for(child);
  if (error != 0) {
    throw SystemError(fmt::format("{}: the process that reads it cannot be heard: {}", file.string(),
                                  std::strerror(error)));
  }
  if (!is_complete(text)) {
    throw_end(file.string(), limits, status);
  }
  return answer(file.string(), limits, parse(text));
}

}  // namespace kvr::trace
