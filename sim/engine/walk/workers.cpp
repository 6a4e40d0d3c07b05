#include "sim/engine/walk/workers.hpp"

#include <system_error>

#include "sim/base/error.hpp"

namespace kvr {

Workers::Workers(std::int64_t threads, std::string_view key) {
  try {
    for (std::int64_t i = 1; i < threads; ++i) {
      threads_.emplace_back([this] { serve(); });
    }
  } catch (const std::system_error& error) {
    stop();  // or those that did start would be waited for without end
    throw SystemError(fmt::format("{}: {} of {} threads can be had: {}", key, threads_.size() + 1, threads,
                                  error.code().message()));
  } catch (...) {
    stop();
    throw;
  }
}

Workers::~Workers() {
  stop();
}

void Workers::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
}

void Workers::for_each(std::int64_t count, const std::function<void(std::int64_t)>& body) {
  if (threads_.empty() || count <= 1) {
    for (std::int64_t i = 0; i < count; ++i) {
      body(i);
    }
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    body_ = &body;
    count_ = count;
    next_ = 0;
    failure_ = nullptr;
    failed_at_ = count;
    active_ = static_cast<std::int64_t>(threads_.size());
    ++round_;
  }
  wake_.notify_all();
  drain(body, count);
  std::unique_lock lock(mutex_);
  finished_.wait(lock, [this] { return active_ == 0; });
  body_ = nullptr;
  if (failure_) {
    std::rethrow_exception(failure_);
  }
}

void Workers::serve() {
  std::uint64_t seen = 0;
  while (true) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return stop_ || round_ != seen; });
    if (stop_) {
      return;
    }
    seen = round_;
    const std::function<void(std::int64_t)>& body = *body_;
    const std::int64_t count = count_;
    lock.unlock();
    drain(body, count);
    lock.lock();
    if (--active_ == 0) {
      finished_.notify_one();
    }
  }
}

void Workers::drain(const std::function<void(std::int64_t)>& body, std::int64_t count) {
  while (true) {
    std::int64_t i = 0;
    {
      const std::lock_guard lock(mutex_);
      if (next_ >= count) {
        return;
      }
      i = next_++;
    }
    try {
      body(i);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (i < failed_at_) {
        failed_at_ = i;
        failure_ = std::current_exception();
      }
    }
  }
}

}  // namespace kvr
