// Reading fio's JSON:
//
//   for each file: parse (fio_document.hpp); version; its jobs (fio_job.hpp)
//   sections that ran at the same time: each has a fault
//   jobs of one section with numjobs = N:  one entry -> fio summed them;  N entries -> sum here
//   every problem is collected; nothing is returned unless there is none
#include "models/flash/fit/fio/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <ios>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "models/flash/fit/fio/document.hpp"
#include "models/flash/fit/fio/job.hpp"
#include "sim/base/error.hpp"

namespace kvr::flash::fit {
namespace {

using Json = nlohmann::json;

/// The version that `kvreplay device probe` writes, whose jobs all run one after another.
constexpr std::string_view kOneByOne = "kvreplay-probe";

/// One file; its rows in the order of their first job.
class FileReader {
 public:
  FileReader(const FioText& file, const FioReading& reading, std::vector<std::string>& problems)
      : file_(file.name), text_(file.text), reading_(reading), problems_(problems) {}

  const std::string& version() const { return version_; }

  std::vector<Row> read() {
    const auto document = parse_fio_document(file_, text_, problems_);
    if (!document) {
      return {};
    }
    if (!document->is_object() || !document->contains("jobs") || !(*document)["jobs"].is_array() ||
        (*document)["jobs"].empty()) {
      report("jobs: none; allowed: the JSON that fio writes, with at least one job");
      return {};
    }
    if (!document->contains("fio version") || !(*document)["fio version"].is_string()) {
      report("fio version: missing; allowed: a text, as fio writes it");
    } else {
      version_ = (*document)["fio version"].get<std::string>();
    }
    std::vector<FioJob> jobs = read_jobs(*document);
    if (!version_.starts_with(kOneByOne)) {
      blame_company(jobs);
    }
    std::vector<Row> rows = merge(jobs);
    if (rows.size() == 1) {
      rows[0].utilisation = disk_utilisation(*document);
    }
    return rows;
  }

 private:
  void report(std::string_view what) { problems_.push_back(fmt::format("{}: {}", file_, what)); }

  std::vector<FioJob> read_jobs(const Json& document) {
    const FioContext context{file_, document.value("global options", Json()), reading_.link_bytes_per_s,
                             reading_.whole_bytes};
    const Json& jobs = document["jobs"];
    std::vector<FioJob> read;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (auto job = read_fio_job(context, jobs[i], i, problems_)) {
        read.push_back(std::move(*job));
      }
    }
    return read;
  }

  /// Entries of one section: fio reports its jobs one by one, or all of them in one.
  static bool is_same_section(const FioJob& one, const FioJob& next) {
    return one.section == next.section && one.row.threads > 1;
  }

  static bool begins_with(const FioJob& one, const FioJob& next) {
    switch (next.start) {
      case FioStart::in_group:
        return one.group == next.group;
      case FioStart::beside:
        return true;
      case FioStart::behind:
      case FioStart::unknown:
        break;
    }
    return false;
  }

  /// Sections that began together shared the device.
  static void blame_company(std::span<FioJob> jobs) {
    for (std::size_t begin = 0, end = 0; begin < jobs.size(); begin = end) {
      for (end = begin + 1; end < jobs.size() && (is_same_section(jobs[end - 1], jobs[end]) ||
                                                  begins_with(jobs[end - 1], jobs[end]));) {
        ++end;
      }
      const std::span<FioJob> together = jobs.subspan(begin, end - begin);
      for (FioJob& job : together) {
        const auto other = std::ranges::find_if(together, [&](const FioJob& candidate) {
          return &candidate != &job && !is_same_section(candidate, job);
        });
        if (other != together.end()) {
          job.row.fault = fmt::format("ran at the same time as '{}', with no stonewall between them",
                                      shortened(other->row.name));
        }
      }
    }
  }

  std::vector<Row> merge(const std::vector<FioJob>& jobs) {
    std::map<std::string, std::vector<const Row*>> groups;
    for (const FioJob& job : jobs) {
      groups[job.section].push_back(&job.row);
    }
    std::vector<Row> rows;
    for (const FioJob& job : jobs) {
      const std::vector<const Row*>& group = groups[job.section];
      if (job.row.threads == 1 || group.size() == 1) {
        rows.push_back(job.row);
      } else if (group.front() == &job.row) {
        check_complete(group);
        rows.push_back(sum(group));
      }
    }
    return rows;
  }

