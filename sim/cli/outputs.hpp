#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/error.hpp"

namespace kvr::cli {

/// The files that a command reads and writes, told before it runs, so that no output destroys an input and
/// hours of work do not end in a file that cannot be written.
class Outputs {
 public:
  /// `option` is what the user calls it, e.g. "--out".
  void write(std::string option, std::filesystem::path path);
  /// A file that is written by what checks for itself what it may be, e.g. a block device that is measured:
  /// only that it is no input and no other output is checked here.
  void write_unchecked(std::string option, std::filesystem::path path);
  void read(std::filesystem::path path);

  /// Nothing is touched. An output must be a new name or a regular file, symbolic links followed, that is no
  /// input and no other output. Throws InputError with everything that is wrong, and SystemError where the
  /// file system refuses: no such folder, no permission.
  void check() const;

 private:
  struct Output {
    std::string option;
    std::filesystem::path path;
    bool any_kind;
  };
  std::vector<Output> outputs_;
  std::vector<std::filesystem::path> inputs_;
};

/// Runs `write`; what the system refused comes back, so that what was computed can be told before it is
/// thrown.
std::optional<SystemError> attempt_to_write(const std::function<void()>& write);

}  // namespace kvr::cli
