#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "sim/interfaces/flash_device.hpp"

namespace kvr::test {

/// What happens at a time; among equal times what was planned first.
class Agenda {
 public:
  using Step = std::function<void()>;

  double now_s() const { return now_s_; }
  void plan(double at_s, Step step) { entries_.push_back({at_s, std::move(step)}); }
  void run() {
    while (!entries_.empty()) {
      const auto next = std::ranges::min_element(entries_, {}, &Entry::at_s);  // the first of equal ones
      const Entry entry = *next;
      entries_.erase(next);
      REQUIRE(entry.at_s >= now_s_);
      now_s_ = entry.at_s;
      entry.step();
    }
  }

 private:
  struct Entry {
    double at_s;
    Step step;
  };
  std::vector<Entry> entries_;
  double now_s_ = 0.0;
};

/// Some servers and one queue.
class Station {
 public:
  Station(Agenda& agenda, std::string name, std::int64_t servers)
      : stats{std::move(name), servers, 0, 0.0, 0.0}, agenda_(&agenda), free_(servers) {}

  void enter(double service_s, Agenda::Step begun, Agenda::Step ended) {
    waiting_.push_back({agenda_->now_s(), service_s, std::move(begun), std::move(ended)});
    look();
  }

  ResourceStats stats;

 private:
  struct Job {
    double since_s;
    double service_s;
    Agenda::Step begun;
    Agenda::Step ended;
  };

  void look() {
    if (free_ == 0 || waiting_.empty()) {
      return;
    }
    --free_;
    const Job job = waiting_.front();
    waiting_.pop_front();
    ++stats.served;
    stats.busy_s += job.service_s;
    stats.waited_s += agenda_->now_s() - job.since_s;
    job.begun();
    agenda_->plan(agenda_->now_s() + job.service_s, [this, ended = job.ended] {
      ++free_;
      look();
      ended();
    });
  }

  Agenda* agenda_;
  std::int64_t free_;
  std::deque<Job> waiting_;
};

}  // namespace kvr::test
