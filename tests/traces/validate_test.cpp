#include "traces/validate.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "sim/error.hpp"
#include "sim/kernels/convert.hpp"
#include "tests/traces/sample.hpp"
#include "traces/reader.hpp"
#include "traces/sha256.hpp"

namespace kvr::trace {
namespace {

using Edit = std::function<void(hid_t file)>;
using Messages = std::vector<std::string>;

/// What validate says of the sample after `edit`, without the file's name in front.
Messages problems_after(const Edit& edit) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "a.h5";
  write_edited(path, edit);
  Messages messages = validate(path);
  for (std::string& message : messages) {
    const std::string start = path.string() + ": ";
    REQUIRE(message.starts_with(start));
    message.erase(0, start.size());
  }
  return messages;
}

/// Whether the reader, which reads no bulk data, refuses the file as well.
bool reader_refuses(const Edit& edit) {
  const TemporaryFolder folder;
  write_edited(folder / "a.h5", edit);
  try {
    const Reader reader(folder / "a.h5");
    return false;
  } catch (const InputError&) {
    return true;
  }
}

void poke_half(hid_t file, const std::string& path, const hdf5::Shape& index, float value) {
  const Half half = kernels::to_half(value);
  poke(file, path, hdf5::half_type(), index, &half);
}

/// The checksum the format asks for, of time-major rows.
std::string checksum_of_rows(const std::vector<Half>& rows) {
  Sha256 hash;
  hash.update(std::as_bytes(std::span(rows)));
  return "sha256:" + hash.hex();
}

Messages problems_of_file(const std::filesystem::path& path) {
  return validate(path);
}

void check_refused(const Edit& edit, const Messages& expected) {
  CHECK(problems_after(edit) == expected);
  CHECK(reader_refuses(edit));
}

}  // namespace

TEST_CASE("a sound trace has no problems") {
  CHECK(problems_after([](hid_t) {}).empty());
}

TEST_CASE("a file that is not there, not HDF5 or cut short is named") {
  const TemporaryFolder folder;
  const std::string file = (folder / "a.h5").string();
  CHECK(problems_of_file(file) == Messages{file + ": no such file"});
  CHECK(problems_of_file(folder.path()) ==
        Messages{folder.path().string() + ": not a regular file; expected an HDF5 file"});
  std::ofstream(file) << "keys and values";
  CHECK(problems_of_file(file) == Messages{file + ": not an HDF5 file (15 bytes); expected an HDF5 file"});
  write_sample(file);
  const auto size = std::filesystem::file_size(file);
  std::filesystem::resize_file(file, size - 100);
  CHECK(problems_of_file(file) ==
        Messages{fmt::format("{}: cut short: {} bytes are fewer than the file itself says; copy it again",
                             file, size - 100)});
  std::filesystem::resize_file(file, 4);
  CHECK(problems_of_file(file) == Messages{file + ": not an HDF5 file (4 bytes); expected an HDF5 file"});
  CHECK_THROWS_WITH_AS(Reader{file}, (file + ": not an HDF5 file (4 bytes); expected an HDF5 file").c_str(),
                       InputError);
}

TEST_CASE("another format, another version or none is refused before anything else") {
  check_refused([](hid_t file) { replace_string(file, "format", "results"); },
                {"/@format: 'results'; expected 'kvtrace'"});
  check_refused([](hid_t file) { replace_int(file, "version", 2); }, {"/@version: 2; expected 1"});
  check_refused([](hid_t file) { H5Adelete(file, "format"); }, {"/@format: missing; expected a string"});
}

TEST_CASE("a missing attribute and one of the wrong type or shape are named") {
  check_refused([](hid_t file) { H5Adelete(file, "licence"); }, {"/@licence: missing; expected a string"});
  check_refused([](hid_t file) { replace_string(file, "layers", "four"); },
                {"/@layers: string scalar; expected an integer"});
  check_refused(
      [](hid_t file) {
        replace_ints(file, "seed", {1, 2});
      },
      {"/@seed: int64 of shape [2]; expected an integer"});
  check_refused([](hid_t file) { replace_int(file, "rope_theta", 10000); },
                {"/@rope_theta: int64 scalar; expected a floating-point number"});
  check_refused([](hid_t file) { replace_int(file, "captured_layers", 0); },
                {"/@captured_layers: int64 scalar; expected a list of integers"});
  check_refused([](hid_t file) { replace_int(file, "model_name", 3); },
                {"/@model_name: int64 scalar; expected a string"});
}

