#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/files/temporary_folder.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/clustering.hpp"

namespace kvr::test {

inline void write_text(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file) << text;
}

inline std::string read_text(const std::filesystem::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Units as a test wrote them down.
class ListedUnits final : public Clustering {
 public:
  using Units = std::vector<std::vector<EntryIndex>>;

  explicit ListedUnits(Units members, Units pending = {})
      : members_(std::move(members)), pending_(std::move(pending)) {
    pending_.resize(members_.size());
  }

  using Clustering::build;
  void build(const HeadView&, const EntrySet&, ChangeList&, Work&) override {}
  void append(EntryIndex, const HeadView&, const ResidentUnits&, ChangeList&, Work&) override {}
  std::int64_t unit_count() const override { return std::ssize(members_); }
  std::span<const EntryIndex> members(UnitId unit) const override {
    return members_[static_cast<std::size_t>(unit)];
  }
  std::span<const EntryIndex> pending(UnitId unit) const override {
    return pending_[static_cast<std::size_t>(unit)];
  }
  std::int64_t dram_bytes() const override { return 0; }

  /// The tests change what is listed as a clustering would.
  std::vector<EntryIndex>& list(UnitId unit) { return members_[static_cast<std::size_t>(unit)]; }
  std::vector<EntryIndex>& pending_list(UnitId unit) { return pending_[static_cast<std::size_t>(unit)]; }
  UnitId add(std::vector<EntryIndex> members) {
    members_.push_back(std::move(members));
    pending_.emplace_back();
    return static_cast<UnitId>(members_.size() - 1);
  }

 private:
  Units members_;
  Units pending_;
};

template <class Interface>
std::unique_ptr<Interface> make(std::string_view name, const typename Interface::Context& context,
                                const ParamValues& values = {}) {
  return Registry<Interface>::instance().create(name, values, context);
}

}  // namespace kvr::test
