#include "sim/cli/outputs.hpp"

#include <fmt/format.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "sim/base/error.hpp"
#include "sim/base/files/new_file.hpp"
#include "sim/config/problem_list.hpp"

namespace kvr::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kAllowed = "allowed: a new name or a regular file";
/// What a temporary name adds to a file's: ".partial-" and a process.
constexpr std::size_t kTemporaryBytes = 20;

/// What a name leads to; names that lead to one file have equal ones.
struct Identity {
  dev_t device;
  ino_t inode;

  friend bool operator==(const Identity&, const Identity&) = default;
};

std::optional<struct stat> status_of(const fs::path& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 ? std::optional(status) : std::nullopt;
}

std::optional<Identity> identity_of(const fs::path& path) {
  const auto status = status_of(path);
  return status ? std::optional(Identity{status->st_dev, status->st_ino}) : std::nullopt;
}

std::string_view kind_of(mode_t mode) {
  return S_ISDIR(mode)    ? "a folder"
         : S_ISCHR(mode)  ? "a character device"
         : S_ISBLK(mode)  ? "a block device"
         : S_ISFIFO(mode) ? "a pipe"
         : S_ISSOCK(mode) ? "a socket"
                          : "no regular file";
}

fs::path folder_of(const fs::path& file) {
  return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

/// Where an output will be written.
struct Target {
  fs::path path;
  std::optional<Identity> file;    ///< none: it is not there yet
  std::optional<Identity> folder;  ///< none: there is no such folder

  bool is_file_of(const Target& other) const {
    return file ? file == other.file
                : !other.file && folder && folder == other.folder && path.filename() == other.path.filename();
  }
};

Target target_of(const fs::path& output) {
  const fs::path path = output_target(output);
  return {path, identity_of(path), identity_of(folder_of(path))};
}

/// Why the file system would refuse to make or replace `path`; empty: it would not, as far as can be seen.
std::string refusal_of(const fs::path& path) {
  const fs::path folder = folder_of(path);
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    return errno == ENOENT
               ? fmt::format("there is no folder {}", folder.string())
               : fmt::format("the folder {} cannot be written to: {}", folder.string(), std::strerror(errno));
  }
  if (!fs::is_directory(folder)) {
    return fmt::format("{} is no folder", folder.string());
  }
  const std::size_t most = NAME_MAX - kTemporaryBytes;
  return path.filename().native().size() > most ? fmt::format("the name is longer than {} bytes", most) : "";
}

void refuse_other_kinds(const std::string& place, const fs::path& output, const Target& target) {
  const auto status = status_of(target.path);
  if (status && !S_ISREG(status->st_mode)) {
    throw InputError(fmt::format("{}: is {}; {}", place, kind_of(status->st_mode), kAllowed));
  }
  if (!output.has_filename()) {
    throw InputError(fmt::format("{}: is the name of a folder; {}", place, kAllowed));
  }
}

void refuse_inputs(const std::string& place, const Target& target, std::span<const fs::path> inputs) {
  for (const fs::path& input : inputs) {
    if (target.file && target.file == identity_of(input)) {
      throw InputError(
          fmt::format("{}: is an input ({}); allowed: a file that is not read", place, input.string()));
    }
  }
}

}  // namespace

void Outputs::write(std::string option, fs::path path) {
  outputs_.push_back({std::move(option), std::move(path), false});
}

void Outputs::write_unchecked(std::string option, fs::path path) {
  outputs_.push_back({std::move(option), std::move(path), true});
}

void Outputs::read(fs::path path) {
  inputs_.push_back(std::move(path));
}

void Outputs::check() const {
  ProblemList problems;
  std::vector<std::pair<std::string, Target>> others;
  for (const Output& output : outputs_) {
    const std::string place = fmt::format("{}: {}", output.option, output.path.string());
    problems.collect([&] {
      if (output.path.empty()) {
        throw InputError(fmt::format("{}: is empty; {}", output.option, kAllowed));
      }
      const Target target = target_of(output.path);
      if (!output.any_kind) {
        refuse_other_kinds(place, output.path, target);
      }
      refuse_inputs(place, target, inputs_);
      for (const auto& [option, other] : others) {
        if (target.is_file_of(other)) {
          throw InputError(fmt::format("{}: is the file of {} too; allowed: one of its own", place, option));
        }
      }
      others.emplace_back(output.option, target);
      if (const std::string refusal = refusal_of(target.path); !refusal.empty() && !output.any_kind) {
        throw SystemError(fmt::format("{}: {}", place, refusal));
      }
    });
  }
  problems.throw_if_any();
}

std::optional<SystemError> attempt_to_write(const std::function<void()>& write) {
  try {
    write();
    return std::nullopt;
  } catch (const SystemError& error) {
    return error;
  }
}

}  // namespace kvr::cli
