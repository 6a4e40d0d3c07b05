// A sound trace, changed by what HDF5 allows as the input says: attributes and datasets of any type and
// shape, and links. Unlike bytes that are changed at random, every such file reaches what we make of it.
#include <fuzzer/FuzzedDataProvider.h>

#include <array>
#include <cstring>
#include <functional>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "sim/base/hdf5.hpp"
#include "tests/fuzz/look_into.hpp"
#include "tests/fuzz/target.hpp"
#include "traces/header_io.hpp"
#include "traces/layout.hpp"

namespace kvr::fuzz {
namespace {

using hdf5::Handle;
using Choices = FuzzedDataProvider;

constexpr std::array kAttributes = {
    "format",       "version",         "model_name",        "layers",       "query_heads",
    "kv_heads",     "head_dim",        "hidden_size",       "ffn_size",     "vocab_size",
    "rope_theta",   "attention_scale", "rope_scaling",      "rope_layout",  "prefill_len",
    "seq_len",      "captured_layers", "captured_kv_heads", "capture_tool", "capture_version",
    "capture_mode", "weights_sha256",  "text_source",       "licence",      "seed",
    "units",        "long_name",       "checksum"};

trace::Header sound_header() {
  return {.geometry = {.layers = 2,
                       .query_heads = 2,
                       .kv_heads = 1,
                       .head_dim = 2,
                       .hidden_size = 4,
                       .ffn_size = 4,
                       .vocab_size = 4,
                       .rope_theta = 10000.0,
                       .attention_scale = 0.5,
                       .rope_scaling = "none",
                       .rope_layout = "half"},
          .model_name = "m",
          .prefill_len = 3,
          .seq_len = 5,
          .captured_layers = {1},
          .captured_kv_heads = {0},
          .capture_tool = "t",
          .capture_version = "1",
          .capture_mode = "greedy",
          .weights_sha256 = "none",
          .text_source = "s",
          .licence = "l",
          .seed = 0};
}

std::vector<trace::DatasetSpec> sound_layout() {
  constexpr std::int64_t kQueries = 3;
  return trace::layout_of(sound_header(), kQueries);
}

void describe(hid_t dataset, const trace::DatasetSpec& spec) {
  hdf5::write_string(dataset, "units", spec.units);
  hdf5::write_string(dataset, "long_name", spec.long_name);
  hdf5::write_string(dataset, "checksum", "sha256:" + std::string(64, '0'));
}

/// Of a dataset that may have any length, one value.
hdf5::Shape shape_of(const trace::DatasetSpec& spec) {
  hdf5::Shape shape;
  for (const trace::Axis& axis : spec.axes) {
    shape.push_back(axis.length == trace::kUnknown ? 1 : static_cast<hsize_t>(axis.length));
  }
  return shape;
}

/// Zeros, and where the queries are.
void write_sound(hid_t file) {
  trace::write_header(file, sound_header());
  for (const trace::DatasetSpec& spec : sound_layout()) {
    const hdf5::Shape shape = shape_of(spec);
    const hsize_t count = std::accumulate(shape.begin(), shape.end(), hsize_t{1}, std::multiplies{});
    const Handle dataset = hdf5::create_dataset(file, spec.path, trace::type_of(spec.element), shape, {});
    std::vector<std::byte> values(count * trace::bytes_of(spec.element));
    if (spec.path == "/query_positions") {
      const std::array<std::int64_t, 3> positions = {2, 3, 4};
      std::memcpy(values.data(), positions.data(), values.size());
    }
    hdf5::write_block(dataset.get(), trace::type_of(spec.element), hdf5::Shape(shape.size(), 0), shape,
                      values.data());
    describe(dataset.get(), spec);
  }
}

Handle some_type(Choices& choices) {
  const std::array numbers = {H5T_STD_I64LE,  H5T_STD_I32LE,    H5T_STD_U64LE,  H5T_STD_I64BE,
                              H5T_STD_I8LE,   H5T_STD_U16BE,    H5T_IEEE_F64LE, H5T_IEEE_F32LE,
                              H5T_IEEE_F64BE, hdf5::half_type()};
  switch (choices.ConsumeIntegralInRange(0, 3)) {
    case 0: {
      Handle text(H5Tcopy(H5T_C_S1), H5Tclose);
      H5Tset_size(text.get(), choices.ConsumeIntegralInRange<std::size_t>(1, 100));
      H5Tset_strpad(text.get(),
                    choices.PickValueInArray({H5T_STR_NULLTERM, H5T_STR_NULLPAD, H5T_STR_SPACEPAD}));
      H5Tset_cset(text.get(), choices.PickValueInArray({H5T_CSET_ASCII, H5T_CSET_UTF8}));
      return text;
    }
    case 1:
      return Handle(H5Tcreate(choices.PickValueInArray({H5T_OPAQUE, H5T_COMPOUND, H5T_ENUM}), 8), H5Tclose);
    default:
      return Handle(H5Tcopy(numbers[choices.ConsumeIntegralInRange<std::size_t>(0, numbers.size() - 1)]),
                    H5Tclose);
  }
}

/// Of at most `most` values in each direction.
hdf5::Shape some_shape(Choices& choices, hsize_t most) {
  hdf5::Shape shape(choices.ConsumeIntegralInRange<std::size_t>(0, 4));
  for (hsize_t& extent : shape) {
    extent = choices.ConsumeIntegralInRange<hsize_t>(0, most);
  }
  return shape;
}

Handle space_of(Choices& choices, const hdf5::Shape& shape) {
  if (choices.ConsumeIntegralInRange(0, 15) == 0) {
    return Handle(H5Screate(H5S_NULL), H5Sclose);
  }
  return Handle(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), H5Sclose);
}

void change_attribute(hid_t object, Choices& choices) {
  const char* name = kAttributes[choices.ConsumeIntegralInRange<std::size_t>(0, kAttributes.size() - 1)];
  H5Adelete(object, name);
  if (choices.ConsumeBool()) {
    hdf5::write_string(object, name, choices.ConsumeRandomLengthString(80));
    return;
  }
  constexpr hsize_t kMostExtent = 4;
  const Handle type = some_type(choices);
  const Handle space = space_of(choices, some_shape(choices, kMostExtent));
  const Handle attribute(H5Acreate2(object, name, type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT),
                         H5Aclose);
  const hssize_t count = H5Sget_simple_extent_npoints(space.get());
  if (attribute && count > 0) {
    std::vector<std::uint8_t> values = choices.ConsumeBytes<std::uint8_t>(16);
    values.resize(static_cast<std::size_t>(count) * H5Tget_size(type.get()));
    H5Awrite(attribute.get(), type.get(), values.data());
  }
}

Handle some_storage(Choices& choices, const hdf5::Shape& shape) {
  Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  switch (choices.ConsumeIntegralInRange(0, 3)) {
    case 0:
      H5Pset_layout(properties.get(), H5D_COMPACT);
      break;
    case 1: {
      hdf5::Shape chunk = shape;
      for (hsize_t& extent : chunk) {
        extent = choices.ConsumeIntegralInRange<hsize_t>(1, 64);
      }
      H5Pset_chunk(properties.get(), static_cast<int>(chunk.size()), chunk.data());
      for (int filters = choices.ConsumeIntegralInRange(0, 3); filters > 0; --filters) {
        constexpr std::array kFilters = {H5Pset_shuffle, H5Pset_fletcher32, H5Pset_nbit};
        const std::size_t chosen = choices.ConsumeIntegralInRange<std::size_t>(0, kFilters.size());
        chosen == kFilters.size() ? H5Pset_deflate(properties.get(), 1) : kFilters[chosen](properties.get());
      }
      break;
    }
    case 2:
      H5Pset_external(properties.get(), "/dev/null", 0, H5F_UNLIMITED);
      break;
    default:
      break;
  }
  return properties;
}

void change_dataset(hid_t file, const trace::DatasetSpec& spec, Choices& choices) {
  H5Ldelete(file, spec.path.c_str(), H5P_DEFAULT);
  const bool huge = choices.ConsumeBool();
  const hdf5::Shape shape = some_shape(choices, huge ? hsize_t{1} << 62 : 8);
  const Handle type =
      choices.ConsumeBool() ? Handle(H5Tcopy(trace::type_of(spec.element)), H5Tclose) : some_type(choices);
  const Handle storage = some_storage(choices, shape);
  const Handle space = space_of(choices, shape);
  const Handle dataset(
      H5Dcreate2(file, spec.path.c_str(), type.get(), space.get(), H5P_DEFAULT, storage.get(), H5P_DEFAULT),
      H5Dclose);
  if (dataset && !huge) {
    std::vector<std::uint8_t> values = choices.ConsumeBytes<std::uint8_t>(32);
    const hssize_t count = H5Sget_simple_extent_npoints(space.get());
    values.resize(static_cast<std::size_t>(count) * H5Tget_size(type.get()) + 1);
    H5Dwrite(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  }
  if (dataset) {
    describe(dataset.get(), spec);
  }
}

/// Puts a link at `path`, or beside what is there.
void change_link(hid_t file, const std::string& path, Choices& choices) {
  const std::string at = choices.ConsumeBool() ? path : path.substr(0, path.rfind('/')) + "/x";
  const std::string target =
      choices.PickValueInArray({"/", "/layers", "/tokens", "/layers/1/keys", "x", "/nowhere"});
  H5Ldelete(file, at.c_str(), H5P_DEFAULT);
  switch (choices.ConsumeIntegralInRange(0, 3)) {
    case 0:
      H5Lcreate_soft(target.c_str(), file, at.c_str(), H5P_DEFAULT, H5P_DEFAULT);
      break;
    case 1:
      H5Lcreate_external("/dev/null", target.c_str(), file, at.c_str(), H5P_DEFAULT, H5P_DEFAULT);
      break;
    case 2:
      H5Lcreate_hard(file, target.c_str(), file, at.c_str(), H5P_DEFAULT, H5P_DEFAULT);
      break;
    default:
      Handle(H5Gcreate2(file, at.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
  }
}

void change(hid_t file, const std::vector<trace::DatasetSpec>& layout, Choices& choices) {
  const trace::DatasetSpec& spec = layout[choices.ConsumeIntegralInRange<std::size_t>(0, layout.size() - 1)];
  switch (choices.ConsumeIntegralInRange(0, 4)) {
    case 0:
      change_dataset(file, spec, choices);
      break;
    case 1:
      change_link(file, spec.path, choices);
      break;
    case 2:
      if (const Handle dataset(H5Dopen2(file, spec.path.c_str(), H5P_DEFAULT), H5Dclose); dataset) {
        change_attribute(dataset.get(), choices);
      }
      break;
    default:
      change_attribute(file, choices);
  }
}

std::vector<std::byte> image_of(hid_t file) {
  H5Fflush(file, H5F_SCOPE_GLOBAL);
  std::vector<std::byte> image(static_cast<std::size_t>(H5Fget_file_image(file, nullptr, 0)));
  KVR_CHECK(H5Fget_file_image(file, image.data(), image.size()) == std::ssize(image), "{} bytes",
            image.size());
  return image;
}

std::vector<std::byte> sound_image() {
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fapl_core(access.get(), std::size_t{1} << 16, false);
  const Handle file(H5Fcreate("sound", H5F_ACC_TRUNC, H5P_DEFAULT, access.get()), H5Fclose);
  write_sound(file.get());
  return image_of(file.get());
}

std::vector<std::byte> changed(std::vector<std::byte> image, Choices& choices) {
  static const std::vector<trace::DatasetSpec> layout = sound_layout();
  constexpr int kMostChanges = 8;
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fapl_core(access.get(), std::size_t{1} << 16, false);
  H5Pset_file_image(access.get(), image.data(), image.size());
  const Handle file(H5Fopen("changed", H5F_ACC_RDWR, access.get()), H5Fclose);
  for (int i = 0; i < kMostChanges && choices.remaining_bytes() > 0; ++i) {
    change(file.get(), layout, choices);
  }
  return image_of(file.get());
}

/// Files, groups, datasets, attributes and named types.
ssize_t open_objects() {
  return H5Fget_obj_count(H5F_OBJ_ALL, H5F_OBJ_ALL);
}

/// Of a file that is sound to HDF5, nothing may stay open; a damaged one HDF5 cannot always close.
void look_into_and_close(std::span<const std::byte> image) {
  const ssize_t before = open_objects();
  look_into(image);
  KVR_CHECK(open_objects() == before, "{} objects of HDF5 are open, {} before", open_objects(), before);
}

}  // namespace
}  // namespace kvr::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<std::byte> sound = kvr::fuzz::sound_image();
  kvr::fuzz::Choices choices(data, size);
  const std::vector<std::byte> image = kvr::fuzz::changed(sound, choices);
  kvr::fuzz::expect_no_bug([&] { kvr::fuzz::look_into_and_close(image); });
  return 0;
}
