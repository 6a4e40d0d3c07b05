#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sim/results/metrics.hpp"
#include "sim/results/units/recorded_units.hpp"

namespace kvr {

/// A figure of a policy's or device's own, of one point, and what it says of itself.
struct OwnFigure {
  std::string name;  ///< "POLICY.FIGURE", and so never that of a metric
  std::string unit = {};
  std::string long_name = {};
  std::string formula = {};
  std::string policy = {};  ///< "clustering 'adaptive'"
  Dims dims = Dims::step;
  bool adds_up = false;             ///< over layers and heads
  std::vector<double> values = {};  ///< in C order; NaN where the policy gave none
};

/// The metrics of one point: float64 [step], [step, layer], [step, layer, sequence, head], the same and
/// [window], or [step, tier], as the metric's Dims say.
///
/// What nobody set is NaN: not recorded, or not defined there (a ratio over nothing). A NaN that is set is
/// one that arithmetic came to; it is told apart unless the metric may lack values. A metric takes memory
/// from its first `set` or `record` on. `set` may be called from several threads for different places, but
/// only after `record` made room for the metric.
class PointData {
 public:
  PointData(std::string name, std::int64_t steps, std::int64_t layers, std::int64_t heads);

  const std::string& name() const { return name_; }
  std::int64_t steps() const { return steps_; }
  std::int64_t layers() const { return static_cast<std::int64_t>(layer_numbers_.size()); }
  /// Of a layer of one sequence.
  std::int64_t heads() const { return static_cast<std::int64_t>(head_numbers_.size()); }
  /// Of all sequences that are walked.
  std::int64_t heads_of_layer() const { return walked_sequences_ * heads(); }

  /// What the layers and heads are called in the results: their numbers in the model, strictly increasing.
  /// 0, 1, 2, ... unless set; `numbers` has one per layer / head.
  void set_layer_numbers(std::vector<std::int64_t> numbers);
  void set_head_numbers(std::vector<std::int64_t> numbers);
  std::span<const std::int64_t> layer_numbers() const { return layer_numbers_; }
  std::span<const std::int64_t> head_numbers() const { return head_numbers_; }

  /// Sequences that decode together, and those of them that are no copies of others, of which each has heads
  /// of its own; both 1 unless set, before any metric is.
  void set_sequences(std::int64_t sequences, std::int64_t walked) {
    sequences_ = sequences;
    walked_sequences_ = walked;
  }
  std::int64_t sequences() const { return sequences_; }
  std::int64_t walked_sequences() const { return walked_sequences_; }
  /// The tokens of a step, one of each sequence that takes part; every sequence does where nobody counts.
  void count_tokens(std::int64_t tokens) { tokens_ += tokens; }
  /// On average over the steps.
  double tokens_per_step() const {
    return static_cast<double>(tokens_ > 0 ? tokens_ : sequences_ * steps_) / static_cast<double>(steps_);
  }
  /// The tiers of memory below the first, before any metric of theirs is set; none unless set.
  void set_tier_names(std::vector<std::string> names) { tier_names_ = std::move(names); }
  std::span<const std::string> tier_names() const { return tier_names_; }

  /// How often sequences read in, the prompts first, before any metric of that; 0 unless set.
  void set_prefills(std::int64_t prefills) { prefills_ = prefills; }
  std::int64_t prefills() const { return prefills_; }
  /// Of those, how many come before the first step.
  void set_prefills_before_steps(std::int64_t prefills) { prefills_before_steps_ = prefills; }
  std::int64_t prefills_before_steps() const { return prefills_before_steps_; }

  /// Makes room for `metric`, all NaN; does nothing if there is room already.
  void record(Metric metric);
  bool recorded(Metric metric) const { return !values(metric).empty(); }
  /// Whether arithmetic came to NaN somewhere; then no summary of the metric has a value.
  bool broken(Metric metric) const;
  /// What a reader of the summaries must know: which metrics are broken and where first, and which have
  /// values in some steps only, whatever the length of the run.
  std::vector<std::string> notes() const;
  /// Values per step, or prefill: 1, layers, layers * sequences * heads (* windows) or tiers.
  std::int64_t row_size(Metric metric) const { return row_size(info(metric).dims); }

  /// The number of indices must be that of the metric's Dims; indices count from 0, heads over all sequences
  /// that are walked: sequence * heads() + head.
  void set(Metric metric, std::int64_t step, double value);
  void set(Metric metric, std::int64_t step, std::int64_t layer, double value);
  void set(Metric metric, std::int64_t step, std::int64_t layer, std::int64_t head, double value);
  void set_of_prefill(Metric metric, std::int64_t prefill, double value);
  void set_of_tier(Metric metric, std::int64_t step, std::int64_t tier, double value);
  /// `window`: its place in kWindows.
  void set_in_window(Metric metric, std::int64_t step, std::int64_t layer, std::int64_t head,
                     std::size_t window, double value);
  double at(Metric metric, std::int64_t step) const;
  double at(Metric metric, std::int64_t step, std::int64_t layer) const;
  double at(Metric metric, std::int64_t step, std::int64_t layer, std::int64_t head) const;
  double at_tier(Metric metric, std::int64_t step, std::int64_t tier) const;
  double at_window(Metric metric, std::int64_t step, std::int64_t layer, std::int64_t head,
                   std::size_t window) const;

  /// All values in C order; empty if the metric was never set.
  std::span<const double> values(Metric metric) const { return values_[static_cast<std::size_t>(metric)]; }

  /// Makes room for a figure of a name of its own; returns its place.
  std::size_t add_figure(OwnFigure figure);
  std::span<const OwnFigure> figures() const { return figures_; }
  /// Values per step.
  std::size_t figure_row(std::size_t place) const {
    return static_cast<std::size_t>(row_size(figures_[place].dims));
  }
  /// All values of a metric or figure at once, in C order, as `values` gave them.
  void restore(Metric metric, std::vector<double> values);
  void restore_figure(std::size_t place, std::vector<double> values);
  /// `values` [figure_row].
  void set_figure(std::size_t place, std::int64_t step, std::span<const double> values);

  /// Null where no units are recorded.
  const RecordedUnits* units() const { return units_ ? &*units_ : nullptr; }
  void set_units(RecordedUnits units) { units_ = std::move(units); }

 private:
  std::int64_t row_size(Dims dims) const;
  /// Of which a metric has a row.
  std::int64_t rows(Dims dims) const { return dims == Dims::prefill ? prefills_ : steps_; }
  std::size_t place(Metric metric, Dims dims, std::int64_t step, std::int64_t layer, std::int64_t head) const;
  void store(Metric metric, std::size_t place, double value);
  std::size_t tier_place(Metric metric, std::int64_t step, std::int64_t tier) const;
  double load(Metric metric, std::size_t place) const;
  /// "step 3, layer 7, head 0", of an index into the values.
  std::string place_name(const MetricInfo& metric, std::int64_t place) const;

  std::string name_;
  std::int64_t steps_;
  std::vector<std::int64_t> layer_numbers_;
  std::vector<std::int64_t> head_numbers_;
  std::int64_t sequences_ = 1;
  std::int64_t walked_sequences_ = 1;
  std::int64_t tokens_ = 0;
  std::int64_t prefills_ = 0;
  std::int64_t prefills_before_steps_ = 0;
  std::vector<std::string> tier_names_;
  std::vector<std::vector<double>> values_;  ///< by metric
  std::vector<OwnFigure> figures_;
  std::optional<RecordedUnits> units_;
};

}  // namespace kvr
