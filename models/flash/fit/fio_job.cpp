// One job of fio's JSON: its options (its own, else the global ones), then its figures. A row must be one
// kind of access to the device itself: direct, one size, one depth.
#include "models/flash/fit/fio_job.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <utility>

#include "models/flash/fit/fio_document.hpp"
#include "models/flash/fit/fio_size.hpp"

namespace kvr::flash::fit {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kSizes = "allowed: bytes, or k, m, g, t behind a whole number, e.g. 4k";

constexpr std::int64_t kMostOutstanding = 65'536;
// Years: beyond, it is no measurement, and the arithmetic of the fit would need care.
constexpr double kMostNanoseconds = 1e17;
constexpr double kMostMilliseconds = 1e11;
constexpr double kNano = 1e-9;
constexpr double kMilli = 1e-3;
constexpr double kMega = 1e6;

struct Access {
  std::string_view name;
  IoKind kind;
  bool sequential;
};
constexpr std::array kAccesses = {Access{"read", IoKind::read, true}, Access{"randread", IoKind::read, false},
                                  Access{"write", IoKind::write, true},
                                  Access{"randwrite", IoKind::write, false}};

std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

/// An option's text; fio writes all options as texts, others may write numbers.
std::optional<std::string> option_text(const Json& options, std::string_view name) {
  const auto found = options.find(name);
  return found == options.end() ? std::nullopt : std::optional(text_of(*found));
}

/// Names go into the tables and the comments of what is written.
bool is_name(const Json& value) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  return value.is_string() && std::ranges::none_of(value.get_ref<const std::string&>(), is_control);
}

class JobReader {
 public:
  JobReader(const FioContext& context, const Json& job, std::size_t index, std::vector<std::string>& problems)
      : context_(context), job_(job), at_(fmt::format("jobs[{}]", index)), problems_(problems) {}

  std::optional<FioJob> read() {
    const std::size_t before = problems_.size();
    if (!job_.is_object()) {
      report(at_, "no object; allowed: what fio writes for a job");
      return std::nullopt;
    }
    FioJob result;
    Row& row = result.row;
    row.name = read_name();
    result.group = fmt::format("{}/{}", row.name, option_text(job_, "groupid").value_or("0"));
    check_state();
    read_options(row);
    if (const Access* access = read_access(); access != nullptr) {
      row.kind = access->kind;
      row.sequential = access->sequential;
      read_figures(access->kind == IoKind::read ? "read" : "write", row);
    }
    return problems_.size() == before ? std::optional(std::move(result)) : std::nullopt;
  }

 private:
  void report(std::string_view where, std::string_view what) {
    problems_.push_back(fmt::format("{}: {}: {}", context_.file, where, what));
  }

  std::string option_place(std::string_view name) const {
    return fmt::format("{}.job options.{}", at_, name);
  }

  /// The first of `names` that the job's own options have, else the global ones.
  std::optional<std::string> option(std::initializer_list<std::string_view> names) const {
    const auto own = job_.find("job options");
    for (const Json* options : {own != job_.end() ? &*own : nullptr, &context_.global_options}) {
      if (options == nullptr || !options->is_object()) {
        continue;
      }
      for (const std::string_view name : names) {
        if (auto text = option_text(*options, name)) {
          return text;
        }
      }
    }
    return std::nullopt;
  }

  std::string read_name() {
    const auto found = job_.find("jobname");
    if (found != job_.end() && !is_name(*found)) {
      report(at_ + ".jobname",
             fmt::format("{}; allowed: a text without control characters", shortened(found->dump())));
    }
    return found != job_.end() ? text_of(*found) : "";
  }

  /// What makes all figures of the job worthless.
  void check_state() {
    if (const std::string direct = option({"direct"}).value_or("0"); direct != "1") {
      report(option_place("direct"),
             fmt::format("'{}', so the page cache may have answered; allowed: 1", shortened(direct)));
    }
    if (const std::string base = option({"kb_base"}).value_or("1024"); base != "1024") {
      report(option_place("kb_base"),
             fmt::format("'{}'; allowed: 1024, which sizes are read with", shortened(base)));
    }
    if (const std::string error = option_text(job_, "error").value_or("0"); error != "0") {
      report(at_ + ".error", fmt::format("the job failed with {}; allowed: 0", shortened(error)));
    }
  }

  const Access* read_access() {
    const std::string name = option({"rw", "readwrite"}).value_or("read");
    const auto found = std::ranges::find(kAccesses, std::string_view(name), &Access::name);
    if (found == kAccesses.end()) {
      report(option_place("rw"),
             fmt::format("'{}'; allowed: read, randread, write, randwrite", shortened(name)));
      return nullptr;
    }
    return &*found;
  }

