// Requests served by a real file or block device, timed:
//
//   first batch:  create, write, check and drop the file (storage_file.hpp)
//   batch at t:   begin = max(t, end of the batch before)
//                 with keep_gaps: sleep until as much real time has passed since that end as simulated time
//                 place every request in the file (address_map.hpp), cut it at max_transfer
//                 keep queue_depth commands outstanding until all are done
//                 a request starts when its first command does and is done when its last one is, both
//                 begin + real time since the batch began
//                 ask every model how long it takes for the same batch (model_comparison.hpp)
//
// Times are real, so results differ from run to run. A batch is performed as a whole when it is submitted:
// batches never overlap in the device, which is what the engine's closed loop does anyway. The host's own
// cost is in the measured times; the phone's is not added. In stats() everything inside the device is 0:
// mapping misses, sensed and programmed bytes, processor time, resources. Energy is not measured: it is that
// of the parameters for the requests served, with no mapping misses and an SLC pool as the parameters say.
#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "models/flash/address_map.hpp"
#include "models/flash/device_energy.hpp"
#include "models/flash/device_params.hpp"
#include "models/flash/model_comparison.hpp"
#include "models/flash/slc_pool.hpp"
#include "models/flash/storage/direct_io.hpp"
#include "models/flash/storage/storage_file.hpp"
#include "models/flash/storage/storage_host.hpp"
#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/flash_device.hpp"

namespace kvr::flash {

namespace {

struct FileParams {
  DeviceParams device;
  std::string path;
  std::int64_t size = std::int64_t{1} << 30;
  std::string engine = "auto";
  bool overwrite = false;
  bool keep = false;
  bool keep_gaps = false;
};

ParamTable<FileParams> own_rows() {
  using P = FileParams;
  return {
      {"path",
       &P::path,
       {.doc = "file to create on the storage that is measured, or a block device; relative to the working "
               "directory",
        .required = true}},
      {"size",
       &P::size,
       {.doc = "bytes of the file, all written before the run; rounded up to whole MiB",
        .quantity = Quantity::bytes,
        .min = 1,
        .max = bounds::kBytes}},
      {"engine",
       &P::engine,
       {.doc = "how requests reach the kernel; auto: io_uring, and threads where it is refused",
        .choices = "auto|io_uring|threads"}},
      {"overwrite",
       &P::overwrite,
       {.doc = "an existing file or block device may be used; its content is lost"}},
      {"keep", &P::keep, {.doc = "leave the file when the run is over"}},
      {"keep_gaps",
       &P::keep_gaps,
       {.doc = "let as much real time pass between batches as simulated time, so that the device idles as "
               "it would"}},
  };
}

class FileDevice final : public FlashDevice {
 public:
  static constexpr std::string_view kName = "file";
  static constexpr std::string_view kDoc =
      "A real file or block device: requests are performed and timed, and models asked beside it.";
  static constexpr std::string_view kSource = "io_uring or threads with O_DIRECT";

  using Params = FileParams;
  static ParamTable<Params> params() {
    ParamTable<Params> rows = own_rows();
    const ParamTable<Params> shared = table_of_part(device_param_table(), &FileParams::device);
    rows.insert(rows.end(), shared.begin(), shared.end());
    return rows;
  }

  FileDevice(Params params, const Context& context)
      : params_(std::move(params)), map_(file_bytes()), slc_(params_.device) {
    std::vector<std::string> problems = check(params_.device);
    for (const std::string& problem : check_storage_path(params_.path, params_.overwrite)) {
      problems.push_back(fmt::format("path: {}", problem));
    }
    if (!problems.empty()) {
      throw InputError(std::move(problems));
    }
    models_ = models_to_compare(params_.device, context.root_seed);
  }

  DeviceLimits limits() const override {
    const DeviceParams& d = params_.device;
    return {d.queue_depth, d.block, d.max_transfer, d.link};
  }

  /// The real device knows its own; the models are told.
  void set_working_set(std::int64_t bytes) override {
    working_set_bytes_ = bytes;
    for (ComparedModel& model : models_) {
      model.set_working_set(bytes);
    }
  }

  void submit(std::span<const IoRequest> requests) override {
    while (!requests.empty()) {
      const double at_s = requests.front().submit_s;
      const auto end = std::ranges::find_if(
          requests, [at_s](const IoRequest& request) { return request.submit_s != at_s; });
      const auto length = static_cast<std::size_t>(end - requests.begin());
      serve(requests.first(length), at_s);
      requests = requests.subspan(length);
    }
  }

