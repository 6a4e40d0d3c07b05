#include "tests/fuzz/look_into.hpp"

#include <new>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/hdf5.hpp"
#include "sim/base/stored/stored_array.hpp"
#include "traces/checks/inspect.hpp"

namespace kvr::fuzz {
namespace {

void read_values(hid_t file, const trace::DatasetSpec& spec) {
  constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 20;
  const hdf5::StoredArray array(hdf5::open_dataset(file, spec.path));
  if (array.value_count() <= kMostBytes / array.element_bytes()) {
    std::vector<std::byte> values(array.value_count() * array.element_bytes());
    array.read(hdf5::Shape(array.shape().size(), 0), array.shape(), values);
  }
}

void inspect_and_read(std::span<const std::byte> image) {
  const trace::Inspection found = trace::inspect(hdf5::open_image(image, "input"));
  for (const trace::DatasetSpec& spec : found.sound) {
    read_values(found.file.get(), spec);
  }
}

}  // namespace

void look_into(std::span<const std::byte> image) {
  try {
    inspect_and_read(image);
  } catch (const InputError&) {
  } catch (const std::bad_alloc&) {  // HDF5 asked for memory in vain; a rehearsal tells its user
  }
}

}  // namespace kvr::fuzz
