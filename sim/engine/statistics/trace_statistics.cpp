// For each head of the layer:
//   the prompt:     every clustering builds its units
//   each quarter:   those that are rebuilt do so
//   each step p:    entry p and its queries come in, which are compared with those of earlier steps
//                   where p is judged: attention over 0..p; each kind of units is ranked, selected and judged
//                   every clustering takes entry p; the distance of its key from its static unit is noted
#include "sim/engine/statistics/trace_statistics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <memory>

#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/engine/heads/head_policies.hpp"
#include "sim/engine/walk/trace_walk.hpp"

namespace kvr {
namespace {

/// NaN where there is nothing to relate to.
double ratio_of(double value, double reference) {
  return reference == 0.0 ? std::numeric_limits<double>::quiet_NaN() : value / reference;
}

/// There is no cache here.
class NothingResident final : public ResidentUnits {
 public:
  bool resident(UnitId) const override { return false; }
};

/// One kind of units in one head, and how well they did.
struct Contender {
  HeadPolicies replay;
  HeadStatistics::Units sums;
};

/// What is kept of one head while the trace goes by. Heads share nothing.
class HeadWatch {
 public:
  HeadWatch(const TraceWalk& walk, std::int64_t index, const StatisticsPlan& plan, const Codec& codec,
            Budget& budget)
      : captured_(walk.rows(index)),
        head_(walk.head_id(index)),
        header_(walk.trace().header()),
        plan_(plan),
        codec_(codec),
        budget_(budget),
        mass_(plan.sinks),
        likeness_(header_.geometry.group(), header_.geometry.head_dim) {
    for (const RankedUnits& units : plan.units) {
      contenders_.push_back({new_replay(units), {}});
    }
  }

  void enter_prompt() {
    for (Contender& contender : contenders_) {
      contender.replay.begin({});
      contender.replay.build();
    }
    drift_ = std::make_unique<StaticDrift>(contenders_[plan_.static_units].replay.clustering(), visible(),
                                           plan_.steps.count);
  }

  void begin_quarter() {
    for (std::size_t i = 0; i < contenders_.size(); ++i) {
      if (plan_.units[i].rebuilt) {
        contenders_[i].replay = new_replay(plan_.units[i]);
        contenders_[i].replay.begin({});
        contenders_[i].replay.build();
      }
    }
  }

  /// `truth`: where the step is judged.
  void step(std::span<const Half> queries, HeadTruth* truth) {
    likeness_.observe(queries);
    for (Contender& contender : contenders_) {
      const HeadQueries asked{queries};
      contender.replay.begin_step({&asked, 1}, TokenClass::other);
    }
    if (truth != nullptr) {
      judge(*truth);
    }
    for (Contender& contender : contenders_) {
      contender.replay.follow(NothingResident());
    }
    drift_->follow(contenders_[plan_.static_units].replay.changes(), visible());
  }

  HeadStatistics finish() const {
    HeadStatistics head{};
    for (std::size_t i = 0; i < head.entries_for.size(); ++i) {
      head.entries_for[i] = mass_.entries_for(i);
    }
    head.sink_mass = mass_.sink_mass();
    for (std::size_t i = 0; i < head.window_mass.size(); ++i) {
      head.window_mass[i] = mass_.window_mass(i);
    }
    for (std::size_t i = 0; i < head.query_cosine.size(); ++i) {
      head.query_cosine[i] = likeness_.cosine(i);
    }
    const auto judged = static_cast<double>(plan_.judged.size());
    std::ranges::transform(contenders_, std::back_inserter(head.units), [judged](const Contender& one) {
      return HeadStatistics::Units{one.sums.recall / judged, one.sums.mass / judged};
    });
    head.prompt_variance = drift_->prompt_variance();
    for (std::size_t i = 0; i < head.drift.size(); ++i) {
      head.drift[i] = ratio_of(drift_->quarter_variance(i), head.prompt_variance);
    }
    return head;
  }