TEST_CASE("labels outside their choices are all named at once") {
  const Edit edit = [](hid_t file) {
    replace_string(file, "model_name", "");
    replace_string(file, "rope_layout", "quarter");
    replace_string(file, "rope_scaling", "linear");
    replace_string(file, "capture_mode", "dreamt");
    replace_string(file, "weights_sha256", "ABC");
    H5Adelete(file, "rope_theta");
    hdf5::write_double(file, "rope_theta", -1.5);
    H5Adelete(file, "attention_scale");
    hdf5::write_double(file, "attention_scale", std::numeric_limits<double>::infinity());
  };
  check_refused(
      edit, {"/@rope_theta: -1.5; expected a finite number above 0",
             "/@attention_scale: inf; expected a finite number above 0", "/@model_name: ''; expected a name",
             "/@rope_scaling: 'linear'; expected 'none' or a JSON object",
             "/@rope_layout: 'quarter'; expected 'half' or 'interleaved'",
             "/@capture_mode: 'dreamt'; expected 'teacher-forced', 'greedy', 'sampled' or 'synthetic'",
             "/@weights_sha256: 'ABC'; expected 'none' or 64 lower-case hexadecimal digits"});
}

TEST_CASE("a geometry that contradicts itself is named") {
  check_refused([](hid_t file) { replace_int(file, "query_heads", 5); },
                {"/@query_heads: 5 contradicts kv_heads 2; expected a multiple of it"});
  check_refused([](hid_t file) { replace_int(file, "hidden_size", 0); },
                {"/@hidden_size: 0; expected at least 1"});
  check_refused([](hid_t file) { replace_int(file, "prefill_len", 11); },
                {"/@prefill_len: 11 contradicts seq_len 10; expected 1..10"});
  check_refused(
      [](hid_t file) {
        replace_ints(file, "captured_layers", {0, 4});
      },
      {"/@captured_layers: [0, 4] contradicts layers 4; expected indices 0..3"});
  check_refused(
      [](hid_t file) {
        replace_ints(file, "captured_layers", {3, 0});
      },
      {"/@captured_layers: [3, 0]; expected strictly increasing indices"});
  check_refused(
      [](hid_t file) {
        replace_ints(file, "captured_kv_heads", {1, 1});
      },
      {"/@captured_kv_heads: [1, 1]; expected strictly increasing indices"});
  check_refused([](hid_t file) { replace_ints(file, "captured_kv_heads", {}); },
                {"/@captured_kv_heads: empty; expected at least one index"});
}

TEST_CASE("a missing dataset is named with the type and shape it should have") {
  check_refused([](hid_t file) { H5Ldelete(file, "/layers/3/keys", H5P_DEFAULT); },
                {"/layers/3/keys: missing; expected float16 [2, 10, 2]"});
  check_refused([](hid_t file) { H5Ldelete(file, "/tokens", H5P_DEFAULT); },
                {"/tokens: missing; expected int32 [10]"});
  check_refused([](hid_t file) { H5Ldelete(file, "/query_positions", H5P_DEFAULT); },
                {"/query_positions: missing; expected int64 [?]"});
  check_refused([](hid_t file) { H5Ldelete(file, "/layers", H5P_DEFAULT); },
                {"/layers/0/keys: missing; expected float16 [2, 10, 2]",
                 "/layers/0/values: missing; expected float16 [2, 10, 2]",
                 "/layers/0/queries: missing; expected float16 [4, 6, 2]",
                 "/layers/3/keys: missing; expected float16 [2, 10, 2]",
                 "/layers/3/values: missing; expected float16 [2, 10, 2]",
                 "/layers/3/queries: missing; expected float16 [4, 6, 2]"});
}

TEST_CASE("a shape that contradicts the header is named with what it contradicts") {
  const hid_t half = hdf5::half_type();
  check_refused(
      [&](hid_t file) {
        replace_dataset(file, "/layers/0/keys", half, {2, 9, 2});
      },
      {"/layers/0/keys: shape [2, 9, 2] contradicts seq_len 10; expected [2, 10, 2]"});
  check_refused(
      [&](hid_t file) {
        replace_dataset(file, "/layers/0/values", half, {2, 10, 4});
      },
      {"/layers/0/values: shape [2, 10, 4] contradicts head_dim 2; expected [2, 10, 2]"});
  check_refused(
      [&](hid_t file) {
        replace_dataset(file, "/layers/3/queries", half, {2, 5, 2});
      },
      {"/layers/3/queries: shape [2, 5, 2] contradicts captured query heads 4 and query positions 6; "
       "expected [4, 6, 2]"});
  check_refused(
      [&](hid_t file) {
        replace_dataset(file, "/layers/0/keys", half, {2, 20});
      },
      {"/layers/0/keys: shape [2, 20] contradicts the 3 dimensions of version 1; expected [2, 10, 2]"});
  check_refused(
      [](hid_t file) {
        replace_dataset(file, "/layers/0/prompt_attention_sums", H5T_IEEE_F32LE, {4, 7});
      },
      {"/layers/0/prompt_attention_sums: shape [4, 7] contradicts prefill_len 6; expected [4, 6]"});
}

