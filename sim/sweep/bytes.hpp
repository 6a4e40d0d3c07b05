#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "sim/base/error.hpp"

namespace kvr::sweep {

/// Appends values to bytes, as this machine holds them.
class ByteWriter {
 public:
  template <class T>
  requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  void put(T value) { bytes_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void put(std::string_view text) {
    put(static_cast<std::uint64_t>(text.size()));
    bytes_.append(text);
  }
  template <class T>
  requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  void put(std::span<const T> values) {
    put(static_cast<std::uint64_t>(values.size()));
    bytes_.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
  }
  /// `put_one(writer, item)` writes an item.
  template <class Items, class PutOne>
  void put_each(const Items& items, PutOne put_one) {
    put(static_cast<std::uint64_t>(std::size(items)));
    for (const auto& item : items) {
      put_one(*this, item);
    }
  }

  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

/// Takes them back in the same order. Throws InputError("is cut short") past the end, also where a count says
/// that there is more than bytes are left, before anything is made for that many. Of enumerations any number
/// comes back.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : left_(bytes) {}

  template <class T>
  requires std::is_arithmetic_v<T> || std::is_enum_v<T> T get() {
    T value;
    const std::string_view bytes = next(sizeof value);
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }
  /// A byte that is neither 0 nor 1 is no bool to read into.
  bool flag() {
    const auto byte = get<std::uint8_t>();
    if (byte > 1) {
      throw InputError("is damaged: a flag is neither set nor not");
    }
    return byte == 1;
  }
  std::string text() { return std::string(next(get<std::uint64_t>())); }
  template <class T>
  std::vector<T> values() {
    const std::uint64_t count = size_of_items(sizeof(T));
    std::vector<T> found(count);
    const std::string_view bytes = next(count * sizeof(T));
    if (count > 0) {
      std::memcpy(found.data(), bytes.data(), bytes.size());
    }
    return found;
  }
  /// Passes over what `values` would give; returns how many these are.
  template <class T>
  std::uint64_t pass_values() {
    const std::uint64_t count = size_of_items(sizeof(T));
    next(count * sizeof(T));
    return count;
  }
  template <class GetOne>
  auto each(GetOne get_one) {
    std::vector<std::invoke_result_t<GetOne, ByteReader&>> found;
    for (std::uint64_t left = size_of_items(1); left > 0; --left) {
      found.push_back(std::invoke(get_one, *this));
    }
    return found;
  }
  bool at_end() const { return left_.empty(); }

 private:
  /// A count that the bytes left can hold.
  std::uint64_t size_of_items(std::size_t least_bytes) {
    const auto count = get<std::uint64_t>();
    if (count > left_.size() / least_bytes) {
      throw InputError("is cut short");
    }
    return count;
  }
  std::string_view next(std::uint64_t count) {
    if (count > left_.size()) {
      throw InputError("is cut short");
    }
    const std::string_view found = left_.substr(0, count);
    left_.remove_prefix(count);
    return found;
  }

  std::string_view left_;
};

}  // namespace kvr::sweep
