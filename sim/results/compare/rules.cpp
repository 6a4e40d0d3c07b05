#include "sim/results/compare/rules.hpp"

#include <cmath>

namespace kvr::compare {
namespace {

Direction direction_of(std::string_view summary) {
  switch (better_of(summary)) {
    case Better::higher:
      return Direction::up;
    case Better::lower:
      return Direction::down;
    case Better::unknown:
      break;
  }
  return Direction::any;
}

void turn(Limits& limits, Direction direction) {
  const bool no_drop = direction == Direction::up || direction == Direction::same;
  const bool no_growth = direction == Direction::down || direction == Direction::same;
  limits.drop = no_drop ? std::optional(Tolerance{}) : std::nullopt;
  limits.growth = no_growth ? std::optional(Tolerance{}) : std::nullopt;
}

void apply(const Rule& rule, Limits& limits) {
  if (rule.direction) {
    turn(limits, *rule.direction);
  }
  if (rule.max_drop) {
    limits.drop = rule.max_drop;
  }
  if (rule.max_growth) {
    limits.growth = rule.max_growth;
  }
  limits.ignored = rule.ignore.value_or(limits.ignored);
}

}  // namespace

double Tolerance::allowed(double base) const {
  return relative ? amount * std::abs(base) : amount;
}

bool Limits::allow_no_move() const {
  return drop && growth && drop->amount == 0.0 && growth->amount == 0.0;
}

Limits limits_of(std::string_view summary, std::string_view variant, std::span<const Rule> rules,
                 bool exact) {
  Limits limits;
  turn(limits, exact ? Direction::same : direction_of(summary));
  for (const Rule& rule : rules) {
    if (means(rule.metric, summary) && matches(rule.points, variant)) {
      apply(rule, limits);
    }
  }
  return limits;
}

}  // namespace kvr::compare
