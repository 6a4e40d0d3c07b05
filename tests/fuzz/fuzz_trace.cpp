// The bytes of a trace. The HDF5 library itself does not bear all of them; what of that is ours, the frames
// of the crash tell.
#include <span>

#include "tests/fuzz/look_into.hpp"
#include "tests/fuzz/target.hpp"

/// The name is LeakSanitizer's. What HDF5 forgets when it meets a broken file is not ours.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libhdf5";
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kvr::fuzz::expect_no_bug([&] { kvr::fuzz::look_into(std::as_bytes(std::span(data, size))); });
  return 0;
}
