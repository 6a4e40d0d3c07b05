#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "sim/base/error.hpp"

namespace kvr {

/// Everything that is wrong with an input, and what the system refuses of it, gathered from steps
/// that do not need each other.
class ProblemList {
 public:
  void add(std::string problem) { problems_.push_back(std::move(problem)); }

  /// Runs `step`, and keeps what it finds wrong; returns whether that is nothing.
  template <class Step>
  bool collect(Step step) {
    try {
      step();
      return true;
    } catch (const InputError& error) {
      problems_.insert(problems_.end(), error.problems().begin(), error.problems().end());
    } catch (const SystemError& error) {
      refusals_.emplace_back(error.what());
    }
    return false;
  }

  bool empty() const { return problems_.empty() && refusals_.empty(); }
  /// All at once; as SystemError where nothing but the system is at fault.
  void throw_if_any() const {
    std::vector<std::string> all = problems_;
    all.insert(all.end(), refusals_.begin(), refusals_.end());
    if (!problems_.empty()) {
      throw InputError(std::move(all));
    }
    if (!all.empty()) {
      throw SystemError(fmt::format("{}", fmt::join(all, "\n")));
    }
  }

 private:
  std::vector<std::string> problems_;
  std::vector<std::string> refusals_;
};

}  // namespace kvr
