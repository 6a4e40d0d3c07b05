#include "sim/cli/progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "sim/cli/messages.hpp"

namespace kvr {
namespace {

constexpr std::chrono::milliseconds kRedraw{100};
constexpr int kBarWidth = 30;

/// ", 4 at hand, 12 of their 400 steps", or of one point alone ", 12 of 400 steps".
std::string at_hand_text(const ProgressBar::PointsDone& done) {
  if (done.total == 1) {
    return done.of > 0 ? fmt::format(", {} of {} steps", done.steps, done.of) : "";
  }
  const std::string steps = done.of > 0 ? fmt::format(", {} of their {} steps", done.steps, done.of) : "";
  return done.at_hand > 0 ? fmt::format(", {} at hand{}", done.at_hand, steps) : "";
}

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
  show(static_cast<double>(done) / static_cast<double>(total), fmt::format("{} of {} steps", done, total));
}

void ProgressBar::update_points(const PointsDone& done) {
  const double share = done.points / static_cast<double>(done.total);
  const std::string finished =
      done.total > 1 ? fmt::format(", {} of {} points", done.finished, done.total) : "";
  show(share, fmt::format("{:.0f} %{}{}", 100.0 * share, finished, at_hand_text(done)));
}

void ProgressBar::show(double share, const std::string& text) {
  if (quiet_ || share <= 0.0) {
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  const double elapsed_s = std::chrono::duration<double>(now - begin_).count();
  const std::string timed =
      fmt::format("{}, {:.1f} s, {:.0f} s left", text, elapsed_s, elapsed_s * (1.0 - share) / share);
  if (terminal_) {
    if (now - last_draw_ >= kRedraw || share >= 1.0) {
      last_draw_ = now;
      draw(share, timed);
    }
    return;
  }
  const int tenth = static_cast<int>(10.0 * share);
  if (tenth > last_tenth_) {
    last_tenth_ = tenth;
    cli::say("{}: {}\n", label_, timed);
  }
}

void ProgressBar::draw(double share, const std::string& text) {
  const int filled = static_cast<int>(kBarWidth * std::min(share, 1.0));
  cli::say("\r{} [{:=<{}}{:<{}}] {} \033[K", label_, "", filled, "", kBarWidth - filled, text);
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace kvr
