// One job of fio's JSON: its options (its own, else the global ones), then its figures. A row must be one
// kind of access to the device itself. What makes it worthless or unreadable is a problem; what no model can
// be asked about, though it is well measured, is a fault of the row: sizes that vary, offsets that are not
// uniform.
#include "models/flash/fit/fio/job.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

#include "models/flash/fit/fio/document.hpp"
#include "models/flash/fit/fio/size.hpp"

namespace kvr::flash::fit {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kSizes = "allowed: bytes, or k, m, g, t behind a whole number, e.g. 4k";
/// Engines whose threads wait for each request, whatever the depth says.
constexpr std::array<std::string_view, 7> kSynchronous = {"sync",    "psync", "vsync", "pvsync",
                                                          "pvsync2", "mmap",  "splice"};
/// Options that spread the offsets otherwise than `rw` says, and their values that do not.
struct Spread {
  std::string_view option;
  std::string_view plain;
  bool of_random_only;
};
constexpr std::array kSpreads = {Spread{"random_distribution", "random", true},
                                 Spread{"percentage_random", "100", true},
                                 Spread{"zonemode", "none", false},
                                 Spread{"zonesize", "0", false},
                                 Spread{"zoneskip", "0", false},
                                 Spread{"read_iolog", "", false}};
constexpr std::string_view kDefaultSize = "4k";
constexpr double kOffSize = 0.05;  ///< of the bytes of a request; figures are rounded

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
    const auto group = option_text(job_, "groupid");
    result.group = group.value_or("0");
    result.section = fmt::format("{}/{}", row.name, result.group);
    result.start = group ? start() : FioStart::unknown;
    check_state();
    const Access* access = read_access();
    row.kind = access != nullptr ? access->kind : IoKind::read;
    row.sequential = access != nullptr && access->sequential;
    read_options(row);
    if (access != nullptr) {
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

  /// Of an option without a value, such as stonewall.
  bool is_set(std::initializer_list<std::string_view> names) const {
    const auto text = option(names);
    return text && *text != "0";
  }

  FioStart start() const {
    if (is_set({"stonewall", "wait_for_previous", "wait_for"})) {
      return FioStart::behind;
    }
    return is_set({"new_group"}) ? FioStart::beside : FioStart::in_group;
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

  /// fio's "reads,writes,trims": of an empty part the default, of a missing one that before it.
  static std::string part_for(IoKind kind, std::string_view text) {
    const std::size_t comma = text.find(',');
    const std::string_view reads = text.substr(0, comma);
    if (kind == IoKind::read || comma == std::string_view::npos) {
      return std::string(reads.empty() && comma != std::string_view::npos ? kDefaultSize : reads);
    }
    const std::string_view others = text.substr(comma + 1);
    const std::string_view writes = others.substr(0, others.find(','));
    return std::string(writes.empty() ? kDefaultSize : writes);
  }

  void read_block(Row& row) {
    const std::string bytes = option({"bs", "blocksize"}).value_or(std::string(kDefaultSize));
    row.bytes = parse_fio_size(part_for(row.kind, bytes)).value_or(0);
    if (row.bytes == 0) {
      report(option_place("bs"), fmt::format("'{}'; {}", shortened(bytes), kSizes));
    }
    for (const std::string_view name : {"bsrange", "blocksize_range", "bssplit"}) {
      if (const auto sizes = option({name})) {
        row.fault = fmt::format("block sizes vary ({}={})", name, shortened(*sizes));
      }
    }
  }

  /// A share of the whole, "50%"; empty if it is none.
  static std::optional<double> share_of(std::string_view text) {
    constexpr double kPercent = 0.01;
    std::int64_t percent = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
    const bool is_share = error == std::errc() && end + 1 == text.data() + text.size() && *end == '%';
    return is_share && percent >= 1 && percent <= 100 ? std::optional(kPercent * static_cast<double>(percent))
                                                      : std::nullopt;
  }

  /// Where in the whole the first offset lies; empty if it cannot be read.
  std::optional<std::int64_t> offset_bytes(std::int64_t whole_bytes) const {
    const std::string text = option({"offset", "fileoffset"}).value_or("0");
    if (const auto share = share_of(text)) {
      return static_cast<std::int64_t>(*share * static_cast<double>(whole_bytes));
    }
    return text == "0" ? 0 : parse_fio_size(text);
  }

  void read_range(Row& row) {
    const auto size = option({"size", "filesize"});
    const auto share = size ? share_of(*size) : std::optional(1.0);
    if (!share) {
      row.range_bytes = parse_fio_size(*size).value_or(0);
      if (row.range_bytes == 0) {
        report(option_place("size"), fmt::format("'{}'; {}, 1% to 100%", shortened(*size), kSizes));
      }
    } else if (!context_.whole_bytes) {
      report(option_place("size"),
             fmt::format("{}; allowed: a size, or the option --range with that of the file or device",
                         size ? fmt::format("'{}'", shortened(*size)) : "missing"));
    } else {
      const std::int64_t whole = *context_.whole_bytes;
      const auto wanted = static_cast<std::int64_t>(*share * static_cast<double>(whole));
      const auto offset = offset_bytes(whole);
      if (!offset || *offset >= whole) {
        report(option_place("offset"),
               fmt::format("'{}'; allowed: less than --range, {} B",
                           shortened(option({"offset", "fileoffset"}).value_or("0")), whole));
      }
      row.range_bytes = std::min(wanted, whole - offset.value_or(0));
    }
  }

  void read_spread(Row& row) const {
    for (const Spread& spread : kSpreads) {
      const auto text = option({spread.option});
      if (text && *text != spread.plain && !(row.sequential && spread.of_random_only)) {
        row.fault = fmt::format("offsets are neither uniform nor in sequence ({}={})", spread.option,
                                shortened(*text));
      }
    }
  }

  /// Who waits for each request has no more than one outstanding. Without an engine it is fio's own choice,
  /// which waits or makes no difference at depth 1.
  void read_engine(Row& row) const {
    const auto engine = option({"ioengine"});
    row.synchronous =
        engine ? std::ranges::count(kSynchronous, std::string_view(*engine)) > 0 : row.depth == 1;
    row.depth = row.synchronous ? 1 : row.depth;
  }

  void read_options(Row& row) {
    read_block(row);
    read_range(row);
    read_spread(row);
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
    read_engine(row);
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

  /// The bytes that fio counted; 0: it did not say. Sections reported as one may have several sizes.
  static void check_size(double counted_per_s, Row& row) {
    const auto stated = static_cast<double>(row.bytes);
    const double each = counted_per_s / row.requests_per_s;
    if (counted_per_s > 0.0 && row.requests_per_s > 0.0 && row.fault.empty() &&
        std::abs(each - stated) > kOffSize * stated) {
      row.fault = fmt::format("bw_bytes over iops is {:.0f} B, but bs is {} B", each, row.bytes);
    }
  }

  void read_figures(std::string_view kind, Row& row) {
    row.place = fmt::format("{}: {}.{}", context_.file, at_, kind);
    row.requests_per_s = figure(kind, "iops", "", true);
    row.latency_s = figure(kind, "lat_ns", "mean", true, kMostNanoseconds) * kNano;
    row.submit_s = figure(kind, "slat_ns", "mean", false, kMostNanoseconds) * kNano;
    row.seconds = figure(kind, "runtime", "", false, kMostMilliseconds) * kMilli;
    row.bytes_per_s = row.requests_per_s * static_cast<double>(row.bytes);
    check_size(figure(kind, "bw_bytes", "", false), row);
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
