// A trace in memory: everything that is checked before the bulk of it is read.
#include <span>

#include "tests/fuzz/target.hpp"
#include "traces/hdf5.hpp"
#include "traces/inspect.hpp"

/// The name is LeakSanitizer's. What HDF5 forgets when it meets a broken file is not ours.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libhdf5";
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kvr::fuzz::expect_no_bug(
      [&] { kvr::trace::inspect(kvr::hdf5::open_image(std::as_bytes(std::span(data, size)), "input")); });
  const auto open = H5Fget_obj_count(static_cast<hid_t>(H5F_OBJ_ALL),
                                     H5F_OBJ_FILE | H5F_OBJ_DATASET | H5F_OBJ_GROUP | H5F_OBJ_ATTR);
  KVR_CHECK(open == 0, "{} objects of the file are still open", open);
  return 0;
}
