// Rows as symmetric 4-bit integers with a scale for each 32 elements, see Int4Groups.
#include "policies/codec/int4_groups.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/codec.hpp"

namespace kvr {
namespace {

class Int4 final : public RowCodec {
 public:
  static constexpr std::string_view kName = "int4";
  static constexpr std::string_view kDoc =
      "Half a byte an element, and one fp16 scale for each 32 elements of a row.";
  static constexpr std::string_view kSource =
      "ours (absmax quantisation of each group; group and scale as in llama.cpp's Q4_0)";

  using Params = NoParams;
  static ParamTable<Params> params() { return {}; }

  Int4(Params, const Context&) {}

  std::int64_t row_bytes(std::int64_t head_dim) const override {
    return static_cast<std::int64_t>(Int4Groups::bytes(static_cast<std::size_t>(head_dim)));
  }
  bool lossless() const override { return false; }

  void encode(std::span<const float> row, std::span<std::byte> blob) const override {
    Int4Groups::encode(row, blob);
  }

  void decode(std::span<const std::byte> blob, std::span<float> row) const override {
    Int4Groups::decode(blob, row);
  }
};

const Registration<Codec, Int4> registered;

}  // namespace
}  // namespace kvr
