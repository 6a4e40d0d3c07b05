#pragma once

#include <cstdint>
#include <vector>

namespace kvr::flash {

/// Slots that are used again, so that memory follows what is outstanding and not what was ever asked.
template <class T>
class Pool {
 public:
  std::uint32_t take(const T& value) {
    if (free_.empty()) {
      slots_.push_back(value);
      return static_cast<std::uint32_t>(slots_.size() - 1);
    }
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    slots_[slot] = value;
    return slot;
  }
  void give_back(std::uint32_t slot) { free_.push_back(slot); }

  T& operator[](std::uint32_t slot) { return slots_[slot]; }
  const T& operator[](std::uint32_t slot) const { return slots_[slot]; }

 private:
  std::vector<T> slots_;
  std::vector<std::uint32_t> free_;
};

}  // namespace kvr::flash
