// Channels a and b of pair i at position p:  a cos - b sin, a sin + b cos,  of the angle p * frequency(i)
//
//   frequency(i) = theta^(-2 i / head_dim)
//   linear:  frequency / factor
//   llama3:  as it is where a turn takes less than context / high_freq_factor positions, / factor where it
//   takes
//            more than context / low_freq_factor, and between by a straight line over context / turn
//
// as transformers (modeling_rope_utils.py) has them. Other scalings also change lengths, or depend on how
// long the sequence is.

#include "sim/engine/heads/attention/rotary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/base/json.hpp"

namespace kvr {
namespace {

/// The rotary scaling of a trace: its kind, and numbers by name.
class Scaling {
 public:
  explicit Scaling(const std::string& text) {
    if (text == "none") {
      kind_ = text;
      return;
    }
    const Json parsed = Json::parse(text, nullptr, false);
    if (!parsed.is_object()) {
      return;
    }
    const auto kind = parsed.find("rope_type");
    const auto part = parsed.find("partial_rotary_factor");
    const bool whole = part == parsed.end() || (part->is_number() && part->get<double>() == 1.0);
    kind_ = whole && kind != parsed.end() && kind->is_string() ? kind->get<std::string>() : "";
    parameters_ = parsed;
  }

  bool is_fixed() const {
    const auto has = [this](const char* name) { return number(name) > 0.0; };
    return kind_ == "none" || (kind_ == "linear" && has("factor")) ||
           (kind_ == "llama3" && has("factor") && has("low_freq_factor") && has("high_freq_factor") &&
            number("high_freq_factor") > number("low_freq_factor") &&
            has("original_max_position_embeddings"));
  }

  double scaled(double frequency) const {
    if (kind_ == "linear") {
      return frequency / number("factor");
    }
    if (kind_ == "llama3") {
      const double low = number("low_freq_factor");
      const double turns = number("original_max_position_embeddings") * frequency / (2.0 * std::numbers::pi);
      const double share = std::clamp((turns - low) / (number("high_freq_factor") - low), 0.0, 1.0);
      return (1.0 - share) * frequency / number("factor") + share * frequency;
    }
    return frequency;
  }

 private:
  double number(const char* name) const {
    const auto found = parameters_.find(name);
    return found != parameters_.end() && found->is_number() ? found->get<double>() : 0.0;
  }

  std::string kind_;  ///< empty: none that is known here
  Json parameters_ = Json::object();
};

/// A channel of an extreme pair may come to more than fp16 can say.
float in_half_range(double channel) {
  constexpr double kLargestHalf = 65504.0;
  return static_cast<float>(std::clamp(channel, -kLargestHalf, kLargestHalf));
}

}  // namespace

Rotary::Rotary(const trace::Geometry& geometry) : interleaved_(geometry.rope_layout == "interleaved") {
  const Scaling scaling(geometry.rope_scaling);
  for (std::int64_t i = 0; i < geometry.head_dim / 2; ++i) {
    const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(geometry.head_dim);
    frequencies_.push_back(scaling.scaled(std::pow(geometry.rope_theta, exponent)));
  }
}

Rotary::Turn Rotary::turn(std::int64_t positions) const {
  Turn turn;
  for (const double frequency : frequencies_) {
    const double angle = static_cast<double>(positions) * frequency;
    turn.cosines.push_back(std::cos(angle));
    turn.sines.push_back(std::sin(angle));
  }
  return turn;
}

void Rotary::move(std::span<const Half> key, const Turn& turn, std::span<Half> into) const {
  std::vector<float> channels(key.size());
  to_float(key, channels);
  const std::size_t pairs = frequencies_.size();
  for (std::size_t pair = 0; pair < pairs; ++pair) {
    float& a = channels[interleaved_ ? 2 * pair : pair];
    float& b = channels[interleaved_ ? 2 * pair + 1 : pair + pairs];
    const double x = static_cast<double>(a);
    const double y = static_cast<double>(b);
    a = in_half_range(x * turn.cosines[pair] - y * turn.sines[pair]);
    b = in_half_range(x * turn.sines[pair] + y * turn.cosines[pair]);
  }
  to_half(channels, into);
}

bool can_turn(const trace::Geometry& geometry) {
  return geometry.head_dim % 2 == 0 && Scaling(geometry.rope_scaling).is_fixed();
}

std::optional<Rotary> rotary_of_slots(const RunConfig& config, const trace::Header& header) {
  if (!config.system.slot_positions) {
    return std::nullopt;
  }
  const std::string key = config.place("system.positions");
  const trace::Geometry& g = header.geometry;
  std::vector<std::string> problems;
  if (!can_turn(g)) {
    problems.push_back(fmt::format(
        "{}: keys of {} channels with rope_scaling {} cannot be moved to slots ({}); allowed: an even number "
        "of channels, all of them rotated, and scaling none, linear or llama3",
        key, g.head_dim, g.rope_scaling, config.sequences.front().trace_path.string()));
  }
  if (config.system.heads_together && header.kv_heads_captured() > 1) {
    problems.push_back(
        fmt::format("{}: slot for heads that decide together; allowed: absolute, or heads: each", key));
  }
  if (!problems.empty()) {
    throw InputError(problems);
  }
  return Rotary(g);
}

}  // namespace kvr
