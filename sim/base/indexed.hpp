#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace kvr {

/// A vector whose indices and sizes are signed, as units, entries and heads are, so that none is cast where
/// it is used. Where assertions count, an index outside is caught.
template <class Id, class T>
class Indexed {
 public:
  Indexed() = default;
  explicit Indexed(std::int64_t count, const T& value = T())
      : items_(static_cast<std::size_t>(count), value) {}

  T& operator[](Id id) {
    assert(has(id));
    return items_[static_cast<std::size_t>(id)];
  }
  const T& operator[](Id id) const {
    assert(has(id));
    return items_[static_cast<std::size_t>(id)];
  }
  /// The element; made first, as those before it, where there is none.
  T& reach(Id id, const T& value = T()) {
    const auto at = static_cast<std::size_t>(id);
    if (at >= items_.size()) {
      items_.resize(at + 1, value);
    }
    return items_[at];
  }
  bool has(Id id) const { return static_cast<std::size_t>(id) < items_.size(); }

  std::int64_t size() const { return static_cast<std::int64_t>(items_.size()); }
  bool empty() const { return items_.empty(); }
  void resize(std::int64_t count, const T& value = T()) {
    items_.resize(static_cast<std::size_t>(count), value);
  }
  void assign(std::int64_t count, const T& value) { items_.assign(static_cast<std::size_t>(count), value); }
  void push_back(const T& value) { items_.push_back(value); }
  auto begin() { return items_.begin(); }
  auto end() { return items_.end(); }
  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }

 private:
  std::vector<T> items_;
};

}  // namespace kvr
