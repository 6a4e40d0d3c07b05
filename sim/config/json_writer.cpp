#include "sim/config/json_writer.hpp"

#include <fmt/format.h>

#include <cmath>

#include "sim/base/error.hpp"

namespace kvr::config {

JsonWriter& JsonWriter::open(char bracket) {
  begin_value();
  out_ += bracket;
  levels_.push_back({bracket == '{' ? '}' : ']'});
  return *this;
}

JsonWriter& JsonWriter::close() {
  KVR_CHECK(!levels_.empty() && !after_key_, "nothing to close after {} characters", out_.size());
  const Level level = levels_.back();
  levels_.pop_back();
  if (!level.empty) {
    new_line();
  }
  out_ += level.end;
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  begin_value();
  write_text(name);
  out_ += ": ";
  after_key_ = true;
  return *this;
}

JsonWriter& JsonWriter::text(std::string_view value) {
  begin_value();
  write_text(value);
  return *this;
}

JsonWriter& JsonWriter::truth(bool value) {
  begin_value();
  out_ += value ? "true" : "false";
  return *this;
}

JsonWriter& JsonWriter::integer(std::int64_t value) {
  begin_value();
  out_ += fmt::format("{}", value);
  return *this;
}

JsonWriter& JsonWriter::real(double value) {
  KVR_CHECK(std::isfinite(value), "JSON has no {}", value);
  begin_value();
  out_ += fmt::format("{}", value);
  return *this;
}

JsonWriter& JsonWriter::texts(const std::vector<std::string>& values) {
  open('[');
  for (const std::string& value : values) {
    text(value);
  }
  return close();
}

std::string JsonWriter::take() && {
  KVR_CHECK(levels_.empty(), "{} brackets are open", levels_.size());
  out_ += '\n';
  return std::move(out_);
}

void JsonWriter::begin_value() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (!levels_.empty()) {
    out_ += levels_.back().empty ? "" : ",";
    levels_.back().empty = false;
    new_line();
  }
}

void JsonWriter::write_text(std::string_view value) {
  out_ += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      out_ += '\\';
      out_ += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out_ += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out_ += c;
    }
  }
  out_ += '"';
}

void JsonWriter::new_line() {
  out_ += '\n';
  out_.append(2 * levels_.size(), ' ');
}

}  // namespace kvr::config
