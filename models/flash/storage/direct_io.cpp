#include "models/flash/storage/direct_io.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "sim/base/error.hpp"

namespace kvr::flash {

namespace {

constexpr std::int64_t kPageBytes = 4096;
/// Memory and threads that a mistyped depth must not take from the machine.
constexpr std::int64_t kMostBufferBytes = std::int64_t{1} << 30;
constexpr std::int64_t kMostDepth = 4096;
constexpr std::int64_t kMostThreads = 1024;

void require_affordable(const DirectIo::Options& options, std::string_view engine) {
  std::vector<std::string> problems;
  const std::int64_t most = engine == "threads" ? kMostThreads : kMostDepth;
  if (options.depth > most) {
    problems.push_back(fmt::format("{}: {} outstanding requests; the engine {} takes at most {}",
                                   options.path, options.depth, engine, most));
  } else if (options.depth * options.slot_bytes > kMostBufferBytes) {
    problems.push_back(fmt::format(
        "{}: {} outstanding requests of up to {} B need more than {} B of buffers; lower one of them",
        options.path, options.depth, options.slot_bytes, kMostBufferBytes));
  }
  if (!problems.empty()) {
    throw InputError(problems);
  }
}

}  // namespace

double wall_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

SlotBuffers::SlotBuffers(std::int64_t slots, std::int64_t slot_bytes)
    : slot_bytes_(slot_bytes), bytes_(slots * slot_bytes), begin_(nullptr) {
  KVR_CHECK(slots > 0 && slot_bytes > 0 && slot_bytes % kPageBytes == 0, "{} slots of {} B", slots,
            slot_bytes);
  void* memory = mmap(nullptr, static_cast<std::size_t>(bytes_), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) {
    throw SystemError(fmt::format("{} B of buffers: {}", bytes_, std::strerror(errno)));
  }
  begin_ = static_cast<std::byte*>(memory);
}

SlotBuffers::~SlotBuffers() {
  munmap(begin_, static_cast<std::size_t>(bytes_));
}

std::span<std::byte> SlotBuffers::slot(std::size_t index) const {
  const auto bytes = static_cast<std::size_t>(slot_bytes_);
  return all().subspan(index * bytes, bytes);
}

DirectIo::DirectIo(Options options)
    : options_(std::move(options)),
      buffers_(options_.depth, options_.slot_bytes),
      slots_(static_cast<std::size_t>(options_.depth)) {
  for (std::size_t i = slots_.size(); i > 0; --i) {
    free_.push_back(i - 1);
  }
}

std::span<std::byte> DirectIo::next_buffer() const {
  KVR_CHECK(!full(), "{} requests are outstanding", outstanding());
  return buffers_.slot(free_.back());
}

void DirectIo::start(const DirectRequest& request) {
  KVR_CHECK(!full(), "{} requests are outstanding", outstanding());
  KVR_CHECK(request.length_bytes > 0 && request.length_bytes <= options_.slot_bytes,
            "a request of {} B in slots of {} B", request.length_bytes, options_.slot_bytes);
  const std::size_t index = free_.back();
  free_.pop_back();
  most_outstanding_ = std::max(most_outstanding_, outstanding());
  slots_[index] = {request, wall_s(), 0.0};
  launch(index);
}

void DirectIo::wait(std::vector<DirectDone>& done) {
  if (outstanding() == 0) {
    return;
  }
  completions_.clear();
  collect(completions_);
  const double now_s = wall_s();
  std::string problem;
  for (const Completion& completion : completions_) {
    const Slot& slot = slots_[completion.slot];
    const auto bytes = static_cast<std::size_t>(slot.request.length_bytes);
    free_.push_back(completion.slot);
    if (completion.result != slot.request.length_bytes) {
      problem = problem_of(slot, completion.result);
    }
    done.push_back(
        {slot.request.id, slot.start_s, slot.handed_s, now_s, buffers_.slot(completion.slot).first(bytes)});
  }
  if (!problem.empty()) {
    throw SystemError(problem);
  }
}

std::string DirectIo::problem_of(const Slot& slot, std::int64_t result) const {
  const std::string what =
      fmt::format("{}: {} of {} B at {}", options_.path, slot.request.kind == IoKind::read ? "read" : "write",
                  slot.request.length_bytes, slot.request.offset_bytes);
  return result < 0 ? fmt::format("{}: {}", what, std::strerror(static_cast<int>(-result)))
                    : fmt::format("{}: only {} B were moved", what, result);
}

std::unique_ptr<DirectIo> make_direct_io(std::string_view engine, const DirectIo::Options& options) {
  KVR_CHECK(engine == "auto" || engine == "io_uring" || engine == "threads", "no engine is called '{}'",
            engine);
  const std::string refusal = engine == "threads" ? "" : io_uring_refusal();
  if (engine == "io_uring" && !refusal.empty()) {
    throw SystemError(fmt::format("{}: the kernel refuses io_uring ({}); the engine threads needs none",
                                  options.path, refusal));
  }
  const bool threads = engine == "threads" || !refusal.empty();
  require_affordable(options, threads ? "threads" : "io_uring");
  return threads ? make_thread_engine(options) : make_uring_engine(options);
}

}  // namespace kvr::flash
