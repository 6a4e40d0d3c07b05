#include "traces/synth/synth_head.hpp"

#include <algorithm>
#include <cmath>

namespace kvr::trace {
namespace {

constexpr double kSinkValueSpread = 0.1;

float dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  }
  return static_cast<float>(sum);
}

void add_noise(std::span<float> vector, double size, Rng& rng) {
  for (float& channel : vector) {
    channel += static_cast<float>(size * rng.normal());
  }
}

void scale_to(std::span<float> vector, float norm) {
  const float factor = norm / std::sqrt(dot(vector, vector));
  for (float& channel : vector) {
    channel *= factor;
  }
}

/// `vector` += factor * `direction`
void add(std::span<float> vector, float factor, std::span<const float> direction) {
  for (std::size_t i = 0; i < vector.size(); ++i) {
    vector[i] += factor * direction[i];
  }
}

}  // namespace

SynthHead::SynthHead(const SynthOptions& options, std::int64_t layer, std::int64_t head)
    : options_(options), norm_(std::sqrt(static_cast<float>(options.head_dim))) {
  const auto index = static_cast<std::uint64_t>(layer * options.kv_heads + head);
  const auto stream = [&](const char* name) {
    return Rng::stream(static_cast<std::uint64_t>(options.seed), name, index);
  };
  topic_rng_ = stream("synth/topics");
  key_rng_ = stream("synth/keys");
  value_rng_ = stream("synth/values");
  drift_rng_ = stream("synth/drift");
  aim_rng_ = stream("synth/aims");
  query_rng_ = stream("synth/queries");
  speculation_rng_ = stream("synth/speculation");
  place_centres(stream("synth/centres"));
}

std::int32_t SynthHead::next_entry(std::int64_t t, std::span<float> key, std::span<float> value) {
  std::fill(value.begin(), value.end(), 0.0F);
  if (t < options_.sinks) {
    std::copy(sink_.begin(), sink_.end(), key.begin());
    add_noise(key, options_.spread, key_rng_);
    add_noise(value, kSinkValueSpread, value_rng_);
    return kNoTopic;
  }
  if (topic_ == kNoTopic || starts_run(topic_rng_)) {
    topic_ = static_cast<std::int32_t>(topic_rng_.below(centres_.size()));
  }
  remember_topic();
  walk(topic_, t);
  const auto topic = static_cast<std::size_t>(topic_);
  std::copy(centres_[topic].begin(), centres_[topic].end(), key.begin());
  add_noise(key, options_.spread, key_rng_);
  std::copy(value_centres_[topic].begin(), value_centres_[topic].end(), value.begin());
  add_noise(value, options_.value_spread, value_rng_);
  return topic_;
}

std::int32_t SynthHead::next_queries(std::int64_t t, std::span<float> queries, std::span<float> speculated) {
  if (aim_ == kNoTopic || starts_run(aim_rng_)) {
    aim_ = choose_aim();
  }
  if (aim_ != kNoTopic) {
    walk(aim_, t);
  }
  const auto d = static_cast<std::size_t>(options_.head_dim);
  for (std::size_t begin = 0; begin < queries.size(); begin += d) {
    const auto query = queries.subspan(begin, d);
    const auto guess = speculated.subspan(begin, d);
    point(query);
    std::copy(query.begin(), query.end(), guess.begin());
    const double error =
        options_.speculation_error * static_cast<double>(std::sqrt(dot(guess, guess)) / norm_);
    add_noise(guess, error, speculation_rng_);
  }
  return aim_;
}

void SynthHead::place_centres(Rng rng) {
  const auto d = static_cast<std::size_t>(options_.head_dim);
  sink_.assign(d, 0.0F);
  add_noise(sink_, 1.0, rng);
  scale_to(sink_, norm_);
  centres_.assign(static_cast<std::size_t>(options_.clusters), std::vector<float>(d, 0.0F));
  value_centres_ = centres_;
  last_used_.assign(centres_.size(), 0);
  is_seen_.assign(centres_.size(), false);
  for (std::size_t k = 0; k < centres_.size(); ++k) {
    add_noise(centres_[k], 1.0, rng);
    settle(centres_[k]);
    add_noise(value_centres_[k], 1.0, rng);
    scale_to(value_centres_[k], norm_);
  }
}

void SynthHead::settle(std::span<float> centre) const {
  add(centre, -dot(centre, sink_) / (norm_ * norm_), sink_);
  scale_to(centre, norm_);
}

void SynthHead::walk(std::int32_t topic, std::int64_t t) {
  const auto k = static_cast<std::size_t>(topic);
  const std::int64_t tokens = t - last_used_[k];
  last_used_[k] = t;
  if (tokens > 0 && options_.drift_per_step > 0.0) {
    add_noise(centres_[k], options_.drift_per_step * std::sqrt(static_cast<double>(tokens)), drift_rng_);
    settle(centres_[k]);
  }
}

bool SynthHead::starts_run(Rng& rng) const {
  return rng.uniform() * options_.run_tokens < 1.0;
}

void SynthHead::remember_topic() {
  const auto capacity = static_cast<std::size_t>(options_.recent_tokens);
  if (recent_.size() < capacity) {
    recent_.push_back(topic_);
  } else {
    recent_[oldest_] = topic_;
    oldest_ = (oldest_ + 1) % capacity;
  }
  if (!is_seen_[static_cast<std::size_t>(topic_)]) {
    is_seen_[static_cast<std::size_t>(topic_)] = true;
    seen_.push_back(topic_);
  }
}

std::int32_t SynthHead::choose_aim() {
  if (seen_.empty()) {
    return kNoTopic;
  }
  const std::vector<std::int32_t>& choices = aim_rng_.uniform() < options_.locality ? recent_ : seen_;
  return choices[aim_rng_.below(choices.size())];
}

void SynthHead::point(std::span<float> query) {
  std::fill(query.begin(), query.end(), 0.0F);
  if (aim_ != kNoTopic) {
    add(query, 1.0F, centres_[static_cast<std::size_t>(aim_)]);
    add_noise(query, options_.query_spread, query_rng_);
    scale_to(query, static_cast<float>(options_.sharpness_nats));
  }
  add(query, static_cast<float>(options_.sink_nats) / norm_, sink_);
}

}  // namespace kvr::trace
