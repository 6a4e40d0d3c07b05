#include <sys/utsname.h>

#include <fstream>
#include <string>
#include <thread>

#include "kvreplay_build.hpp"
#include "sim/base/error.hpp"
#include "sim/base/origin/own_sources.hpp"
#include "sim/results/writer.hpp"

namespace kvr {
namespace {

/// The text after `key` and the separator on the first line of `path` that starts with `key`, or "unknown".
std::string line_value(const char* path, std::string_view key, char separator) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    const auto begin = line.starts_with(key) ? line.find(separator) : std::string::npos;
    const auto first = begin == std::string::npos ? begin : line.find_first_not_of("\t \"", begin + 1);
    if (first != std::string::npos) {
      return line.substr(first, line.find_last_not_of("\t \"") + 1 - first);
    }
  }
  return "unknown";
}

std::string describe_system() {
  utsname name{};
  KVR_CHECK(uname(&name) == 0, "uname");
  return fmt::format("{}, {} {} {}", line_value("/etc/os-release", "PRETTY_NAME", '='),
                     static_cast<const char*>(name.sysname), static_cast<const char*>(name.release),
                     static_cast<const char*>(name.machine));
}

/// Sources of somebody's own are not in kvreplay's commit.
std::string commit_of_program() {
  constexpr std::string_view kDirty = "-dirty";
  const std::string commit = build::kCommit;
  return own_sources().empty() || commit.ends_with(kDirty) ? commit : fmt::format("{}{}", commit, kDirty);
}

/// "path sha256" in lines; empty where the commit has all that is compiled.
std::string uncommitted_sources() {
  const std::string lines = fmt::format("{}{}", build::kUncommittedSources, fmt::join(own_sources(), "\n"));
  return lines.substr(0, lines.find_last_not_of('\n') + 1);
}

}  // namespace

Provenance describe_build_and_host() {
  Provenance provenance;
  provenance.add("schema_version", std::to_string(kResultsSchemaVersion));
  provenance.add("kvreplay_version", build::kVersion);
  provenance.add("commit", commit_of_program());
  if (const std::string sources = uncommitted_sources(); !sources.empty()) {
    provenance.add("uncommitted_sources", sources);
  }
  provenance.add("compiler", build::kCompiler);
  provenance.add("build_type", build::kType);
  provenance.add("host_cpu", line_value("/proc/cpuinfo", "model name", ':'));
  provenance.add("host_threads", std::to_string(std::thread::hardware_concurrency()));
  provenance.add("host_os", describe_system());
  return provenance;
}

}  // namespace kvr
