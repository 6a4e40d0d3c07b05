#pragma once

#include <exception>

namespace kvr::cli {

/// Thrown where work stops because a signal asked for it.
class Interrupted : public std::exception {
 public:
  const char* what() const noexcept override { return "interrupted"; }
};

/// From now on SIGINT, SIGTERM and SIGHUP remove files that are half written and end the program as ever; a
/// broken pipe and a limit on file sizes are errors of the write that meets them and not the end.
void handle_signals();

/// While one lives, the first signal only makes `throw_if_interrupted` throw, so that what is finished can be
/// told; a second one, or five seconds without an end, ends the program at once. One at a time.
class PatientWithSignals {
 public:
  PatientWithSignals();
  ~PatientWithSignals();
  PatientWithSignals(const PatientWithSignals&) = delete;
  PatientWithSignals& operator=(const PatientWithSignals&) = delete;
};

void throw_if_interrupted();

/// Ends the program by the signal that interrupted it, which is what shells look at.
[[noreturn]] void end_by_signal();

}  // namespace kvr::cli
