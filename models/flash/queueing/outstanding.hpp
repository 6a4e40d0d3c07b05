#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>

namespace kvr::flash {

/// How many requests are outstanding, and its integral over time, which is measured here event by event and
/// not taken from response times, so that Little's law is a check and no identity.
class Outstanding {
 public:
  void begin(double at_s) {
    settle(at_s);
    ++level_;
  }
  /// `at_s` may lie ahead; in order of time.
  void end(double at_s) { ends_s_.push_back(at_s); }

  /// Begun and not yet ended, ends that lie ahead counted as ended.
  std::int64_t count() const { return level_ - static_cast<std::int64_t>(ends_s_.size()); }

  double integral_s(double at_s) const { return at(at_s).integral_s_; }
  double busy_s(double at_s) const { return at(at_s).busy_s_; }

 private:
  Outstanding at(double at_s) const {
    Outstanding later = *this;
    later.settle(ends_s_.empty() ? at_s : std::max(at_s, ends_s_.back()));
    return later;
  }
  void settle(double at_s) {
    while (!ends_s_.empty() && ends_s_.front() <= at_s) {
      pass(ends_s_.front());
      ends_s_.pop_front();
      --level_;
    }
    pass(at_s);
  }
  void pass(double at_s) {
    const double passed_s = at_s > since_s_ ? at_s - since_s_ : 0.0;
    integral_s_ += static_cast<double>(level_) * passed_s;
    busy_s_ += level_ > 0 ? passed_s : 0.0;
    since_s_ = at_s > since_s_ ? at_s : since_s_;
  }

  std::deque<double> ends_s_;
  std::int64_t level_ = 0;
  double since_s_ = 0.0;
  double integral_s_ = 0.0;
  double busy_s_ = 0.0;
};

}  // namespace kvr::flash
