#include "sim/cli/signals.hpp"

#include <signal.h>
#include <unistd.h>

#include <atomic>

#include "sim/base/files/new_file.hpp"

namespace kvr::cli {
namespace {

/// Half of what service managers and containers commonly give before they kill.
constexpr unsigned kPatienceSeconds = 5;

/// What the handler knows: a signal reaches the whole program, so this is the program's.
struct State {
  std::atomic<bool> patient{false};
  std::atomic<int> caught{0};
};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

State& state() {
  static constinit State signals;
  return signals;
}

/// Only calls that a signal handler may make.
[[noreturn]] void die_of(int number) {
  remove_unfinished_files();
  signal(number, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  raise(number);
  _exit(128 + number);
}

void receive(int number) {
  if (state().patient && state().caught.exchange(number) == 0) {
    alarm(kPatienceSeconds);
    return;
  }
  die_of(number);
}

void lose_patience(int) {
  die_of(state().caught);
}

void set_handler(int number, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(number, &action, nullptr);
}

}  // namespace

void handle_signals() {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before {};
    sigaction(number, nullptr, &before);
    if (before.sa_handler == SIG_IGN) {
      continue;  // as nohup asked for, or a shell for what runs in its background
    }
    set_handler(number, receive);
  }
  set_handler(SIGALRM, lose_patience);
}

PatientWithSignals::PatientWithSignals() {
  state().patient = true;
}

PatientWithSignals::~PatientWithSignals() {
  state().patient = false;
}

void throw_if_interrupted() {
  if (state().caught != 0) {
    throw Interrupted();
  }
}

void end_by_signal() {
  die_of(state().caught);
}

}  // namespace kvr::cli
