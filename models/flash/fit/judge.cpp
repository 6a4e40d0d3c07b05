#include "models/flash/fit/judge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace kvr::flash::fit {
namespace {

constexpr double kLittle = 0.05;
constexpr double kBetweenRequests_s = 20e-6;  // fio's own loop, on a slow core
constexpr double kLeastUtilisation = 0.9;
constexpr std::int64_t kDeep = 16;
constexpr double kFall = 0.9;
constexpr double kPercent = 100.0;
constexpr std::int64_t kLargestBytes = 16'777'216;

/// Whether the rows differ by their depth only.
bool same_load(const Row& a, const Row& b) {
  const auto key = [](const Row& row) {
    return std::tuple(row.kind, row.sequential, row.bytes, row.range_bytes, row.align_bytes, row.synchronous,
                      row.synchronous ? 1 : row.threads);
  };
  return key(a) == key(b);
}

/// Less than the requests outstanding by what a synchronous thread does between two requests, which counts in
/// its rate and not in its latency.
bool is_between_requests(const Row& row) {
  const double between_s = static_cast<double>(row.outstanding()) / row.requests_per_s - row.latency_s;
  return row.synchronous && between_s > 0.0 && between_s <= kBetweenRequests_s;
}

/// Why the row cannot be trusted by itself; empty if it can.
std::string own_fault(const Row& row, std::int64_t block_bytes) {
  if (std::string fault = fault_of_load(row, block_bytes); !fault.empty()) {
    return fault;
  }
  const auto outstanding = static_cast<double>(row.outstanding());
  const double counted = row.requests_per_s * row.latency_s;
  if (std::abs(counted - outstanding) > kLittle * outstanding && !is_between_requests(row)) {
    return fmt::format("Little's law: rate x latency is {:.4g}, {:+.1f} % off {} outstanding", counted,
                       kPercent * (counted / outstanding - 1.0), row.outstanding());
  }
  if (row.outstanding() >= kDeep && row.utilisation && *row.utilisation < kLeastUtilisation) {
    return fmt::format("the disk was busy for {:.0f} % of the time only", kPercent * *row.utilisation);
  }
  return "";
}

/// Why the row contradicts the others.
std::string fall_with_depth(const Row& row, const std::vector<JudgedRow>& rows) {
  for (const JudgedRow& other : rows) {
    if (other.use != Use::rejected && row.kind == IoKind::read && same_load(row, other.row) &&
        other.row.outstanding() < row.outstanding() &&
        row.requests_per_s < kFall * other.row.requests_per_s) {
      return fmt::format("{:.0f} % slower than at depth {}, and no model falls with depth",
                         kPercent * (1.0 - row.requests_per_s / other.row.requests_per_s),
                         row.synchronous ? other.row.outstanding() : other.row.depth);
    }
  }
  return "";
}

/// The reads of one queue by size, and by depth and range within one: to and fro from size to size.
std::vector<std::size_t> to_and_fro(const std::vector<Row>& rows) {
  using Kind = std::pair<bool, std::int64_t>;
  std::map<Kind, std::vector<std::size_t>> by_size;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].kind == IoKind::read && rows[i].is_one_queue()) {
      by_size[{rows[i].sequential, rows[i].bytes}].push_back(i);
    }
  }
  std::vector<std::size_t> order;
  bool back = false;
  for (auto& [kind, indices] : by_size) {
    std::ranges::stable_sort(
        indices, {}, [&](std::size_t i) { return std::pair(rows[i].outstanding(), rows[i].range_bytes); });
    if (back) {
      std::ranges::reverse(indices);
    }
    order.insert(order.end(), indices.begin(), indices.end());
    back = !back;
  }
  return order;
}

std::set<std::size_t> choose_held_out(const std::vector<Row>& rows, std::int64_t holdout) {
  std::set<std::size_t> chosen;
  if (holdout > 0) {
    const std::vector<std::size_t> order = to_and_fro(rows);
    const auto step = static_cast<std::size_t>(holdout);
    for (std::size_t place = step; place <= order.size(); place += step) {
      chosen.insert(order[place - 1]);
    }
  }
  return chosen;
}

void reject(JudgedRow& judged, std::string why) {
  if (!why.empty()) {
    judged.use = Use::rejected;
    judged.why = std::move(why);
  }
}

}  // namespace

std::string fault_of_load(const Row& row, std::int64_t block_bytes) {
  if (!row.fault.empty()) {
    return row.fault;
  }
  if (row.bytes % block_bytes != 0 || row.align_bytes % block_bytes != 0) {
    return fmt::format("{} B aligned to {} B, but blocks are {} B", row.bytes, row.align_bytes, block_bytes);
  }
  if (row.bytes > kLargestBytes) {
    return fmt::format("{} B, but at most {} B are simulated", row.bytes, kLargestBytes);
  }
  if (row.range_bytes < row.bytes) {
    return fmt::format("{} B in a range of {} B", row.bytes, row.range_bytes);
  }
  return "";
}

std::vector<JudgedRow> judge(std::vector<Row> rows, std::int64_t block_bytes, std::int64_t holdout) {
  std::vector<JudgedRow> judged;
  const std::set<std::size_t> held_out = choose_held_out(rows, holdout);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Row& row = rows[i];
    JudgedRow next{.row = std::move(row)};
    if (next.row.kind == IoKind::write) {
      next.use = Use::writes;
    } else if (!next.row.is_one_queue()) {
      next.use = Use::threads;
    } else {
      next.use = held_out.contains(i) ? Use::held_out : Use::fitted;
    }
    reject(next, own_fault(next.row, block_bytes));
    judged.push_back(std::move(next));
  }
  const std::vector<JudgedRow> sound = judged;
  for (JudgedRow& next : judged) {
    if (next.use != Use::rejected) {
      reject(next, fall_with_depth(next.row, sound));
    }
  }
  return judged;
}

}  // namespace kvr::flash::fit
