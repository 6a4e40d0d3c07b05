// Requests by io_uring, one ring for each engine and so for each thread that submits:
//
//   launch:   fill a submission entry, on the registered file and, where the kernel allows, the registered
//             buffers; nothing reaches the kernel yet
//   collect:  one system call hands over all that was launched, a second waits for a completion; take all
//             completions there are
//
// Submitting and waiting apart, as fio does, tells the time of submission from that of completion. No polling
// and no kernel thread that submits: phones have neither.
#include <liburing.h>

#include <cerrno>
#include <cstring>

#include "models/flash/storage/direct_io.hpp"
#include "sim/base/error.hpp"

namespace kvr::flash {

namespace {

/// A ring that is closed when it goes.
class Ring {
 public:
  explicit Ring(std::int64_t entries)
      : status_(io_uring_queue_init(static_cast<unsigned>(entries), &ring_, 0)) {}
  ~Ring() {
    if (status_ == 0) {
      io_uring_queue_exit(&ring_);
    }
  }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  int status() const { return status_; }  ///< 0 or -errno
  io_uring* get() { return &ring_; }

 private:
  io_uring ring_{};
  int status_;
};

std::string reason(int status) {
  return std::strerror(-status);
}

class UringEngine final : public DirectIo {
 public:
  explicit UringEngine(const Options& wanted) : DirectIo(wanted), ring_(wanted.depth) {
    const int descriptor = options().descriptor;
    require(ring_.status(), "a ring cannot be made");
    require(io_uring_register_files(ring_.get(), &descriptor, 1), "the file cannot be registered");
    const std::span<std::byte> memory = buffers().all();
    const iovec all{memory.data(), memory.size()};
    const int status = io_uring_register_buffers(ring_.get(), &all, 1);
    fixed_buffers_ = status == 0;
    if (!fixed_buffers_) {
      remark_ = fmt::format(
          "buffers are not registered with io_uring ({}), so that the kernel pins them for every request",
          reason(status));
    }
  }

  /// The kernel writes to the buffers until the last request is done.
  ~UringEngine() override {
    while (in_kernel_ > 0) {
      io_uring_cqe* entry = nullptr;
      const int status = io_uring_wait_cqe(ring_.get(), &entry);
      if (status == 0) {
        io_uring_cqe_seen(ring_.get(), entry);
        --in_kernel_;
      } else if (status != -EINTR) {
        break;
      }
    }
  }

  std::string_view engine() const override { return "io_uring"; }
  std::string remark() const override { return remark_; }

 private:
  void require(int status, std::string_view what) const {
    if (status < 0) {
      throw SystemError(fmt::format("{}: io_uring: {}: {}", options().path, what, reason(status)));
    }
  }

  void launch(std::size_t index) override {
    io_uring_sqe* entry = io_uring_get_sqe(ring_.get());
    KVR_CHECK(entry != nullptr, "the ring has no room for {} requests", depth());
    const DirectRequest& request = slot(index).request;
    void* data = buffers().slot(index).data();
    const auto bytes = static_cast<unsigned>(request.length_bytes);
    const auto offset = static_cast<std::uint64_t>(request.offset_bytes);
    constexpr int kFile = 0;  // both indices are those of the registration
    constexpr int kBuffer = 0;
    if (request.kind == IoKind::read && fixed_buffers_) {
      io_uring_prep_read_fixed(entry, kFile, data, bytes, offset, kBuffer);
    } else if (request.kind == IoKind::read) {
      io_uring_prep_read(entry, kFile, data, bytes, offset);
    } else if (fixed_buffers_) {
      io_uring_prep_write_fixed(entry, kFile, data, bytes, offset, kBuffer);
    } else {
      io_uring_prep_write(entry, kFile, data, bytes, offset);
    }
    io_uring_sqe_set_flags(entry, IOSQE_FIXED_FILE);
    io_uring_sqe_set_data64(entry, index);
    launched_.push_back(index);
  }

  void hand_over() {
    while (io_uring_sq_ready(ring_.get()) > 0) {
      const int taken = io_uring_submit(ring_.get());
      if (taken == -EINTR) {
        continue;
      }
      require(taken, "requests cannot be submitted");
      KVR_CHECK(taken > 0, "the kernel took none of {} requests", launched_.size());
      in_kernel_ += taken;
    }
    const double now_s = wall_s();
    for (const std::size_t index : launched_) {
      slot(index).handed_s = now_s;
    }
    launched_.clear();
  }

  void collect(std::vector<Completion>& completions) override {
    hand_over();
    io_uring_cqe* entry = nullptr;
    int status = -EINTR;
    while (status == -EINTR) {
      status = io_uring_wait_cqe(ring_.get(), &entry);
    }
    require(status, "no completion can be waited for");
    while (entry != nullptr) {
      completions.push_back({io_uring_cqe_get_data64(entry), entry->res});
      io_uring_cqe_seen(ring_.get(), entry);
      --in_kernel_;
      if (io_uring_peek_cqe(ring_.get(), &entry) != 0) {
        entry = nullptr;
      }
    }
  }

  Ring ring_;
  bool fixed_buffers_ = false;
  std::string remark_;
  std::vector<std::size_t> launched_;  ///< slots that the kernel does not have yet
  std::int64_t in_kernel_ = 0;
};

}  // namespace

std::string io_uring_refusal() {
  const Ring ring(1);
  return ring.status() == 0 ? "" : reason(ring.status());
}

std::unique_ptr<DirectIo> make_uring_engine(const DirectIo::Options& options) {
  return std::make_unique<UringEngine>(options);
}

}  // namespace kvr::flash
