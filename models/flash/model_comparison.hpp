#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/flash/device_params.hpp"
#include "sim/interfaces/flash_device.hpp"

namespace kvr::flash {

/// A model that gets the same batches as a real device and is asked how long each takes. It lives in a time
/// of its own, in which batches follow each other with the gaps that the real device saw, and all of a batch
/// comes from one thread.
class ComparedModel {
 public:
  ComparedModel(std::string name, std::unique_ptr<FlashDevice> model);

  void set_working_set(std::int64_t bytes) { model_->set_working_set(bytes); }
  /// `batch` came `gap_s` after the end of the one before and took `measured_s`.
  void compare(std::span<const IoRequest> batch, double gap_s, double measured_s);
  ModelError error() const;

 private:
  double makespan_s(std::span<const IoRequest> batch);

  std::string name_;
  std::unique_ptr<FlashDevice> model_;
  double now_s_ = 0.0;
  double predicted_s_ = 0.0;
  double measured_s_ = 0.0;
  std::vector<double> errors_;  ///< [batches]
  std::vector<IoRequest> batch_;
  std::vector<IoDone> done_;
};

/// The models this program has, `analytic` and `queueing`, with the parameters of the real device. Measured
/// times contain the host that measured, so the models have the host of the parameters' fit, not the phone.
std::vector<ComparedModel> models_to_compare(const DeviceParams& device, std::uint64_t seed);

}  // namespace kvr::flash