 private:
  HeadPolicies new_replay(const RankedUnits& units) const {
    const auto seed = static_cast<std::uint64_t>(plan_.seed);
    const std::int64_t d = header_.geometry.head_dim;
    const std::int64_t group = header_.geometry.group();
    const double scale = header_.geometry.attention_scale;
    StageConfig select;
    select.scorer = units.scorer;
    select.sinks = {plan_.sinks};
    select.recent = {plan_.recent};
    std::vector<std::unique_ptr<HeadStage>> stages;
    stages.push_back(std::make_unique<HeadStage>(
        std::move(select), plan_.steps.first_position, head_, group, nullptr,
        Registry<Scorer>::instance().create(units.scorer.type, units.scorer.values,
                                            {d, group, scale, head_, seed}),
        budget_.needs(), scale));
    std::vector<MemberHead> own;
    own.emplace_back(group, scale, HeadStore(captured_, codec_, codec_));
    return {head_, std::move(own),
            Registry<Clustering>::instance().create(units.clustering.type, units.clustering.values,
                                                    {d, head_, seed}),
            units.clustering.type, std::move(stages)};
  }

  HeadView visible() const { return captured_.view(captured_.entries()); }

  void judge(HeadTruth& truth) {
    truth.find();
    for (std::int64_t query = 0; query < header_.geometry.group(); ++query) {
      mass_.observe(truth.probabilities(query));
    }
    for (Contender& contender : contenders_) {
      contender.replay.score(kStage);
      contender.replay.choose(kStage, allotted(contender.replay));
      contender.replay.demand();
      HeadTruth* const of_head = &truth;
      contender.replay.attend({&of_head, 1});
      const HeadQuality& quality = contender.replay.members().front().quality();
      contender.sums.recall += quality.recall;
      contender.sums.mass += quality.mass;
    }
  }

  std::int64_t allotted(const HeadPolicies& replay) const {
    const HeadCandidates candidates = replay.candidates(kStage);
    std::int64_t entries = 0;
    budget_.allot({&candidates, 1}, {&entries, 1});
    return entries;
  }

  static constexpr std::size_t kStage = 0;  ///< the only one

  const CapturedHead& captured_;
  HeadId head_;
  const trace::Header& header_;
  const StatisticsPlan& plan_;
  const Codec& codec_;
  Budget& budget_;
  AttentionMass mass_;
  QueryLikeness likeness_;
  std::vector<Contender> contenders_;
  std::unique_ptr<StaticDrift> drift_;  ///< once there is a prompt
};

}  // namespace

std::vector<HeadStatistics> layer_statistics(const trace::Reader& trace, std::int64_t layer,
                                             const StatisticsPlan& plan, Workers& workers,
                                             const std::function<void()>& stepped) {
  const trace::Header& header = trace.header();
  const auto codec =
      Registry<Codec>::instance().create(plan.codec.type, plan.codec.values, {header.geometry.head_dim});
  const auto budget = Registry<Budget>::instance().create(
      plan.budget.type, plan.budget.values,
      {std::ssize(header.captured_layers), header.kv_heads_captured(), header.prefill_len});
  TraceWalk walk(trace, plan.steps, {layer, 1});  // the heads' work is done by `workers`
  std::vector<HeadWatch> heads;
  for (std::int64_t i = 0; i < walk.head_count(); ++i) {
    heads.emplace_back(walk, i, plan, *codec, *budget);
  }
  const auto every_head = [&](const std::function<void(std::int64_t, HeadWatch&)>& act) {
    workers.for_each(std::ssize(heads), [&](std::int64_t i) { act(i, heads[static_cast<std::size_t>(i)]); });
  };
  walk.enter_prompt();
  every_head([](std::int64_t, HeadWatch& head) { head.enter_prompt(); });
  for (std::int64_t step = 0; step < plan.steps.count; ++step) {
    if (step > 0 && quarter_of(step, plan.steps.count) > quarter_of(step - 1, plan.steps.count)) {
      every_head([](std::int64_t, HeadWatch& head) { head.begin_quarter(); });
    }
    const std::int64_t position = plan.steps.first_position + step;
    walk.enter(position);
    const bool judged = std::ranges::binary_search(plan.judged, position);
    every_head([&](std::int64_t i, HeadWatch& head) {
      head.step(walk.queries(i), judged ? &walk.truth(i) : nullptr);
    });
    stepped();
  }
  std::vector<HeadStatistics> statistics;
  std::ranges::transform(heads, std::back_inserter(statistics), &HeadWatch::finish);
  return statistics;
}

std::vector<std::int64_t> spread_positions(const StepRange& steps, std::int64_t count) {
  KVR_CHECK(0 <= count && count <= steps.count, "{} of {} steps", count, steps.count);
  std::vector<std::int64_t> positions;
  for (std::int64_t i = 0; i < count; ++i) {
    positions.push_back(steps.first_position + (2 * i + 1) * steps.count / (2 * count));
  }
  return positions;
}

}  // namespace kvr
