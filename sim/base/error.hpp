#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace kvr {

/// Something outside the program is wrong; `main` turns it into a message and an exit code.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The user's input is wrong (exit 2). Carries every problem found, one line each.
class InputError : public Error {
 public:
  explicit InputError(std::string problem) : InputError(std::vector<std::string>{std::move(problem)}) {}
  explicit InputError(std::vector<std::string> problems)
      : Error(fmt::format("{}", fmt::join(problems, "\n"))), problems_(std::move(problems)) {}

  const std::vector<std::string>& problems() const { return problems_; }

 private:
  std::vector<std::string> problems_;
};

/// The system failed us: disk full, no permission (exit 3).
class SystemError : public Error {
 public:
  using Error::Error;
};

/// A policy broke its contract (exit 70); the text names the policy, and where and when.
class PolicyFault : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// An invariant of the program itself does not hold (exit 70).
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

namespace detail {
[[noreturn]] inline void fail_check(const char* condition, const char* file, int line,
                                    const std::string& what) {
  throw InternalError(fmt::format("{}:{}: '{}' does not hold: {}", file, line, condition, what));
}
}  // namespace detail

}  // namespace kvr

/// Broken invariants stop the run in every build, with the values that broke them.
/// A macro because the failed expression and its place belong in the message.
#define KVR_CHECK(condition, ...)                                                            \
  do {                                                                                       \
    if (!(condition)) {                                                                      \
      ::kvr::detail::fail_check(#condition, __FILE__, __LINE__, ::fmt::format(__VA_ARGS__)); \
    }                                                                                        \
  } while (false)
