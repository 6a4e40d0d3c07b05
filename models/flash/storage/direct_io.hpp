#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/interfaces/flash_device.hpp"

namespace kvr::flash {

/// Seconds of this machine's monotonic clock.
double wall_s();

/// Page-aligned memory, split evenly into slots.
class SlotBuffers {
 public:
  SlotBuffers(std::int64_t slots, std::int64_t slot_bytes);
  ~SlotBuffers();
  SlotBuffers(const SlotBuffers&) = delete;
  SlotBuffers& operator=(const SlotBuffers&) = delete;

  std::span<std::byte> slot(std::size_t index) const;
  std::span<std::byte> all() const { return {begin_, static_cast<std::size_t>(bytes_)}; }

 private:
  std::int64_t slot_bytes_;
  std::int64_t bytes_;
  std::byte* begin_;
};

/// One command to the real device: at most a slot long, aligned as O_DIRECT demands.
struct DirectRequest {
  std::uint64_t id = 0;
  IoKind kind = IoKind::read;
  std::int64_t offset_bytes = 0;
  std::int64_t length_bytes = 0;
};

/// start_s <= handed_s <= done_s, of wall_s().
struct DirectDone {
  std::uint64_t id = 0;
  double start_s = 0.0;             ///< when `start` took it
  double handed_s = 0.0;            ///< when the kernel had it
  double done_s = 0.0;              ///< when `wait` saw it done
  std::span<const std::byte> data;  ///< what was read or written; valid until the next `start`
};

/// Real requests on one open file or block device, at most `depth` outstanding: the cap is kept here and not
/// left to the block layer. One thread starts and waits; several threads take an engine each.
class DirectIo {
 public:
  struct Options {
    int descriptor = -1;  ///< opened with O_DIRECT; outlives the engine
    std::string path;     ///< for messages
    std::int64_t depth = 1;
    std::int64_t slot_bytes = 4096;  ///< longest request; whole pages
  };

  explicit DirectIo(Options options);
  virtual ~DirectIo() = default;
  DirectIo(const DirectIo&) = delete;
  DirectIo& operator=(const DirectIo&) = delete;

  /// "io_uring" or "threads".
  virtual std::string_view engine() const = 0;
  /// What differs from how the engine should work, empty mostly.
  virtual std::string remark() const { return {}; }

  std::int64_t depth() const { return options_.depth; }
  std::int64_t slot_bytes() const { return options_.slot_bytes; }
  std::int64_t outstanding() const { return options_.depth - static_cast<std::int64_t>(free_.size()); }
  std::int64_t most_outstanding() const { return most_outstanding_; }
  bool full() const { return free_.empty(); }

  /// Where the next request's bytes are taken from (write) or go to (read); not when full.
  std::span<std::byte> next_buffer() const;
  /// Takes a request; not when full. A write sends what its slot holds.
  void start(const DirectRequest& request);
  /// Waits until at least one request is done and appends all that are; nothing when none is outstanding.
  /// Throws SystemError when a request failed.
  void wait(std::vector<DirectDone>& done);

 protected:
  struct Slot {
    DirectRequest request;
    double start_s = 0.0;
    double handed_s = 0.0;
  };
  struct Completion {
    std::size_t slot = 0;
    std::int64_t result = 0;  ///< bytes moved, or -errno
  };

  virtual void launch(std::size_t slot) = 0;
  /// At least one; only called with requests outstanding.
  virtual void collect(std::vector<Completion>& completions) = 0;

  const Options& options() const { return options_; }
  const SlotBuffers& buffers() const { return buffers_; }
  Slot& slot(std::size_t index) { return slots_[index]; }

 private:
  std::string problem_of(const Slot& slot, std::int64_t result) const;

  Options options_;
  SlotBuffers buffers_;
  std::vector<Slot> slots_;        ///< [depth]
  std::vector<std::size_t> free_;  ///< slots that no request holds, the next one last
  std::int64_t most_outstanding_ = 0;
  std::vector<Completion> completions_;
};

/// Why this kernel does not let us use io_uring ("Operation not permitted"); empty when it does.
std::string io_uring_refusal();

/// `engine`: io_uring, threads, or auto, which takes threads where io_uring is refused. Throws InputError
/// when depth and slots ask for more than an engine takes, SystemError when the system refuses.
std::unique_ptr<DirectIo> make_direct_io(std::string_view engine, const DirectIo::Options& options);

std::unique_ptr<DirectIo> make_uring_engine(const DirectIo::Options& options);
std::unique_ptr<DirectIo> make_thread_engine(const DirectIo::Options& options);

}  // namespace kvr::flash
