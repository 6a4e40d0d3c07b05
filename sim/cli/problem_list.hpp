#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sim/error.hpp"

namespace kvr::cli {

/// Everything that is wrong with a command's input, gathered from steps that do not need each other.
class ProblemList {
 public:
  void add(std::string problem) { problems_.push_back(std::move(problem)); }

  /// Runs `step`, and keeps what it finds wrong.
  template <class Step>
  void collect(Step step) {
    try {
      step();
    } catch (const InputError& error) {
      problems_.insert(problems_.end(), error.problems().begin(), error.problems().end());
    }
  }

  bool empty() const { return problems_.empty(); }
  void throw_if_any() const {
    if (!problems_.empty()) {
      throw InputError(problems_);
    }
  }

 private:
  std::vector<std::string> problems_;
};

}  // namespace kvr::cli