TEST_CASE("data of another type are named") {
  check_refused(
      [](hid_t file) {
        replace_dataset(file, "/layers/0/keys", H5T_IEEE_F32LE, {2, 10, 2});
      },
      {"/layers/0/keys: float32; expected float16"});
  check_refused(
      [](hid_t file) {
        replace_dataset(file, "/layers/0/wo_v_norm", H5T_IEEE_F32BE, {4, 10});
      },
      {"/layers/0/wo_v_norm: big-endian float32; expected float32"});
}

TEST_CASE("query positions that break their rule are named") {
  const auto edit = [](std::int64_t index, std::int64_t position) {
    return [=](hid_t file) {
      poke(file, "/query_positions", H5T_NATIVE_INT64, {static_cast<hsize_t>(index)}, &position);
    };
  };
  const auto first = [&](std::int64_t index, std::int64_t position) {
    return problems_after(edit(index, position)).at(0);
  };
  CHECK(first(2, 5) ==
        "/query_positions: position 5 at index 2 follows 5; expected strictly increasing positions");
  CHECK(first(5, 10) == "/query_positions: position 10 at index 5 contradicts seq_len 10; expected 0..9");
  CHECK(first(0, -1) == "/query_positions: position -1 at index 0 contradicts seq_len 10; expected 0..9");
  CHECK(first(0, 3) ==
        "/query_positions: position 3 at index 0; expected 4: the end of the prompt, then every step");
  CHECK(reader_refuses(edit(0, 3)));
  CHECK(problems_after([](hid_t file) { replace_int(file, "prefill_len", 3); }).at(0) ==
        "/query_positions: 6 positions contradict the 7 decode steps; expected each of 3..9");
}

TEST_CASE("the first NaN or infinity is placed by head, position and channel") {
  const auto nan = std::numeric_limits<float>::quiet_NaN();
  const auto infinity = std::numeric_limits<float>::infinity();
  const Edit spoil_keys = [&](hid_t file) {
    poke_half(file, "/layers/3/keys", {0, 8, 0}, infinity);
    poke_half(file, "/layers/3/keys", {1, 7, 1}, nan);
  };
  CHECK(problems_after(spoil_keys).at(0) ==
        "/layers/3/keys: 2 value(s) not finite, first NaN at head 1, position 7, channel 1; expected finite "
        "values");
  CHECK_FALSE(reader_refuses(spoil_keys));
  CHECK(problems_after([&](hid_t file) {
          poke_half(file, "/layers/0/queries", {3, 0, 0}, -infinity);
        }).at(0) ==
        "/layers/0/queries: 1 value(s) not finite, first infinity at head 3, position 4, channel 0; expected "
        "finite "
        "values");
  CHECK(
      problems_after([&](hid_t file) {
        poke(file, "/layers/0/wo_v_norm", H5T_NATIVE_FLOAT, {2, 9}, &nan);
      }).at(0) ==
      "/layers/0/wo_v_norm: 1 value(s) not finite, first NaN at head 2, position 9; expected finite values");
}

TEST_CASE("data that do not match their checksum are named with both") {
  const std::string zeros = "sha256:" + std::string(64, '0');
  const std::string keys = checksum_of_rows(sample_rows(Field::keys, 0));
  CHECK(problems_after([&](hid_t file) { replace_string_at(file, "/layers/0/keys", "checksum", zeros); }) ==
        Messages{"/layers/0/keys: the data hash to " + keys + "; expected " + zeros +
                 " as the attribute says"});

  std::vector<Half> changed = sample_rows(Field::values, 1);
  const std::string before = checksum_of_rows(changed);
  changed[(5 * 2 + 1) * 2] = kernels::to_half(1.5F);  // Position 5, head 1, channel 0.
  CHECK(problems_after([](hid_t file) {
          poke_half(file, "/layers/3/values", {1, 5, 0}, 1.5F);
        }) == Messages{"/layers/3/values: the data hash to " + checksum_of_rows(changed) + "; expected " +
                       before + " as the attribute says"});
}

TEST_CASE("labels under /truth are checked by their checksum in C order") {
  std::vector<std::int32_t> labels(20, 3);
  const std::int32_t other = 4;
  labels[13] = other;
  Sha256 hash;
  hash.update(std::as_bytes(std::span(labels)));
  std::string before;
  const Messages problems = problems_after([&](hid_t file) {
    before = checksum_of(file, "/truth/labels");
    poke(file, "/truth/labels", H5T_NATIVE_INT32, {1, 3}, &other);
  });
  CHECK(problems == Messages{"/truth/labels: the data hash to sha256:" + hash.hex() + "; expected " + before +
                             " as the attribute says"});
}

