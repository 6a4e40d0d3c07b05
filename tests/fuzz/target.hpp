#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "sim/base/error.hpp"

/// What libFuzzer calls with every input; each target defines it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace kvr::fuzz {

inline std::string text_of(const std::uint8_t* data, std::size_t size) {
  return {data, data + size};
}

/// Runs `action` on what may be wrong in any way. Wrong input, and a system that fails, are errors that say
/// so; whatever else is thrown ends the process, which libFuzzer takes for a crash.
template <class Action>
void expect_no_bug(Action action) {
  try {
    action();
  } catch (const InputError& error) {
    KVR_CHECK(!error.problems().empty(), "an error without a problem");
  } catch (const SystemError&) {
  }
}

}  // namespace kvr::fuzz