  double next_event_s() override {
    return delivered_ == pending_.size() ? std::numeric_limits<double>::infinity()
                                         : pending_[delivered_].done_s;
  }

  void advance(double to_s, std::vector<IoDone>& done) override {
    KVR_CHECK(to_s >= now_s_, "time goes back from {} s to {} s", now_s_, to_s);
    now_s_ = to_s;
    for (; delivered_ < pending_.size() && pending_[delivered_].done_s <= to_s; ++delivered_) {
      done.push_back(pending_[delivered_]);
    }
    if (delivered_ == pending_.size()) {
      pending_.clear();
      delivered_ = 0;
    }
  }

  DeviceStats stats() const override { return stats_; }

  DeviceEnergy energy(double at_s) const override {
    DeviceStats assumed = stats_;
    assumed.sensed_bytes = sensed_bytes_;
    assumed.slc_bytes = slc_.slc_bytes();
    assumed.tlc_bytes = slc_.tlc_bytes();
    return energy_of(params_.device, assumed, at_s);
  }

  std::vector<std::string> notes() const override { return notes_; }

  std::vector<ModelError> model_errors() const override {
    std::vector<ModelError> errors;
    for (const ComparedModel& model : models_) {
      errors.push_back(model.error());
    }
    return errors;
  }

 private:
  /// One command and the request of the batch that it belongs to.
  struct Command {
    std::size_t request;
    Extent extent;
  };

  std::int64_t file_bytes() const {
    constexpr std::int64_t kUnit = AddressMap::kChunkBytes;
    return (params_.size + kUnit - 1) / kUnit * kUnit;
  }

  void open() {
    file_.emplace(StorageFile::Options{params_.path, file_bytes(), params_.overwrite, params_.keep});
    constexpr std::int64_t kPage = 4096;
    const std::int64_t slot_bytes = (params_.device.max_transfer + kPage - 1) / kPage * kPage;
    io_ = make_direct_io(params_.engine,
                         {file_->descriptor(), params_.path, params_.device.queue_depth, slot_bytes});
    write_notes(describe_storage_host(file_->descriptor()), file_->prepare(*io_, {}));
  }

  void write_notes(const StorageHost& host, const std::vector<std::string>& remarks) {
    notes_.push_back(
        fmt::format("flash times were measured on this machine and differ from run to run: {} ({} MiB, {}), "
                    "engine {}, at "
                    "most {} commands of up to {} B outstanding; the phone's host cost is not added",
                    params_.path, file_bytes() >> 20, host.file_system, io_->engine(), io_->depth(),
                    params_.device.max_transfer));
    notes_.push_back(fmt::format(
        "storage of this machine: {}, CPU {}, block device {} (model {}, scheduler {}, nr_requests {}, "
        "max_sectors_kb {}, write cache {})",
        host.kernel, host.cpu, host.block_device, host.model, host.scheduler, host.nr_requests,
        host.max_sectors_kb, host.write_cache));
    notes_.insert(notes_.end(), remarks.begin(), remarks.end());
    notes_.emplace_back("flash energy is that of the parameters, not measured, and without mapping misses");
    if (!io_->remark().empty()) {
      notes_.push_back(io_->remark());
    }
  }

  void serve(std::span<const IoRequest> batch, double submit_s) {
    KVR_CHECK(submit_s >= now_s_, "submitted at {} s, after {} s", submit_s, now_s_);
    if (!file_) {
      open();
    }
    place(batch);
    const double start_s = std::max(submit_s, free_s_);
    const double gap_s = start_s - free_s_;
    slc_.idle(gap_s);
    if (params_.keep_gaps) {
      const double left_s = real_end_s_ + gap_s - wall_s();
      std::this_thread::sleep_for(std::chrono::duration<double>(std::max(0.0, left_s)));
    }
    const std::size_t first = pending_.size();
    const double lasted_s = perform(batch, start_s);
    count(batch, std::span(pending_).subspan(first));
    std::sort(pending_.begin() + static_cast<std::ptrdiff_t>(first), pending_.end(), before);
    free_s_ = pending_.back().done_s;
    stats_.busy_s += lasted_s;
    for (ComparedModel& model : models_) {
      model.compare(batch, gap_s, lasted_s);
    }
  }

