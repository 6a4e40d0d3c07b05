#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace kvr {

/// Reports progress on stderr: a bar on a terminal, a plain line every tenth otherwise, nothing when quiet.
class ProgressBar {
 public:
  ProgressBar(std::string label, bool quiet);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// Of so many steps, or whatever is counted.
  void update(std::int64_t done, std::int64_t total);
  /// Of points of which so many are `finished`: how much is done, with parts of those that are at hand.
  struct PointsDone {
    double points;
    std::size_t finished;
    std::size_t total;
    std::size_t at_hand;  ///< that are being replayed
    std::int64_t steps;   ///< that these have behind them, all together
    std::int64_t of;      ///< so many
  };
  void update_points(const PointsDone& done);

 private:
  void show(double share, const std::string& text);
  void draw(double share, const std::string& text);

  std::string label_;
  bool quiet_;
  bool terminal_;
  bool drawn_ = false;
  int last_tenth_ = 0;
  std::chrono::steady_clock::time_point begin_;
  std::chrono::steady_clock::time_point last_draw_;
};

}  // namespace kvr
