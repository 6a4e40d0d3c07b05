// Requests by threads that block in pread and pwrite: all that an ordinary Android app may do.
//
//   depth 1:   the caller itself blocks in `collect`, so that no hand-over between threads is measured
//   depth > 1: as many threads as the depth, each takes the next launched slot, blocks, and reports it done
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <stop_token>
#include <system_error>
#include <thread>

#include "models/flash/storage/direct_io.hpp"
#include "sim/base/error.hpp"

namespace kvr::flash {

namespace {

/// All of it unless the file ends or the system refuses: bytes moved, or -errno.
std::int64_t transfer(int descriptor, const DirectRequest& request, std::byte* data) {
  std::int64_t moved = 0;
  while (moved < request.length_bytes) {
    const auto bytes = static_cast<std::size_t>(request.length_bytes - moved);
    const off_t offset = request.offset_bytes + moved;
    const ssize_t got = request.kind == IoKind::read ? pread(descriptor, data + moved, bytes, offset)
                                                     : pwrite(descriptor, data + moved, bytes, offset);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return -errno;
    }
    if (got == 0) {
      break;
    }
    moved += got;
  }
  return moved;
}

class ThreadEngine final : public DirectIo {
 public:
  explicit ThreadEngine(const Options& wanted) : DirectIo(wanted) {
    if (depth() == 1) {
      return;
    }
    try {
      for (std::int64_t lane = 0; lane < depth(); ++lane) {
        lanes_.emplace_back([this](const std::stop_token& stop) { serve(stop); });
      }
    } catch (const std::system_error& error) {
      throw SystemError(
          fmt::format("{}: {} threads cannot be started: {}", options().path, depth(), error.what()));
    }
  }

  std::string_view engine() const override { return "threads"; }

 private:
  void launch(std::size_t index) override {
    {
      const std::lock_guard lock(mutex_);
      launched_.push_back(index);
    }
    if (!lanes_.empty()) {
      work_.notify_one();
    }
  }

  void collect(std::vector<Completion>& completions) override {
    if (lanes_.empty()) {
      const std::size_t index = launched_.front();
      launched_.pop_front();
      completions.push_back(perform(index));
      return;
    }
    std::unique_lock lock(mutex_);
    finished_.wait(lock, [this] { return !ready_.empty(); });
    completions.swap(ready_);
  }

  Completion perform(std::size_t index) {
    slot(index).handed_s = wall_s();
    return {index, transfer(options().descriptor, slot(index).request, buffers().slot(index).data())};
  }

  void serve(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (work_.wait(lock, stop, [this] { return !launched_.empty(); })) {
      const std::size_t index = launched_.front();
      launched_.pop_front();
      lock.unlock();
      const Completion completion = perform(index);
      lock.lock();
      ready_.push_back(completion);
      finished_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any work_;
  std::condition_variable finished_;
  std::deque<std::size_t> launched_;  ///< slots that no lane has taken
  std::vector<Completion> ready_;     ///< that `collect` has not taken
  std::vector<std::jthread> lanes_;   ///< last, so that they end before what they use
};

}  // namespace

std::unique_ptr<DirectIo> make_thread_engine(const DirectIo::Options& options) {
  return std::make_unique<ThreadEngine>(options);
}

}  // namespace kvr::flash
