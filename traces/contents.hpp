#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "sim/base/hdf5.hpp"

namespace kvr::trace {

/// What a file holds: every group and dataset by its path, found by following each hard link once. Internal
/// to traces/.
///
/// Only links that cannot lead out of the file, in circles or twice to the same object are followed; the
/// others, and objects that are neither groups nor datasets, are problems. So a path that is in here can be
/// opened without a surprise.
class Contents {
 public:
  /// A file with more objects, or deeper groups, is refused: no trace comes near.
  static constexpr std::size_t kMostObjects = 100'000;
  static constexpr std::size_t kDeepest = 16;

  explicit Contents(hid_t file);

  bool has_group(const std::string& path) const { return groups_.contains(path); }
  bool has_dataset(const std::string& path) const { return datasets_.contains(path); }
  /// A problem says what is wrong with it.
  bool is_refused(const std::string& path) const { return refused_.contains(path); }
  /// Names in a group, refused ones too, in alphabetical order; of no group none.
  const std::vector<std::string>& children(const std::string& group) const;
  /// Paths in alphabetical order.
  const std::set<std::string>& datasets() const { return datasets_; }

  const std::vector<std::string>& problems() const { return problems_; }

 private:
  struct Link;

  void look_into(hid_t file, const std::string& group);
  void take(hid_t file, const std::string& group, const Link& link);
  void refuse(hid_t file, const std::string& path, const std::string& why);

  std::map<std::string, std::vector<std::string>> groups_;
  std::set<std::string> datasets_;
  std::set<std::string> refused_;
  /// Where each object lies in the file, and its path.
  std::map<std::uint64_t, std::string> addresses_;
  /// Groups yet to be looked into.
  std::vector<std::string> left_;
  std::vector<std::string> problems_;
};

}  // namespace kvr::trace
