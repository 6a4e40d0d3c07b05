// Rows as the traces hold them, 2 bytes an element:
//
//   row_bytes = 2 * head_dim
#include <cstring>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/codec.hpp"

namespace kvr {
namespace {

class Fp16 final : public RowCodec {
 public:
  static constexpr std::string_view kName = "fp16";
  static constexpr std::string_view kDoc =
      "IEEE 754 binary16, two bytes an element, without loss for the rows of a trace.";
  static constexpr std::string_view kSource = "IEEE 754-2019";

  using Params = NoParams;
  static ParamTable<Params> params() { return {}; }

  Fp16(Params, const Context&) {}

  std::int64_t row_bytes(std::int64_t head_dim) const override {
    return head_dim * static_cast<std::int64_t>(sizeof(Half));
  }
  bool lossless() const override { return true; }

  void encode(std::span<const float> row, std::span<std::byte> blob) const override {
    std::vector<Half> halves(row.size());
    to_half(row, halves);
    std::memcpy(blob.data(), halves.data(), blob.size());
  }

  void decode(std::span<const std::byte> blob, std::span<float> row) const override {
    std::vector<Half> halves(row.size());
    std::memcpy(halves.data(), blob.data(), blob.size());
    to_float(halves, row);
  }
};

const Registration<Codec, Fp16> registered;

}  // namespace
}  // namespace kvr
