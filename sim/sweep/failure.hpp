#pragma once

#include <string>

namespace kvr::sweep {

/// Exit codes of the program, by who is at fault.
inline constexpr int kInputExit = 2;
inline constexpr int kSystemExit = 3;
inline constexpr int kBugExit = 70;

/// Why something could not be done, for the user.
struct Failure {
  int exit_code;
  std::string text;
};

/// Of the exception that is being handled, which must derive from std::exception.
Failure failure_at_hand();

}  // namespace kvr::sweep
