// What a codec stores of rows of the caller, for comparison with other software.
//
//   codec_blobs CODEC WIDTH [NAME=VALUE] < ROWS > BLOBS
//
// In and out are little-endian, without a header. ROWS: float32, WIDTH numbers each; of every row, BLOBS has
// the length of its blob (int32), the blob, and the row as it comes back (float32). Rows know of no others;
// the parameter NAME is a text.
#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "sim/base/registry.hpp"
#include "sim/interfaces/codec.hpp"

namespace kvr {
namespace {

template <class Number>
void put(std::span<const Number> numbers) {
  const auto bytes = std::as_bytes(numbers);
  std::fwrite(bytes.data(), 1, bytes.size(), stdout);
}

void put_row(HeadCodec& head, std::span<const float> row) {
  StoredRow stored;
  Work work;
  head.encode(row, {{}, EntrySet::first(0)}, stored, work);
  std::vector<float> back(row.size());
  head.decode(stored.blob, {}, back);
  const auto length = static_cast<std::int32_t>(stored.blob.size());
  put(std::span(&length, 1));
  put(std::span<const std::byte>(stored.blob));
  put(std::span<const float>(back));
}

ParamValues setting_of(const std::string& setting) {
  const std::size_t equals = setting.find('=');
  return {{setting.substr(0, equals), setting.substr(equals + 1)}};
}

}  // namespace
}  // namespace kvr

int main(int argc, char** argv) {
  if (argc < 3 || argc > 4) {
    fmt::print(stderr, "usage: codec_blobs CODEC WIDTH [NAME=VALUE] < ROWS > BLOBS\n");
    return 2;
  }
  const std::int64_t width = std::stoll(argv[2]);
  const auto codec = kvr::Registry<kvr::Codec>::instance().create(
      argv[1], argc == 4 ? kvr::setting_of(argv[3]) : kvr::ParamValues{}, {.head_dim = width});
  const auto head = codec->of_head({.width = width, .head = {}, .plane = 0, .root_seed = 1});
  const std::string bytes{std::istreambuf_iterator<char>(std::cin), {}};
  std::vector<float> rows(bytes.size() / sizeof(float));
  std::memcpy(rows.data(), bytes.data(), rows.size() * sizeof(float));
  for (auto left = std::span<const float>(rows); !left.empty();
       left = left.subspan(static_cast<std::size_t>(width))) {
    kvr::put_row(*head, left.first(static_cast<std::size_t>(width)));
  }
  return 0;
}
