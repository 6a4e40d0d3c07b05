#pragma once

#include <memory>
#include <string_view>

#include "sim/interfaces/codec.hpp"
#include "tests/policies/support.hpp"

namespace kvr::test {

/// A codec that stores each row for itself; null where the one of that name does not.
inline std::unique_ptr<RowCodec> row_codec(std::string_view name, const ParamValues& values,
                                           const Codec::Context& context) {
  std::unique_ptr<Codec> codec = make<Codec>(name, values, context);
  return std::unique_ptr<RowCodec>(dynamic_cast<RowCodec*>(codec.release()));
}

}  // namespace kvr::test
