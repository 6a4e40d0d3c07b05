#include "models/flash/model_comparison.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"

namespace kvr::flash {

namespace {

/// Linear between order statistics of sorted `values`, which are at least one.
double quantile(std::span<const double> values, double share) {
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return std::lerp(values[below], values[above], place - std::floor(place));
}

}  // namespace

ComparedModel::ComparedModel(std::string name, std::unique_ptr<FlashDevice> model)
    : name_(std::move(name)), model_(std::move(model)) {}

void ComparedModel::compare(std::span<const IoRequest> batch, double gap_s, double measured_s) {
  now_s_ += gap_s;
  const double predicted_s = makespan_s(batch);
  predicted_s_ += predicted_s;
  measured_s_ += measured_s;
  errors_.push_back(std::abs(predicted_s - measured_s) / measured_s);
}

double ComparedModel::makespan_s(std::span<const IoRequest> batch) {
  batch_.assign(batch.begin(), batch.end());
  for (IoRequest& request : batch_) {
    request.submit_s = now_s_;
    request.thread = 0;
  }
  const double begin_s = now_s_;
  model_->submit(batch_);
  done_.clear();
  while (done_.size() < batch_.size()) {
    const double next_s = model_->next_event_s();
    KVR_CHECK(next_s < std::numeric_limits<double>::infinity(),
              "{}: {} of {} requests are done and none ends", name_, done_.size(), batch_.size());
    model_->advance(next_s, done_);
    now_s_ = next_s;
  }
  return now_s_ - begin_s;
}

ModelError ComparedModel::error() const {
  if (errors_.empty()) {
    return {.model = name_};
  }
  std::vector<double> sorted = errors_;
  std::ranges::sort(sorted);
  return {.model = name_,
          .batches = std::ssize(sorted),
          .median = quantile(sorted, 0.5),
          .p95 = quantile(sorted, 0.95),
          .p99 = quantile(sorted, 0.99),
          .total_time = (predicted_s_ - measured_s_) / measured_s_};
}

std::vector<ComparedModel> models_to_compare(const DeviceParams& device, std::uint64_t seed) {
  const ParamValues values = values_of(device_param_table(), device);
  std::vector<ComparedModel> models;
  for (const std::string_view name : {"analytic", "queueing"}) {
    if (Catalogue::instance().find(FlashDevice::kKind, name) != nullptr) {
      models.emplace_back(std::string(name),
                          Registry<FlashDevice>::instance().create(name, values, {fit_host(device), seed}));
    }
  }
  return models;
}

}  // namespace kvr::flash
