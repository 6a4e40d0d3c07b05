#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

namespace kvr {

/// A fixed set of threads that run loops together with the caller.
///
/// Iterations must not depend on one another: which thread takes which is open, so results are the same for
/// any number of threads. The exception of the lowest iteration that throws reaches the caller, so messages
/// do not depend on the threads either; with several threads the other iterations have run by then.
class Workers {
 public:
  /// `threads` >= 1 counts the caller. Throws SystemError where the system has not that many; `key` is what
  /// the user calls their number.
  explicit Workers(std::int64_t threads, std::string_view key = "run.threads");
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  void for_each(std::int64_t count, const std::function<void(std::int64_t)>& body);

 private:
  void stop();
  void serve();
  void drain(const std::function<void(std::int64_t)>& body, std::int64_t count);

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable finished_;
  const std::function<void(std::int64_t)>* body_ = nullptr;
  std::int64_t count_ = 0;
  std::int64_t next_ = 0;
  std::int64_t active_ = 0;
  std::uint64_t round_ = 0;
  bool stop_ = false;
  std::exception_ptr failure_;
  std::int64_t failed_at_ = 0;  ///< iteration of `failure_`
  std::vector<std::jthread> threads_;
};

}  // namespace kvr
