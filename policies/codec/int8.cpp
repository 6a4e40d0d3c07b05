// Symmetric 8-bit integers with one scale for each row:
//
//   scale = max |x| / 127,   code = round(x / scale),   x' = scale * code,   |x - x'| <= max |x| / 254
//   blob  = scale (float32), then head_dim codes;   row_bytes = 4 + head_dim
#include <cstring>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/codec.hpp"

namespace kvr {
namespace {

class Int8 final : public RowCodec {
 public:
  static constexpr std::string_view kName = "int8";
  static constexpr std::string_view kDoc = "One byte an element, and one float32 scale in front of each row.";
  static constexpr std::string_view kSource = "ours (absmax quantisation of each row)";

  using Params = NoParams;
  static ParamTable<Params> params() { return {}; }

  Int8(Params, const Context&) {}

  std::int64_t row_bytes(std::int64_t head_dim) const override {
    return static_cast<std::int64_t>(sizeof(float)) + head_dim;
  }
  bool lossless() const override { return false; }

  void encode(std::span<const float> row, std::span<std::byte> blob) const override {
    std::vector<std::int8_t> codes(row.size());
    const float scale = quantise_int8(row, codes);
    std::memcpy(blob.data(), &scale, sizeof(scale));
    std::memcpy(blob.data() + sizeof(scale), codes.data(), codes.size());
  }

  void decode(std::span<const std::byte> blob, std::span<float> row) const override {
    float scale = 0.0F;
    std::vector<std::int8_t> codes(row.size());
    std::memcpy(&scale, blob.data(), sizeof(scale));
    std::memcpy(codes.data(), blob.data() + sizeof(scale), codes.size());
    dequantise_int8(codes, scale, row);
  }
};

const Registration<Codec, Int8> registered;

}  // namespace
}  // namespace kvr
