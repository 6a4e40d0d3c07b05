#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/files/temporary_folder.hpp"
#include "sim/config/resolve.hpp"
#include "tests/config/catalogue.hpp"

namespace kvr::test {

/// Files in a folder of their own, gone with the object. The working directory is that folder meanwhile, so
/// that messages name files as a user would.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  void write(const std::string& name, std::string_view text) const;

 private:
  std::filesystem::path before_;
  TemporaryFolder folder_;
};

std::vector<RunConfig> load(const std::string& file, const std::vector<std::string>& sets = {});

/// The one message that a configuration gives; fails the test when it gives none.
std::string error_of(const std::string& file, const std::vector<std::string>& sets = {});
/// The same for a file `c.yaml` with this text.
std::string error_of_text(std::string_view text, const std::vector<std::string>& sets = {});

/// kGood with `from` (which must be there) replaced by `to`.
std::string good_with(std::string_view from, std::string_view to);

}  // namespace kvr::test
