#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "sim/results/outline.hpp"

namespace kvr::sweep {

/// A folder of finished points, one record each, by their keys (point_key). A point is in it whole or not at
/// all, whenever the process that puts it there is killed.
///
/// One at a time may have it open; its worker processes, forks of that, may `put` as well.
class Store {
 public:
  /// Makes the folder where there is none. Throws InputError where something else is there, SystemError where
  /// it cannot be made or another process has it open.
  explicit Store(std::filesystem::path folder);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  const std::filesystem::path& folder() const { return folder_; }
  /// Of the points in it.
  std::set<std::string> keys() const;
  /// Null where there is no such point; where its record is damaged, `tell` is told and the record goes.
  std::optional<PointOutline> find(const std::string& key,
                                   const std::function<void(const std::string&)>& tell) const;
  /// Throws SystemError where it cannot be written.
  void put(const std::string& key, const PointOutline& outline, const PointData& data) const;
  /// Throws SystemError where the record can no longer be read.
  std::shared_ptr<const PointData> values(const std::string& key) const;
  void remove(const std::string& key) const;
  /// The folder goes where no points are left in it when it is closed, and stays where there are.

 private:
  std::filesystem::path path_of(std::string_view key) const;
  void remove_litter() const;

  std::filesystem::path folder_;
  int lock_ = -1;
};

}  // namespace kvr::sweep
