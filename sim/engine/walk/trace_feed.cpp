#include "sim/engine/walk/trace_feed.hpp"

#include <algorithm>

namespace kvr {
namespace {

/// A byte a token, which is little beside any head's rows.
std::vector<TokenClass> read_classes(const trace::Reader& trace) {
  const std::int64_t count = trace.has_token_classes() ? trace.header().seq_len : 0;
  std::vector<std::uint8_t> numbers(static_cast<std::size_t>(count));
  if (count > 0) {
    trace.read_token_classes(0, count, numbers);
  }
  std::vector<TokenClass> classes(numbers.size());
  std::ranges::transform(numbers, classes.begin(), [](std::uint8_t one) { return TokenClass{one}; });
  return classes;
}

}  // namespace

TraceFeed::TraceFeed(const trace::Reader& trace)
    : trace_(&trace),
      heads_(trace.header().kv_heads_captured()),
      group_(trace.header().geometry.group()),
      classes_(read_classes(trace)) {
  const auto layers = static_cast<std::int64_t>(trace.header().captured_layers.size());
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    for (std::int64_t head = 0; head < heads_; ++head) {
      HeadWindows windows{
          {trace, trace::Field::keys, layer, head}, {trace, trace::Field::values, layer, head}, {}, {}};
      for (std::int64_t g = 0; g < group_; ++g) {
        windows.queries.emplace_back(trace, trace::Field::queries, layer, head * group_ + g);
      }
      windows_.push_back(std::move(windows));
    }
  }
}

void TraceFeed::fill(HeadId head, std::int64_t count, CapturedHead& into) const {
  const std::int64_t d = trace_->header().geometry.head_dim;
  std::vector<Half> keys;
  std::vector<Half> values;
  for (std::int64_t begin = 0; begin < count; begin += trace::Window::kDefaultRows) {
    const std::int64_t end = std::min(count, begin + trace::Window::kDefaultRows);
    keys.resize(static_cast<std::size_t>((end - begin) * d));
    values.resize(keys.size());
    trace_->read(trace::Field::keys, head.layer, head.head, begin, end, keys);
    trace_->read(trace::Field::values, head.layer, head.head, begin, end, values);
    into.append(keys, values);
  }
}

TraceFeed::Rows TraceFeed::rows(HeadId head, std::int64_t position) {
  HeadWindows& windows = windows_of(head);
  return {queries(head, position), windows.key.row(position), windows.value.row(position)};
}

std::span<const Half> TraceFeed::queries(HeadId head, std::int64_t position) {
  return rows_of(windows_of(head).queries, position);
}

std::span<const Half> TraceFeed::speculated(HeadId head, std::int64_t position) {
  std::vector<trace::Window>& windows = windows_of(head).speculated;
  for (std::int64_t g = std::ssize(windows); g < group_; ++g) {
    windows.emplace_back(*trace_, trace::Field::speculated_queries, head.layer, head.head * group_ + g);
  }
  return rows_of(windows, position);
}

std::span<const Half> TraceFeed::rows_of(std::vector<trace::Window>& windows, std::int64_t position) {
  const std::int64_t query_row = trace_->query_row(position);
  queries_.clear();
  for (trace::Window& window : windows) {
    const auto row = window.row(query_row);
    queries_.insert(queries_.end(), row.begin(), row.end());
  }
  return queries_;
}

std::vector<std::int64_t> TraceFeed::query_positions_before(std::int64_t position, std::int64_t most) const {
  const std::vector<std::int64_t>& all = trace_->query_positions();
  const auto end = std::ranges::lower_bound(all, position);
  return {end - std::min<std::int64_t>(most, end - all.begin()), end};
}

}  // namespace kvr
