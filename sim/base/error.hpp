#pragma once

#include <fmt/format.h>

#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
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

/// An invariant of the program itself does not hold (exit 70).
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// A policy broke its contract (exit 70): what it is called, where and when, and what is wrong. It may come
/// from elsewhere than this repository, so it is not told as a bug of the program.
class PolicyFault : public InternalError {
 public:
  using InternalError::InternalError;
};

namespace detail {
[[noreturn]] inline void fail_check(const char* condition, const char* file, int line,
                                    const std::string& what) {
  throw InternalError(fmt::format("{}:{}: '{}' does not hold: {}", file, line, condition, what));
}
}  // namespace detail

/// Runs `act`, in which nothing can go wrong but by the policy `name` of `kind`; `where()`: "layer 1, head
/// 0".
template <class Where, class Act>
void blaming(std::string_view kind, std::string_view name, Where where, Act act) {
  try {
    act();
  } catch (const PolicyFault&) {
    throw;
  } catch (const InputError&) {
    throw;
  } catch (const SystemError&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {  // what a policy's own code or the standard library throws
    throw PolicyFault(fmt::format("{} '{}': {}: {}", kind, name, where(), error.what()));
  }
}

}  // namespace kvr

/// Broken invariants stop the run in every build, with the values that broke them.
/// A macro because the failed expression and its place belong in the message.
#define KVR_CHECK(condition, ...)                                                            \
  do {                                                                                       \
    if (!(condition)) {                                                                      \
      ::kvr::detail::fail_check(#condition, __FILE__, __LINE__, ::fmt::format(__VA_ARGS__)); \
    }                                                                                        \
  } while (false)