  /// Fills commands_ with what the batch becomes in the file.
  void place(std::span<const IoRequest> batch) {
    ranges_.clear();
    for (const IoRequest& request : batch) {
      check_request(request);
      ranges_.push_back({request.offset_bytes, request.length_bytes});
    }
    if (const std::int64_t needed = map_.needed_bytes(ranges_); needed > file_bytes()) {
      throw InputError(fmt::format(
          "device.size: {} MiB are full; the requests so far and those at hand touch {} MiB in chunks of {} "
          "MiB, the working set is {} MiB, and later steps may touch more; give at least {}MiB",
          file_bytes() >> 20, needed >> 20, AddressMap::kChunkBytes >> 20, working_set_bytes_ >> 20,
          std::max(needed, working_set_bytes_) >> 20));
    }
    commands_.clear();
    for (std::size_t i = 0; i < ranges_.size(); ++i) {
      pieces_.clear();
      map_.place(ranges_[i], pieces_);
      for (const Extent& piece : pieces_) {
        for (std::int64_t at = piece.offset_bytes; at < piece.end_bytes();) {
          const std::int64_t bytes = std::min(params_.device.max_transfer, piece.end_bytes() - at);
          commands_.push_back({i, {at, bytes}});
          at += bytes;
        }
      }
    }
  }

  /// Returns the real seconds from the first start to the last completion.
  double perform(std::span<const IoRequest> batch, double start_s) {
    const std::size_t first = pending_.size();
    for (const IoRequest& request : batch) {
      pending_.push_back({.id = request.id, .start_s = std::numeric_limits<double>::infinity()});
    }
    const double begin_s = wall_s();
    std::size_t next = 0;
    while (next < commands_.size() || io_->outstanding() > 0) {
      while (next < commands_.size() && !io_->full()) {
        const Command& command = commands_[next];
        io_->start(
            {next++, batch[command.request].kind, command.extent.offset_bytes, command.extent.length_bytes});
      }
      finished_.clear();
      io_->wait(finished_);
      for (const DirectDone& one : finished_) {
        IoDone& io = pending_[first + commands_[one.id].request];
        io.start_s = std::min(io.start_s, start_s + (one.start_s - begin_s));
        io.done_s = std::max(io.done_s, start_s + (one.done_s - begin_s));
        io.device_s = io.done_s;
      }
    }
    real_end_s_ = wall_s();
    return finished_.back().done_s - begin_s;
  }

  void count(std::span<const IoRequest> batch, std::span<const IoDone> done) {
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const IoRequest& request = batch[i];
      const bool reads = request.kind == IoKind::read;
      (reads ? stats_.reads : stats_.writes) += 1;
      (reads ? stats_.read_bytes : stats_.written_bytes) += request.length_bytes;
      stats_.response_s += done[i].done_s - request.submit_s;
      if (!reads) {
        slc_.write_s(static_cast<double>(request.length_bytes));
      }
    }
    stats_.outstanding_s = stats_.response_s;  // all are done, so Little's law holds exactly
    stats_.commands += std::ssize(commands_);
    for (const Command& command : commands_) {
      if (batch[command.request].kind == IoKind::read) {
        sensed_bytes_ += sensed_bytes(params_.device, static_cast<double>(command.extent.length_bytes));
      }
    }
  }

  void check_request(const IoRequest& request) const {
    const std::int64_t within = params_.device.block - 1;
    KVR_CHECK(request.length_bytes > 0 && request.offset_bytes >= 0 &&
                  ((request.length_bytes | request.offset_bytes) & within) == 0,
              "request {} moves {} B at {}, but blocks are {} B", request.id, request.length_bytes,
              request.offset_bytes, params_.device.block);
  }

  static bool before(const IoDone& a, const IoDone& b) {
    return a.done_s < b.done_s || (a.done_s == b.done_s && a.id < b.id);
  }

  Params params_;
  std::optional<StorageFile> file_;
  std::unique_ptr<DirectIo> io_;  ///< after the file, which it uses until its end
  AddressMap map_;
  std::vector<ComparedModel> models_;
  SlcPool slc_;  ///< for energy only
  std::int64_t working_set_bytes_ = 0;
  std::vector<std::string> notes_;
  double sensed_bytes_ = 0.0;

  std::vector<Extent> ranges_;
  std::vector<Extent> pieces_;
  std::vector<Command> commands_;
  std::vector<DirectDone> finished_;
  std::vector<IoDone> pending_;  ///< by time, ties by id
  std::size_t delivered_ = 0;    ///< of pending_
  double now_s_ = 0.0;
  double free_s_ = 0.0;      ///< end of the last batch
  double real_end_s_ = 0.0;  ///< the same, of wall_s()
  DeviceStats stats_;
};

const Registration<FlashDevice, FileDevice> registered;

}  // namespace
}  // namespace kvr::flash
