#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kvr::config {

/// Writes indented JSON in the order of the calls.
class JsonWriter {
 public:
  /// Opens an object or a list; the matching `close` ends it.
  JsonWriter& open(char bracket);
  JsonWriter& close();
  /// Names the next value of an object.
  JsonWriter& key(std::string_view name);
  JsonWriter& text(std::string_view value);
  JsonWriter& truth(bool value);
  JsonWriter& integer(std::int64_t value);
  JsonWriter& real(double value);
  JsonWriter& texts(const std::vector<std::string>& values);

  std::string take() &&;

 private:
  void begin_value();
  void write_text(std::string_view value);
  void new_line();

  struct Level {
    char end;
    bool empty = true;
  };
  std::vector<Level> levels_;
  bool after_key_ = false;
  std::string out_;
};

}  // namespace kvr::config
