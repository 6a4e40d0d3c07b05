#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

#include "sim/base/error.hpp"
#include "tests/no_more_files.hpp"
#include "tests/traces/sample.hpp"
#include "traces/checks/validate.hpp"
#include "traces/reader.hpp"

namespace kvr::trace {
namespace {

enum class Padding { zero_terminated, zeros, spaces };

/// Replaces an attribute by a fixed-length string of `size` bytes, as numpy's bytes_ arrive.
void write_fixed(hid_t object, const std::string& name, const std::string& value, std::size_t size,
                 Padding padding) {
  const hdf5::Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.get(), size);
  H5Tset_strpad(type.get(), padding == Padding::spaces  ? H5T_STR_SPACEPAD
                            : padding == Padding::zeros ? H5T_STR_NULLPAD
                                                        : H5T_STR_NULLTERM);
  std::string bytes = value;
  bytes.resize(size, padding == Padding::spaces ? ' ' : '\0');
  H5Adelete(object, name.c_str());
  const hdf5::Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const hdf5::Handle attribute(
      H5Acreate2(object, name.c_str(), type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  H5Awrite(attribute.get(), type.get(), bytes.data());
}

/// Replaces an attribute by an integer or float of another width.
template <class Value>
void write_number(hid_t object, const std::string& name, hid_t stored, hid_t memory, Value value) {
  H5Adelete(object, name.c_str());
  const hdf5::Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const hdf5::Handle attribute(
      H5Acreate2(object, name.c_str(), stored, space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  H5Awrite(attribute.get(), memory, &value);
}

}  // namespace

TEST_CASE("strings of variable and of fixed length read alike") {
  const TemporaryFolder folder;
  write_edited(folder / "a.h5", [](hid_t file) {
    write_fixed(file, "format", "kvtrace", 7, Padding::zeros);
    write_fixed(file, "licence", "CC BY 4.0", 32, Padding::zero_terminated);
    write_fixed(file, "capture_tool", "old tool", 20, Padding::spaces);
    replace_string(file, "text_source", "“Wuthering Heights” – É. Brontë");
    replace_string(file, "capture_version", "");
  });
  CHECK(validate(folder / "a.h5") == std::vector<std::string>{});
  const Reader reader(folder / "a.h5");
  CHECK(reader.header().licence == "CC BY 4.0");
  CHECK(reader.header().capture_tool == "old tool");
  CHECK(reader.header().text_source == "“Wuthering Heights” – É. Brontë");
  CHECK(reader.header().capture_version.empty());
}

TEST_CASE("numbers of any width read alike, as far as every value of the type fits") {
  const TemporaryFolder folder;
  write_edited(folder / "a.h5", [](hid_t file) {
    write_number(file, "layers", H5T_STD_U8LE, H5T_NATIVE_INT, 4);
    write_number(file, "vocab_size", H5T_STD_I32BE, H5T_NATIVE_INT, 100);
    write_number(file, "attention_scale", H5T_IEEE_F32LE, H5T_NATIVE_DOUBLE, 0.5);
  });
  const Reader reader(folder / "a.h5");
  CHECK(reader.header() == sample_header());
  write_edited(folder / "b.h5",
               [](hid_t file) { write_number(file, "layers", H5T_STD_U64LE, H5T_NATIVE_INT, 4); });
  CHECK_THROWS_WITH_AS(Reader(folder / "b.h5"),
                       doctest::Contains("/@layers: uint64 scalar; expected an integer"), InputError);
}

TEST_CASE("attributes come back as they were written") {
  const TemporaryFolder folder;
  const hdf5::Handle file = hdf5::create_file(folder / "a.h5");
  hdf5::write_int(file.get(), "int", std::numeric_limits<std::int64_t>::min());
  hdf5::write_double(file.get(), "double", 0.1);
  hdf5::write_string(file.get(), "string", "naïve");
  hdf5::write_ints(file.get(), "ints", std::vector<std::int64_t>{3, -1});
  hdf5::write_ints(file.get(), "none", {});
  CHECK(hdf5::read_int(file.get(), "int") == std::numeric_limits<std::int64_t>::min());
  CHECK(hdf5::read_double(file.get(), "double") == 0.1);
  CHECK(hdf5::read_string(file.get(), "string") == "naïve");
  CHECK(hdf5::read_ints(file.get(), "ints") == std::vector<std::int64_t>{3, -1});
  CHECK(hdf5::read_ints(file.get(), "none").empty());
  CHECK_FALSE(hdf5::has_attribute(file.get(), "absent"));
  CHECK_THROWS_AS(hdf5::write_int(file.get(), "int", 1), SystemError);
}

TEST_CASE("strings are written with a fixed length, which netCDF software takes for text") {
  const TemporaryFolder folder;
  const hdf5::Handle file = hdf5::create_file(folder / "a.h5");
  for (const std::string& text :
       {std::string(), std::string("1"), std::string("näïve “É”"), std::string(60'000, 'x')}) {
    const std::string name = fmt::format("of {} bytes", text.size());
    hdf5::write_string(file.get(), name, text);
    CHECK(hdf5::read_string(file.get(), name) == text);
    const hdf5::Handle attribute(H5Aopen(file.get(), name.c_str(), H5P_DEFAULT), H5Aclose);
    const hdf5::Handle type(H5Aget_type(attribute.get()), H5Tclose);
    CHECK(H5Tis_variable_str(type.get()) == 0);
    CHECK(H5Tget_cset(type.get()) == H5T_CSET_UTF8);
    CHECK(H5Tget_size(type.get()) == std::max<std::size_t>(2, text.size() + 1));
  }
  hdf5::write_string(file.get(), "long", std::string(70'000, 'x'));
  CHECK_THROWS_WITH_AS(hdf5::read_string(file.get(), "long"),
                       doctest::Contains("/@long: a string of 70000 bytes; expected at most 60000"),
                       InputError);
}

TEST_CASE("strings of variable length, as h5py writes them, are read") {
  const TemporaryFolder folder;
  const hdf5::Handle file = hdf5::create_file(folder / "a.h5");
  const hdf5::Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.get(), H5T_VARIABLE);
  const hdf5::Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  for (const char* text : {"", "näïve"}) {
    const std::string name = fmt::format("'{}'", text);
    const hdf5::Handle attribute(
        H5Acreate2(file.get(), name.c_str(), type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    H5Awrite(attribute.get(), type.get(), &text);
    CHECK(hdf5::read_string(file.get(), name) == text);
  }
}

TEST_CASE("a dataset is written and read by blocks, with and without chunks") {
  const TemporaryFolder folder;
  hdf5::Handle file = hdf5::create_file(folder / "a.h5");
  for (const hdf5::Storage& storage : {hdf5::Storage{}, hdf5::Storage{{2, 2}, 4}}) {
    const std::string path = storage.chunk.empty() ? "/plain" : "/deep/down/chunked";
    const hdf5::Handle dataset = hdf5::create_dataset(file.get(), path, H5T_IEEE_F64LE, {3, 4}, storage);
    const std::vector<double> block{1.0, 2.0, 3.0, 4.0};
    hdf5::write_block(dataset.get(), H5T_NATIVE_DOUBLE, {1, 1}, {2, 2}, block.data());
    std::vector<float> row(4);
    hdf5::read_block(dataset.get(), H5T_NATIVE_FLOAT, {2, 0}, {1, 4}, row.data());
    CHECK(row == std::vector<float>{0.0F, 3.0F, 4.0F, 0.0F});
    CHECK(hdf5::where(dataset.get()) == (folder / "a.h5").string() + ": " + path);
  }
  CHECK(hdf5::has_dataset(file.get(), "/deep/down/chunked"));
  CHECK(hdf5::has_group(file.get(), "/deep/down"));
  CHECK_FALSE(hdf5::has_dataset(file.get(), "/deep/up/chunked"));
  const hdf5::Handle root = hdf5::open_group(file.get(), "/");
  CHECK(hdf5::child_names(root.get()) == std::vector<std::string>{"deep", "plain"});
  hdf5::close_file(file);
  CHECK_FALSE(static_cast<bool>(file));
}

TEST_CASE("a handle closes what it owns exactly once") {
  const TemporaryFolder folder;
  hdf5::Handle file = hdf5::create_file(folder / "a.h5");
  const hid_t id = file.get();
  hdf5::Handle moved = std::move(file);
  CHECK(moved.get() == id);
  CHECK(H5Iis_valid(id) > 0);
  moved = hdf5::Handle();
  CHECK(H5Iis_valid(id) <= 0);
}

TEST_CASE("where no more files can be opened, the file is not blamed") {
  const TemporaryFolder folder;
  { hdf5::Handle made = hdf5::create_file(folder / "a.h5"); }
  {
    const test::NoMoreFiles none;
    CHECK_THROWS_WITH_AS(hdf5::open_file(folder / "a.h5"),
                         doctest::Contains("a.h5: cannot be read: Too many"), SystemError);
  }
  for (std::size_t left = 1; left < 4; ++left) {
    CAPTURE(left);
    const test::NoMoreFiles few(left);
    CHECK_NOTHROW(hdf5::open_file(folder / "a.h5"));
  }
}

}  // namespace kvr::trace
