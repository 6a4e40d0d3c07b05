#pragma once

#include <string_view>

#include "sim/base/params.hpp"

namespace kvr {

/// The parameter of schedules that let several flash operations be outstanding.
constexpr ParamDoc reads_outstanding_doc(std::string_view source) {
  return {
      .doc =
          "reads and writes, each of one layer and purpose, that may be outstanding on the flash device at "
          "once where they wait for nothing else",
      .min = 1,
      .max = 1024,
      .source = source};
}

}  // namespace kvr
