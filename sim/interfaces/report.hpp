#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/interfaces/types.hpp"

namespace kvr {

/// Takes figures of an implementation's own, which it declares (FigureInfo, sim/base/figures.hpp) by a static
/// member
///
///     static std::vector<FigureInfo> figures();
///
/// A count since the beginning is FigureKind::total: results have what each step adds. A plain number's unit
/// is "1". It is asked for them by `report` when prompts or further messages have been read and at the end of
/// every step, from one thread at a time. Of what it leaves out in a step, results have no value there.
class Report {
 public:
  struct Value {
    std::string figure;
    HeadId at;  ///< -1: all that the implementation was made for
    double value;
  };

  /// Of what the implementation was made for: a head, a layer, or everything.
  void add(std::string_view figure, double value) { add(figure, {-1, -1}, value); }
  /// Of one layer, where `at.head` is -1, or one head of it, for what was made for more.
  void add(std::string_view figure, HeadId at, double value) {
    values_.push_back({std::string(figure), at, value});
  }
  std::span<const Value> values() const { return values_; }

 private:
  std::vector<Value> values_;
};

}  // namespace kvr
