#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/config/resolve.hpp"
#include "sim/results/writer.hpp"
#include "traces/reader.hpp"

namespace kvr::sweep {

/// Points usually share traces and other files: each is validated and hashed once.
class TraceFiles {
 public:
  struct Trace {
    /// What `kvreplay trace validate` says of the file.
    std::vector<std::string> problems;
    bool opens = false;
    std::string hash;
    std::unique_ptr<trace::Reader> reader = nullptr;  ///< null while it is closed
  };

  /// Examines it where that was not done yet.
  Trace& at(const std::filesystem::path& path);
  /// Of each sequence of a point, opened where that is needed; null where one cannot be.
  std::vector<const trace::Reader*> of(const RunConfig& point);
  /// Closes all files, before the process forks: who opens a file again must not share its place in it.
  void close();
  /// sha256 of all that a point reads: its traces, and the files of its components.
  std::vector<std::string> hashes_of(const RunConfig& point);
  /// Paths and hashes of all that was asked for.
  void describe(Provenance& provenance) const;

 private:
  const std::string& hash_of_data(const std::filesystem::path& file);

  std::map<std::filesystem::path, Trace> traces_;
  std::map<std::filesystem::path, std::string> data_;  ///< hashes of the files of components
};

}  // namespace kvr::sweep
