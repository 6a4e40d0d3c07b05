#include "sim/cli/progress.hpp"

#include <unistd.h>

#include <cstdio>

#include "sim/cli/messages.hpp"

namespace kvr {
namespace {

constexpr std::chrono::milliseconds kRedraw{100};
constexpr std::int64_t kBarWidth = 30;

}  // namespace

ProgressBar::ProgressBar(std::string label, bool quiet)
    : label_(std::move(label)),
      quiet_(quiet),
      terminal_(isatty(STDERR_FILENO) == 1),
      begin_(std::chrono::steady_clock::now()),
      last_draw_(begin_ - kRedraw) {}

ProgressBar::~ProgressBar() {
  if (drawn_) {
    std::fputs("\n", stderr);
  }
}

void ProgressBar::update(std::int64_t done, std::int64_t total) {
  if (quiet_) {
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  const double elapsed_s = std::chrono::duration<double>(now - begin_).count();
  if (terminal_) {
    if (now - last_draw_ >= kRedraw || done == total) {
      last_draw_ = now;
      draw(done, total, elapsed_s);
    }
    return;
  }
  const std::int64_t tenth = 10 * done / total;
  if (tenth > last_tenth_) {
    last_tenth_ = tenth;
    cli::say("{}: {} of {} steps, {:.1f} s\n", label_, done, total, elapsed_s);
  }
}

void ProgressBar::draw(std::int64_t done, std::int64_t total, double elapsed_s) {
  const std::int64_t filled = kBarWidth * done / total;
  const double left_s = elapsed_s / static_cast<double>(done) * static_cast<double>(total - done);
  cli::say("\r{} [{:=<{}}{:<{}}] {}/{} steps, {:.1f} s, {:.0f} s left \033[K", label_, "", filled, "",
           kBarWidth - filled, done, total, elapsed_s, left_s);
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace kvr
