// One step, on the simplex of n + 1 points sorted by cost:
//
//   centre = mean of all but the worst;  r = centre + (centre - worst)
//   cost(r) below the best: try twice as far; keep the better
//   cost(r) below the second worst: keep r
//   else: halfway between centre and the better of r and the worst; keep it if it is better than that
//   else: pull all points halfway to the best
#include "models/flash/fit/nelder_mead.hpp"

#include <algorithm>
#include <utility>

namespace kvr::flash::fit {
namespace {

class Simplex {
 public:
  Simplex(const std::function<double(std::span<const double>)>& cost, int evaluations)
      : cost_(cost), left_(evaluations) {}

  Minimum search(const std::vector<double>& start, double step, double tolerance) {
    points_.push_back(evaluate(start));
    for (std::size_t i = 0; i < start.size(); ++i) {
      std::vector<double> corner = start;
      corner[i] += step;
      points_.push_back(evaluate(std::move(corner)));
    }
    sort();
    while (left_ > 0 && points_.back().value - points_.front().value > tolerance) {
      move();
      sort();
    }
    return points_.front();
  }

 private:
  Minimum evaluate(std::vector<double> at) {
    --left_;
    const double value = cost_(at);
    return {std::move(at), value};
  }

  void sort() { std::ranges::stable_sort(points_, {}, &Minimum::value); }

  /// centre + share * (centre - from).
  std::vector<double> along(const std::vector<double>& centre, const std::vector<double>& from,
                            double share) const {
    std::vector<double> point(centre.size());
    for (std::size_t i = 0; i < point.size(); ++i) {
      point[i] = centre[i] + share * (centre[i] - from[i]);
    }
    return point;
  }

  std::vector<double> centre() const {
    std::vector<double> mean(points_.size() - 1, 0.0);
    for (std::size_t p = 0; p + 1 < points_.size(); ++p) {
      for (std::size_t i = 0; i < mean.size(); ++i) {
        mean[i] += points_[p].at[i] / static_cast<double>(mean.size());
      }
    }
    return mean;
  }

  void move() {
    const std::vector<double> middle = centre();
    Minimum& worst = points_.back();
    const double second_worst = points_[points_.size() - 2].value;
    Minimum reflected = evaluate(along(middle, worst.at, 1.0));
    if (reflected.value < points_.front().value) {
      Minimum expanded = evaluate(along(middle, worst.at, 2.0));
      worst = expanded.value < reflected.value ? std::move(expanded) : std::move(reflected);
    } else if (reflected.value < second_worst) {
      worst = std::move(reflected);
    } else {
      if (reflected.value < worst.value) {
        worst = std::move(reflected);
      }
      Minimum contracted = evaluate(along(middle, worst.at, -0.5));
      if (contracted.value < worst.value) {
        worst = std::move(contracted);
      } else {
        shrink();
      }
    }
  }

  void shrink() {
    const std::vector<double> best = points_.front().at;
    for (std::size_t p = 1; p < points_.size(); ++p) {
      points_[p] = evaluate(along(best, points_[p].at, -0.5));
    }
  }

  const std::function<double(std::span<const double>)>& cost_;
  int left_;
  std::vector<Minimum> points_;
};

}  // namespace

Minimum nelder_mead(const std::function<double(std::span<const double>)>& cost,
                    const std::vector<double>& start, double step, int evaluations, double tolerance) {
  return Simplex(cost, evaluations).search(start, step, tolerance);
}

}  // namespace kvr::flash::fit