TEST_CASE("tokens outside the vocabulary are named") {
  const std::int32_t token = 100;
  const Edit edit = [&](hid_t file) { poke(file, "/tokens", H5T_NATIVE_INT32, {5}, &token); };
  CHECK(problems_after(edit).at(0) ==
        "/tokens: 1 token(s) outside the vocabulary, first 100 at position 5; expected 0..99");
}

TEST_CASE("prompt attention sums that do not add up are named") {
  const float weight = 3.0F;
  const Edit edit = [&](hid_t file) {
    poke(file, "/layers/0/prompt_attention_sums", H5T_NATIVE_FLOAT, {2, 0}, &weight);
  };
  CHECK(problems_after(edit).at(0) ==
        "/layers/0/prompt_attention_sums: head 2 sums to 7; expected prefill_len 6 (within 1%)");
}

TEST_CASE("what the format does not know is refused, except under /truth") {
  const hid_t half = hdf5::half_type();
  check_refused([&](hid_t file) { replace_dataset(file, "/extra", half, {1}); },
                {"/extra: not in this format; expected nothing but tokens, query_positions, layers, truth"});
  check_refused(
      [&](hid_t file) {
        replace_dataset(file, "/layers/2/keys", half, {2, 10, 2});
      },
      {"/layers/2: not in this format; expected nothing but 0, 3"});
  check_refused(
      [&](hid_t file) {
        replace_dataset(file, "/layers/0/speculated_queries", half, {4, 6, 2});
      },
      {"/layers/0/speculated_queries: not in this format; expected nothing but keys, values, queries, "
       "prompt_attention_sums, wo_v_norm"});
  CHECK(problems_after([&](hid_t file) { replace_dataset(file, "/truth/a/b", half, {3, 4}); }).empty());
}

TEST_CASE("dataset attributes that are missing or wrong are named") {
  check_refused(
      [](hid_t file) {
        replace_string_at(file, "/tokens", "units", "bytes");
        replace_string_at(file, "/tokens", "long_name", "");
        replace_string_at(file, "/layers/0/keys", "checksum", "md5:0");
        H5Adelete(hdf5::open_dataset(file, "/layers/3/keys").get(), "checksum");
      },
      {"/tokens@units: 'bytes'; expected 'token id'", "/tokens@long_name: empty; expected a phrase",
       "/layers/0/keys@checksum: 'md5:0'; expected 'sha256:' and 64 lower-case hexadecimal digits",
       "/layers/3/keys@checksum: missing; expected a string"});
}

TEST_CASE("problems of the structure and of the data are reported together") {
  const Messages problems = problems_after([](hid_t file) {
    replace_string(file, "capture_mode", "dreamt");
    H5Ldelete(file, "/layers/0/values", H5P_DEFAULT);
    poke_half(file, "/layers/3/keys", {0, 0, 0}, std::numeric_limits<float>::infinity());
  });
  REQUIRE(problems.size() == 4);
  CHECK(problems[0].starts_with("/@capture_mode: 'dreamt'"));
  CHECK(problems[1].starts_with("/layers/0/values: missing"));
  CHECK(problems[2].starts_with("/layers/3/keys: 1 value(s) not finite"));
  CHECK(problems[3].starts_with("/layers/3/keys: the data hash to"));
}

TEST_CASE("a damaged chunk is named and the other datasets are still read") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "a.h5";
  haddr_t address = 0;
  write_edited(path, [&](hid_t file) {
    const hdf5::Handle keys = hdf5::open_dataset(file, "/layers/0/keys");
    hsize_t size = 0;
    unsigned mask = 0;
    hdf5::Shape offset(3);
    const hdf5::Handle space(H5Dget_space(keys.get()), H5Sclose);
    H5Dget_chunk_info(keys.get(), space.get(), 0, offset.data(), &mask, &address, &size);
    replace_string_at(file, "/layers/3/keys", "checksum", "sha256:" + std::string(64, '0'));
  });
  REQUIRE(address > 0);
  std::fstream bytes(path, std::ios::in | std::ios::out | std::ios::binary);
  bytes.seekp(static_cast<std::streamoff>(address));
  bytes << "damaged!";
  bytes.close();
  const Messages problems = validate(path);
  REQUIRE(problems.size() == 2);
  CHECK(problems[0].starts_with(path.string() + ": /layers/0/keys: cannot be read from [0, 0, 0] on: "));
  CHECK(problems[1].starts_with(path.string() + ": /layers/3/keys: the data hash to"));
  CHECK(problems[0].find('\n') == std::string::npos);
}

}  // namespace kvr::trace