  void check_complete(const std::vector<const Row*>& group) {
    if (std::ssize(group) != group.front()->threads) {
      problems_.push_back(fmt::format(
          "{}: numjobs is {}, but {} jobs are called '{}'; allowed: all of them, or one with group_reporting",
          group.front()->place, group.front()->threads, group.size(), group.front()->name));
    }
  }

  /// Rates add up; mean times are weighted by the requests behind them.
  static Row sum(const std::vector<const Row*>& group) {
    Row total = *group.front();
    total.requests_per_s = total.bytes_per_s = total.latency_s = total.submit_s = 0.0;
    for (const Row* row : group) {
      total.requests_per_s += row->requests_per_s;
      total.bytes_per_s += row->bytes_per_s;
      total.latency_s += row->latency_s * row->requests_per_s;
      total.submit_s += row->submit_s * row->requests_per_s;
    }
    total.latency_s /= total.requests_per_s;
    total.submit_s /= total.requests_per_s;
    return total;
  }

  /// That of the busiest disk. fio states it for a whole file, so it says something of a row only where the
  /// row is alone.
  static std::optional<double> disk_utilisation(const Json& document) {
    constexpr double kPercent = 0.01;
    std::optional<double> busiest;
    const Json disks = document.value("disk_util", Json::array());
    for (const Json& disk : disks) {
      if (disk.is_object() && disk.contains("util") && disk["util"].is_number()) {
        busiest = std::max(busiest.value_or(0.0), kPercent * disk["util"].get<double>());
      }
    }
    return busiest;
  }

  const std::string& file_;
  const std::string& text_;
  std::string version_;
  const FioReading& reading_;
  std::vector<std::string>& problems_;
};

/// The rows of all; files of different versions are a problem.
std::vector<Row> read_texts(std::span<const FioText> files, const FioReading& reading,
                            std::vector<std::string>& problems) {
  std::vector<Row> rows;
  std::string version;
  std::string version_file;
  for (const FioText& file : files) {
    FileReader reader(file, reading, problems);
    std::ranges::move(reader.read(), std::back_inserter(rows));
    if (version.empty()) {
      version = reader.version();
      version_file = file.name;
    } else if (!reader.version().empty() && reader.version() != version) {
      problems.push_back(fmt::format("{}: fio version: '{}', but {} has '{}'; allowed: files of one version",
                                     file.name, reader.version(), version_file, version));
    }
  }
  return rows;
}

/// Empty where there is nothing to read, which is then in `problems`.
std::optional<std::string> read_text(const std::filesystem::path& path, std::vector<std::string>& problems) {
  if (std::filesystem::is_directory(path)) {
    problems.push_back(fmt::format("{}: is a folder; allowed: a file that fio wrote", path.string()));
    return std::nullopt;
  }
  errno = 0;
  std::ifstream stream(path, std::ios::binary);
  if (!stream.is_open() && (errno == EMFILE || errno == ENFILE)) {  // says nothing of the file
    throw SystemError(fmt::format("{}: cannot be read ({})", path.string(), std::strerror(errno)));
  }
  if (!stream.is_open()) {
    problems.push_back(fmt::format("{}: cannot be read; allowed: a file that fio wrote", path.string()));
    return std::nullopt;
  }
  try {
    return std::string{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  } catch (const std::ios_base::failure& error) {
    throw SystemError(fmt::format("{}: cannot be read ({})", path.string(), error.code().message()));
  }
}

}  // namespace

std::vector<Row> read_fio_texts(std::span<const FioText> files, const FioReading& reading) {
  std::vector<std::string> problems;
  std::vector<Row> rows = read_texts(files, reading, problems);
  if (!problems.empty()) {
    throw InputError(std::move(problems));
  }
  return rows;
}

std::vector<Row> read_fio_files(std::span<const std::filesystem::path> files, const FioReading& reading) {
  std::vector<std::string> problems;
  std::vector<FioText> texts;
  for (const std::filesystem::path& path : files) {
    if (std::optional<std::string> text = read_text(path, problems)) {
      texts.push_back({path.string(), std::move(*text)});
    }
  }
  std::vector<Row> rows = read_texts(texts, reading, problems);
  if (!problems.empty()) {
    throw InputError(std::move(problems));
  }
  return rows;
}

}  // namespace kvr::flash::fit
