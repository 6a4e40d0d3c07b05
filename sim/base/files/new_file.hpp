#pragma once

#include <filesystem>
#include <string_view>

namespace kvr {

/// The file that writing to `path` makes: symbolic links are followed, the last of which may lead to nothing
/// yet. Throws InputError where links lead in a circle, SystemError where one cannot be read.
std::filesystem::path output_target(const std::filesystem::path& path);

/// A file that appears whole or not at all: it is written under a temporary name in the same folder, and
/// `commit` puts it on the disk and renames it. Without `commit` the temporary is removed; only a process
/// that is killed leaves one, and the next that writes the same file removes that.
///
/// A symbolic link stays, and the file that it leads to is written. Throws SystemError without a folder.
class NewFile {
 public:
  explicit NewFile(const std::filesystem::path& path);
  ~NewFile();
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  const std::filesystem::path& temporary() const { return temporary_; }
  /// Throws SystemError if the disk or the rename fails.
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
};

/// Writes `text` as a NewFile. Throws SystemError if the disk fails.
void write_new_file(const std::filesystem::path& path, std::string_view text);

/// While it lives `remove_unfinished_files` also removes `path`: a file, or a folder in which no other is
/// left.
class Transient {
 public:
  explicit Transient(const std::filesystem::path& path);
  ~Transient();
  Transient(const Transient&) = delete;
  Transient& operator=(const Transient&) = delete;

 private:
  std::filesystem::path path_;
};

/// Removes the temporaries of all NewFiles of this process, which is about to end, and what is transient. May
/// be called from a signal handler.
void remove_unfinished_files() noexcept;

}  // namespace kvr
