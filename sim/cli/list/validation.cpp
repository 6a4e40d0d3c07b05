// A row is simulated as a curve's point is: a closed loop on a device in its first state, with the host of
// the device's fit; `analytic` by its formulas, which have no percentiles. Error = simulated / measured - 1.
#include "sim/cli/list/validation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <tuple>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/cli/device/choice.hpp"
#include "sim/cli/device/curve.hpp"
#include "sim/cli/device/curve_output.hpp"
#include "sim/cli/device/measured_rows.hpp"
#include "sim/cli/table.hpp"
#include "sim/results/statistics.hpp"

namespace kvr::cli {
namespace {

constexpr std::array kFidelities = {"queueing", "analytic"};
constexpr std::uint64_t kSeed = 1;
// Enough for some rounds of the threads' turns on a queue; a bound where requests are many commands each.
constexpr std::int64_t kRequests = 20'000;
constexpr std::int64_t kBytes = std::int64_t{32} << 30;
constexpr std::int64_t kRequestsPerSlot = 10;

std::int64_t requests_of(const MeasuredRow& row) {
  return std::max(std::min(kRequests, kBytes / row.bytes), kRequestsPerSlot * row.depth * row.threads);
}

flash::LoadResult simulate(const MeasuredRow& row, const std::string& fidelity) {
  DeviceRequest request{.device = row.device, .type = fidelity, .phone = {}, .sets = {}};
  if (!row.setting.empty()) {
    request.sets.push_back("device." + row.setting);
  }
  const CurvePlan plan{.sizes_bytes = {row.bytes},
                       .depths = {row.depth},
                       .ranges_bytes = {row.range_bytes},
                       .threads = {row.threads},
                       .kind = row.kind,
                       .sequential = row.sequential,
                       .requests = requests_of(row),
                       .seed = kSeed};
  const DeviceChoice choice = choose_device(request);
  if (auto problems = check(plan, choice.params); !problems.empty()) {
    throw InputError(std::move(problems));
  }
  return measure_curve(choice, plan, [](std::int64_t, std::int64_t) {}).points.front().result;
}

/// What one row says at each fidelity.
struct Compared {
  MeasuredRow row;
  std::array<double, kFidelities.size()> errors{};
  double p99_ratio = 0.0;  ///< simulated over measured; 0: not measured
};

class Simulations {
 public:
  Compared compare(const MeasuredRow& row) {
    Compared compared{.row = row};
    for (std::size_t i = 0; i < kFidelities.size(); ++i) {
      const flash::LoadResult& result = of(row, kFidelities[i]);
      compared.errors[i] = result.bytes_per_s / row.bytes_per_s - 1.0;
      if (i == 0 && row.p99_s > 0.0) {
        compared.p99_ratio = result.p99_s / row.p99_s;
      }
    }
    return compared;
  }

 private:
  using Key = std::tuple<std::string, std::string, std::string, IoKind, bool, std::int64_t, std::int64_t,
                         std::int64_t, std::int64_t>;

  /// Several parts measured with one load are simulated once.
  const flash::LoadResult& of(const MeasuredRow& row, const std::string& fidelity) {
    const Key key{fidelity,  row.device, row.setting, row.kind,       row.sequential,
                  row.bytes, row.depth,  row.threads, row.range_bytes};
    const auto found = known_.find(key);
    return found != known_.end() ? found->second : known_.emplace(key, simulate(row, fidelity)).first->second;
  }

