#include "sim/sweep/point_key.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/sha256.hpp"

namespace kvr::sweep {

namespace {

/// Without the root's keys that say what the configuration is called.
std::string nameless(std::string_view yaml) {
  std::string text;
  while (!yaml.empty()) {
    const std::size_t end = std::min(yaml.find('\n'), yaml.size() - 1) + 1;
    const std::string_view line = yaml.substr(0, end);
    if (!line.starts_with("name:") && !line.starts_with("description:")) {
      text += line;
    }
    yaml.remove_prefix(end);
  }
  return text;
}

}  // namespace

std::string point_key(const RunConfig& point, std::span<const std::string> hashes, std::string_view program) {
  const std::string text = fmt::format("{}\n{}\n{}\n{}", program, fmt::join(hashes, "\n"),
                                       fmt::join(point.notes, "\n"), nameless(point.resolved_yaml));
  Sha256 hash;
  hash.update(std::as_bytes(std::span(text)));
  return hash.hex();
}

std::string program_sha256() {
  return sha256_of_file("/proc/self/exe");
}

}  // namespace kvr::sweep
