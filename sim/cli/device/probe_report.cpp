#include "sim/cli/device/probe_report.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <ctime>

#include "sim/base/json.hpp"
#include "sim/cli/table.hpp"

namespace kvr {

namespace {

using flash::ProbeJob;
using flash::ProbeRow;
using flash::ProbeTimes;

constexpr double kNano = 1e9;
constexpr double kPercent = 100.0;

std::string access_of(const ProbeJob& job) {
  return fmt::format("{}{}", job.sequential ? "" : "rand", job.kind == IoKind::read ? "read" : "write");
}

Json times_json(const ProbeTimes& times, std::int64_t count) {
  return {{"min", std::llround(times.min_s * kNano)},
          {"max", std::llround(times.max_s * kNano)},
          {"mean", times.mean_s * kNano},
          {"stddev", times.stddev_s * kNano},
          {"N", count}};
}

Json figures_json(const ProbeRow& row) {
  const double bytes_per_s = row.requests_per_s * static_cast<double>(row.job.bytes);
  Json completion = times_json(row.completion, row.requests);
  for (std::size_t i = 0; i < row.completion.percentiles_s.size(); ++i) {
    completion["percentile"][fmt::format("{:.6f}", flash::kProbePercentiles[i])] =
        std::llround(row.completion.percentiles_s[i] * kNano);
  }
  return {{"io_bytes", row.requests * row.job.bytes},
          {"bw_bytes", std::llround(bytes_per_s)},
          {"bw", std::llround(bytes_per_s / 1024.0)},
          {"iops", row.requests_per_s},
          {"runtime", std::llround(row.seconds * 1e3)},
          {"total_ios", row.requests},
          {"slat_ns", times_json(row.submission, row.requests)},
          {"clat_ns", std::move(completion)},
          {"lat_ns", times_json(row.latency, row.requests)}};
}

Json job_json(const ProbeRow& row) {
  const ProbeJob& job = row.job;
  return {{"jobname", job.name},
          {"groupid", 0},
          {"error", 0},
          {"job options",
           {{"rw", access_of(job)},
            {"bs", fio_size(job.bytes)},
            {"iodepth", fmt::format("{}", job.depth)},
            {"size", fio_size(job.range_bytes)},
            {"numjobs", fmt::format("{}", job.threads)},
            {"direct", "1"}}},
          {job.kind == IoKind::read ? "read" : "write", figures_json(row)},
          {"usr_cpu", kPercent * row.user_share},
          {"sys_cpu", kPercent * row.system_share},
          {"iops_of_passes", {{"min", row.lowest_per_s}, {"max", row.highest_per_s}}}};
}

Json host_json(const ProbeReport& report, std::time_t now) {
  const flash::StorageHost& host = report.host;
  return {{"date", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now))},
          {"kernel", host.kernel},
          {"cpu", host.cpu},
          {"path", report.path},
          {"file_system", host.file_system},
          {"block_device", host.block_device},
          {"model", host.model},
          {"scheduler", host.scheduler},
          {"nr_requests", host.nr_requests},
          {"max_sectors_kb", host.max_sectors_kb},
          {"rotational", host.rotational},
          {"write_cache", host.write_cache},
          {"passes", report.passes},
          {"remarks", report.remarks}};
}

/// How far the slowest and the fastest pass are off the one that is reported.
std::string spread_text(const ProbeRow& row) {
  if (row.requests_per_s == 0.0) {
    return "-";
  }
  return fmt::format("{:+.0f} to {:+.0f} %", kPercent * (row.lowest_per_s / row.requests_per_s - 1.0),
                     kPercent * (row.highest_per_s / row.requests_per_s - 1.0));
}

}  // namespace

std::string fio_size(std::int64_t bytes) {
  constexpr std::array<char, 3> kUnits{'G', 'M', 'k'};
  for (std::size_t i = 0; i < kUnits.size(); ++i) {
    const std::int64_t unit = std::int64_t{1} << (10 * (kUnits.size() - i));
    if (bytes % unit == 0) {
      return fmt::format("{}{}", bytes / unit, kUnits[i]);
    }
  }
  return fmt::format("{}", bytes);
}

std::string probe_json(const ProbeReport& report) {
  const std::time_t now = std::time(nullptr);
  Json jobs = Json::array();
  for (const ProbeRow& row : report.rows) {
    jobs.push_back(job_json(row));
  }
  return json_text({{"fio version", "kvreplay-probe 1"},
                    {"timestamp", now},
                    {"global options",
                     {{"ioengine", report.engine == "threads" ? "psync" : report.engine},
                      {"direct", "1"},
                      {"norandommap", "1"},
                      {"group_reporting", "1"},
                      {"ramp_time", fmt::format("{:g}", report.warm_up_s)}}},
                    {"jobs", std::move(jobs)},
                    {"host", host_json(report, now)}});
}

std::string probe_table(std::span<const ProbeRow> rows) {
  cli::Table table{{"access", "size", "depth", "threads", "range", "k/s", "MB/s", "mean us", "p99 us",
                    "outstanding", "CPU", "passes"},
                   {}};
  const std::size_t p99 = 5;
  static_assert(flash::kProbePercentiles[p99] == 99.0);
  for (const ProbeRow& row : rows) {
    const ProbeJob& job = row.job;
    const auto bytes = static_cast<double>(job.bytes);
    const std::vector<double>& tail = row.latency.percentiles_s;
    table.rows.push_back(
        {access_of(job), fio_size(job.bytes), fmt::format("{}", job.depth), fmt::format("{}", job.threads),
         fio_size(job.range_bytes), fmt::format("{:.2f}", row.requests_per_s * 1e-3),
         fmt::format("{:.1f}", row.requests_per_s * bytes * 1e-6),
         fmt::format("{:.1f}", row.latency.mean_s * 1e6),
         tail.empty() ? "-" : fmt::format("{:.1f}", tail[p99] * 1e6),
         fmt::format("{:.1f}", row.outstanding()),
         fmt::format("{:.0f} %", kPercent * (row.user_share + row.system_share)), spread_text(row)});
  }
  return cli::plain_table(table);
}

}  // namespace kvr