  std::map<Key, flash::LoadResult> known_;
};

/// Rows of one device that are told together.
struct Group {
  std::string device;
  std::string title;  ///< "random reads, fitted (pixel4.csv)"
  RowUse use;
  std::vector<Compared> rows;
};

std::string title_of(const MeasuredRow& row) {
  const std::string pattern = row.kind == IoKind::write ? "writes" : "reads";
  const std::string setting = row.setting.empty() ? "" : fmt::format(" with {}", row.setting);
  return fmt::format("{}{}, {} ({})", pattern, setting, text_of(row.use), row.file);
}

std::vector<Group> groups_of(const std::string& device) {
  Simulations simulations;
  std::vector<Group> groups;
  for (const MeasuredRow& row : read_measured_rows(config_files("measured", ".csv"))) {
    if (!device.empty() && row.device != device) {
      continue;
    }
    const std::string title = title_of(row);
    auto group = std::ranges::find_if(
        groups, [&](const Group& one) { return one.device == row.device && one.title == title; });
    if (group == groups.end()) {
      group = groups.insert(groups.end(), Group{row.device, title, row.use, {}});
    }
    group->rows.push_back(simulations.compare(row));
  }
  std::ranges::stable_sort(groups, {}, &Group::device);
  return groups;
}

std::string load_of(const MeasuredRow& row) {
  const std::string load = fmt::format("{} {} x {}", bytes_text(row.bytes), row.threads, row.depth);
  return row.note.empty() ? load : fmt::format("{}, {}", load, row.note);
}

double rms(const Group& group, std::size_t fidelity) {
  double sum = 0.0;
  for (const Compared& one : group.rows) {
    sum += one.errors[fidelity] * one.errors[fidelity];
  }
  return std::sqrt(sum / static_cast<double>(group.rows.size()));
}

const Compared& worst(const Group& group, std::size_t fidelity) {
  return *std::ranges::max_element(group.rows, {}, [fidelity](const Compared& one) {
    return std::abs(std::log(1.0 + one.errors[fidelity]));
  });
}

std::string percent(double error) {
  return fmt::format("{:+.0f} %", 100.0 * error);
}

struct Tails {
  std::size_t rows = 0;
  double median = 0.0;
  double least = 0.0;
  double most = 0.0;
};

Tails tails_of(const Group& group) {
  std::vector<double> ratios;
  for (const Compared& one : group.rows) {
    if (one.p99_ratio > 0.0) {
      ratios.push_back(one.p99_ratio);
    }
  }
  if (ratios.empty()) {
    return {};
  }
  const auto [least, most] = std::ranges::minmax(ratios);
  return {ratios.size(), quantile(ratios, 0.5), least, most};
}

std::string tails_text(const Group& group) {
  const Tails tails = tails_of(group);
  return tails.rows == 0 ? ""
                         : fmt::format("{:.2f}, {:.2f} to {:.2f}", tails.median, tails.least, tails.most);
}

std::vector<std::string> table_row(const Group& group) {
  std::vector<std::string> cells{group.device, group.title, std::to_string(group.rows.size())};
  for (std::size_t i = 0; i < kFidelities.size(); ++i) {
    const Compared& row = worst(group, i);
    cells.push_back(fmt::format("{:.1f} %", 100.0 * rms(group, i)));
    cells.push_back(fmt::format("{} ({})", percent(row.errors[i]), load_of(row.row)));
  }
  cells.push_back(tails_text(group));
  return cells;
}

std::string apart_text(const Compared& one) {
  return fmt::format("{} MB/s at {}: queueing {}, analytic {}", one.row.bytes_per_s / 1e6, load_of(one.row),
                     percent(one.errors[0]), percent(one.errors[1]));
}

/// Shipped devices of which no row counts.
std::vector<std::string> without_rows(const std::vector<Group>& groups) {
  std::vector<std::string> names;
  for (const std::filesystem::path& file : config_files("devices", ".yaml")) {
    const std::string name = file.stem().string();
    if (std::ranges::find(groups, name, &Group::device) == groups.end()) {
      names.push_back(name);
    }
  }
  return names;
}

}  // namespace

std::string validation_markdown() {
  const std::vector<Group> groups = groups_of("");
  Table table{{"device", "rows", "count", "`queueing`: RMS", "worst (size, threads x depth)",
               "`analytic`: RMS", "worst", "p99, simulated / measured: median, all"},
              {}};
  std::string apart;
  for (const Group& group : groups) {
    if (group.use != RowUse::apart) {
      table.rows.push_back(table_row(group));
      continue;
    }
    for (const Compared& one : group.rows) {
      apart += fmt::format("- {}: {}\n", group.device, apart_text(one));
    }
  }
  std::string text = markdown_table(table);
  if (!apart.empty()) {
    text += fmt::format("\nRows that do not count, with the reason:\n\n{}", apart);
  }
  if (const auto names = without_rows(groups); !names.empty()) {
    text += fmt::format("\nWithout a row, so not validated: {}.\n", fmt::join(names, ", "));
  }
  return text;
}

std::string validation_comment(const std::string& device) {
  find_config("devices", device);  // refuses what does not exist
  const std::vector<Group> groups = groups_of(device);
  std::string text = "# Against what was measured, `kvreplay list device --validated`:\n";
  for (const Group& group : groups) {
    if (group.use == RowUse::apart) {
      for (const Compared& one : group.rows) {
        text += fmt::format("#   apart: {}\n", apart_text(one));
      }
      continue;
    }
    const char* unit = group.rows.size() == 1 ? "row" : "rows";
    text += fmt::format("#   {}, {} {}: queueing {:.1f} % RMS, worst {}; analytic {:.1f} %, worst {}\n",
                        group.title, group.rows.size(), unit, 100.0 * rms(group, 0),
                        percent(worst(group, 0).errors[0]), 100.0 * rms(group, 1),
                        percent(worst(group, 1).errors[1]));
    if (const std::string tails = tails_text(group); !tails.empty()) {
      text += fmt::format("#     99th percentile, queueing over measured, median and all: {}\n", tails);
    }
  }
  return groups.empty() ? text + "#   no row: not validated\n" : text;
}

}  // namespace kvr::cli