  void read_options(Row& row) {
    const std::string bytes = option({"bs", "blocksize"}).value_or("4k");
    row.bytes = parse_fio_size(bytes).value_or(0);
    if (row.bytes == 0) {
      report(option_place("bs"), fmt::format("'{}'; {}", shortened(bytes), kSizes));
    }
    const auto size = option({"size", "filesize"});
    row.range_bytes = parse_fio_size(size.value_or("")).value_or(0);
    if (row.range_bytes == 0) {
      report(option_place("size"),
             size ? fmt::format("'{}'; {}", shortened(*size), kSizes) : fmt::format("missing; {}", kSizes));
    }
    const auto align = option({"blockalign", "ba"});
    row.align_bytes = align ? parse_fio_size(*align).value_or(0) : row.bytes;
    if (align && row.align_bytes == 0) {
      report(option_place("blockalign"), fmt::format("'{}'; {}", shortened(*align), kSizes));
    } else if (align && row.bytes % row.align_bytes != 0) {
      report(option_place("blockalign"),
             fmt::format("'{}', which does not divide bs ({} B); allowed: bs, or a size that divides it",
                         shortened(*align), row.bytes));
    }
    row.depth = count_option("iodepth");
    row.threads = count_option("numjobs");
    if (row.outstanding() > kMostOutstanding && row.depth <= kMostOutstanding &&
        row.threads <= kMostOutstanding) {
      report(option_place("numjobs"),
             fmt::format("{} requests outstanding; allowed: up to {}", row.outstanding(), kMostOutstanding));
    }
  }

  std::int64_t count_option(std::string_view name) {
    const std::string text = option({name}).value_or("1");
    const std::int64_t number = parse_fio_size(text).value_or(0);
    if (number < 1 || number > kMostOutstanding) {
      report(option_place(name), fmt::format("'{}'; allowed: 1 to {}", shortened(text), kMostOutstanding));
    }
    return number;
  }

  /// The number at `first.second` of the `kind` of access; 0 where it is not needed and missing.
  double figure(std::string_view kind, std::string_view first, std::string_view second, bool needed,
                double most = std::numeric_limits<double>::max()) {
    const Json* node = &job_;
    std::string where = at_;
    for (const std::string_view key : {kind, first, second}) {
      if (key.empty()) {
        continue;
      }
      where += fmt::format(".{}", key);
      const auto found = node != nullptr && node->is_object() ? node->find(key) : job_.end();
      node = node != nullptr && node->is_object() && found != node->end() ? &*found : nullptr;
    }
    if (node == nullptr && !needed) {
      return 0.0;
    }
    const double value = node != nullptr && node->is_number() ? node->get<double>() : 0.0;
    if (node == nullptr || !node->is_number() || value < 0.0 || (needed && value == 0.0)) {
      report(where, fmt::format("{}; allowed: a number above 0",
                                node == nullptr ? "missing" : shortened(node->dump())));
    } else if (value > most) {
      report(where, fmt::format("{:g}; allowed: at most {:g}", value, most));
    }
    return value;
  }

  void read_figures(std::string_view kind, Row& row) {
    row.place = fmt::format("{}: {}.{}", context_.file, at_, kind);
    row.requests_per_s = figure(kind, "iops", "", true);
    row.latency_s = figure(kind, "lat_ns", "mean", true, kMostNanoseconds) * kNano;
    row.submit_s = figure(kind, "slat_ns", "mean", false, kMostNanoseconds) * kNano;
    row.seconds = figure(kind, "runtime", "", false, kMostMilliseconds) * kMilli;
    row.bytes_per_s = row.requests_per_s * static_cast<double>(row.bytes);
    if (row.bytes_per_s > context_.link_bytes_per_s) {
      report(fmt::format("{}.{}.iops", at_, kind),
             fmt::format("{:.4g} MB/s are more than the link carries, so a cache answered; allowed: up to "
                         "{:.4g} MB/s",
                         row.bytes_per_s / kMega, context_.link_bytes_per_s / kMega));
    }
  }

  const FioContext& context_;
  const Json& job_;
  std::string at_;
  std::vector<std::string>& problems_;
};

}  // namespace

std::optional<FioJob> read_fio_job(const FioContext& context, const Json& job, std::size_t index,
                                   std::vector<std::string>& problems) {
  return JobReader(context, job, index, problems).read();
}

}  // namespace kvr::flash::fit
