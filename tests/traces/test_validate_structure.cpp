#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <limits>
#include <numeric>
#include <span>

#include "sim/base/error.hpp"
#include "sim/base/sha256.hpp"
#include "tests/traces/sample.hpp"
#include "traces/checks/inspect.hpp"
#include "traces/checks/validate.hpp"
#include "traces/reader.hpp"

namespace kvr::trace {
namespace {

/// The reader, which reads no bulk data, refuses such a file as well.
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
  CHECK(validate(file) == Messages{file + ": no such file"});
  CHECK(validate(folder.path()) ==
        Messages{folder.path().string() + ": not a regular file; expected an HDF5 file"});
  std::ofstream(file) << "keys and values";
  CHECK(validate(file) == Messages{file + ": not an HDF5 file (15 bytes); expected an HDF5 file"});
  write_sample(file);
  const auto size = std::filesystem::file_size(file);
  std::filesystem::resize_file(file, size - 100);
  CHECK(validate(file) ==
        Messages{fmt::format("{}: cut short: {} bytes are fewer than the file itself says; copy it again",
                             file, size - 100)});
  std::filesystem::resize_file(file, 4);
  CHECK(validate(file) == Messages{file + ": not an HDF5 file (4 bytes); expected an HDF5 file"});
  CHECK_THROWS_WITH_AS(Reader{file}, (file + ": not an HDF5 file (4 bytes); expected an HDF5 file").c_str(),
                       InputError);
}

TEST_CASE("a trace in memory is inspected like one in a file") {
  const TemporaryFolder folder;
  write_sample(folder / "a.h5");
  std::ifstream in(folder / "a.h5", std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const Inspection whole = inspect(hdf5::open_image(std::as_bytes(std::span(text)), "image"));
  CHECK(whole.problems.empty());
  CHECK(whole.header == sample_header());
  CHECK(whole.query_positions == sample_positions());
  CHECK_THROWS_WITH_AS(hdf5::open_image(std::as_bytes(std::span(text).last(200)), "rest"),
                       doctest::Contains("rest: cannot be opened: "), InputError);
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

TEST_CASE("turns are a part of the format, and ones that break their rule are named") {
  const auto turns = [](const std::vector<std::int64_t>& positions) {
    return [=](hid_t file) {
      replace_dataset(file, "/turns", H5T_STD_I64LE, {positions.size()});
      replace_string_at(file, "/turns", "units", "position");
      for (std::size_t i = 0; i < positions.size(); ++i) {
        poke(file, "/turns", H5T_NATIVE_INT64, {static_cast<hsize_t>(i)}, &positions[i]);
      }
      Sha256 hash;
      hash.update(std::as_bytes(std::span(positions)));
      replace_string_at(file, "/turns", "checksum", "sha256:" + hash.hex());
    };
  };
  for (const auto& sound : {turns({0}), turns({0, 1, 9})}) {
    CHECK(problems_after(sound).empty());
    CHECK_FALSE(reader_refuses(sound));
  }
  check_refused(turns({1, 4}), {"/turns: turn 0 begins at position 1; expected 0"});
  check_refused(turns({0, 4, 4}), {"/turns: turn 2 begins at position 4 and the one before at 4; expected "
                                   "strictly increasing positions"});
  check_refused(turns({0, 10}), {"/turns: turn 1 begins at position 10, which contradicts seq_len 10; "
                                 "expected 0..9"});
  check_refused([](hid_t file) { replace_dataset(file, "/turns", H5T_STD_I32LE, {1}); },
                {"/turns: int32; expected int64", "/turns@units: '1'; expected 'position'"});
}

TEST_CASE("classes of tokens are optional, and ones of another type or length are named") {
  const auto without = [](hid_t file) { H5Ldelete(file, "/token_class", H5P_DEFAULT); };
  CHECK(problems_after(without).empty());
  CHECK_FALSE(reader_refuses(without));
  check_refused([](hid_t file) { replace_dataset(file, "/token_class", H5T_STD_U8LE, {9}); },
                {"/token_class: shape [9] contradicts seq_len 10; expected [10]"});
  check_refused([](hid_t file) { replace_dataset(file, "/token_class", H5T_STD_I32LE, {10}); },
                {"/token_class: int32; expected uint8"});
}

TEST_CASE("what the format does not know is refused, except under /truth") {
  const hid_t half = hdf5::half_type();
  check_refused(
      [&](hid_t file) { replace_dataset(file, "/extra", half, {1}); },
      {"/extra: not in this format; expected nothing but tokens, token_class, query_positions, turns, "
       "layers, truth"});
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

TEST_CASE(
    "links that leave the file, lead in circles or twice to one object are refused, and nothing behind them "
    "read") {
  check_refused(
      [](hid_t file) {
        H5Ldelete(file, "/layers/0/keys", H5P_DEFAULT);
        H5Lcreate_external("other.h5", "/layers/0/keys", file, "/layers/0/keys", H5P_DEFAULT, H5P_DEFAULT);
      },
      {"/layers/0/keys: external link; expected the object itself"});
  check_refused(
      [](hid_t file) {
        H5Ldelete(file, "/layers/3", H5P_DEFAULT);
        H5Lcreate_soft("/layers/0", file, "/layers/3", H5P_DEFAULT, H5P_DEFAULT);
      },
      {"/layers/3: soft link; expected the object itself"});
  check_refused(
      [](hid_t file) {
        H5Lcreate_soft("/truth/b", file, "/truth/a", H5P_DEFAULT, H5P_DEFAULT);
        H5Lcreate_soft("/truth/a", file, "/truth/b", H5P_DEFAULT, H5P_DEFAULT);
      },
      {"/truth/a: soft link; expected the object itself", "/truth/b: soft link; expected the object itself"});
  check_refused(
      [](hid_t file) { H5Lcreate_hard(file, "/truth", file, "/truth/again", H5P_DEFAULT, H5P_DEFAULT); },
      {"/truth/again: the same object as /truth; expected one path to each"});
  check_refused(
      [](hid_t file) {
        H5Ldelete(file, "/layers/3/keys", H5P_DEFAULT);
        H5Lcreate_hard(file, "/layers/3/values", file, "/layers/3/keys", H5P_DEFAULT, H5P_DEFAULT);
      },
      {"/layers/3/values: the same object as /layers/3/keys; expected one path to each"});
}

TEST_CASE("objects of other kinds and groups without end are refused") {
  check_refused(
      [](hid_t file) {
        const hdf5::Handle type(H5Tcopy(H5T_STD_I32LE), H5Tclose);
        H5Tcommit2(file, "/truth/type", type.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
      },
      {"/truth/type: neither a group nor a dataset; expected one of them"});
  std::string path = "/truth";
  for (int depth = 0; depth < 20; ++depth) {
    path += "/d";
  }
  check_refused([&](hid_t file) { hdf5::create_group(file, path); },
                {"/truth/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d: a group within 16 others; expected fewer"});
  const std::string name(300, 'n');
  check_refused([&](hid_t file) { hdf5::create_group(file, "/truth/" + name); },
                {"/truth/" + name.substr(0, 193) +
                 "... (307 bytes): not a name of an object; expected 1 to 255 bytes "
                 "without '/'"});
}

TEST_CASE("how datasets are stored is checked before anything is read, under /truth too") {
  const auto replace = [](const char* path, const hdf5::Handle& properties) {
    return [=, &properties](hid_t file) {
      if (hdf5::has_dataset(file, path)) {
        H5Ldelete(file, path, H5P_DEFAULT);
      }
      const hdf5::Shape shape{2, 10, 2};
      const hdf5::Handle space(H5Screate_simple(3, shape.data(), nullptr), H5Sclose);
      const hdf5::Handle dataset(
          H5Dcreate2(file, path, hdf5::half_type(), space.get(), H5P_DEFAULT, properties.get(), H5P_DEFAULT),
          H5Dclose);
    };
  };
  const hdf5::Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  for (const char* path : {"/layers/0/keys", "/truth/x"}) {
    check_refused(replace(path, properties), {std::string(path) + ": 0 bytes are stored; expected 80"});
  }
  const hdf5::Shape chunk{1, 5, 2};
  H5Pset_chunk(properties.get(), 3, chunk.data());
  for (const char* path : {"/layers/0/keys", "/truth/x"}) {
    check_refused(replace(path, properties),
                  {std::string(path) + ": 0 of 4 chunks are stored; expected all of them"});
  }
  H5Pset_fletcher32(properties.get());
  check_refused(replace("/truth/x", properties),
                {"/truth/x: filter 3 (number 1 of 1); expected shuffle (2), then "
                 "deflate (1), or one of them"});
}

TEST_CASE("sizes beyond all models are refused before anything is multiplied with them") {
  constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();
  check_refused(
      [](hid_t file) {
        for (const char* name : {"layers", "query_heads", "kv_heads", "head_dim", "hidden_size", "ffn_size",
                                 "vocab_size", "prefill_len", "seq_len"}) {
          replace_int(file, name, kHuge);
        }
      },
      {"/@layers: 9223372036854775807; expected at most 10000",
       "/@query_heads: 9223372036854775807; expected at most 65536",
       "/@kv_heads: 9223372036854775807; expected at most 65536",
       "/@head_dim: 9223372036854775807; expected at most 65536",
       "/@hidden_size: 9223372036854775807; expected at most 1048576",
       "/@ffn_size: 9223372036854775807; expected at most 4194304",
       "/@vocab_size: 9223372036854775807; expected at most 2147483647",
       "/@prefill_len: 9223372036854775807; expected at most 100000000",
       "/@seq_len: 9223372036854775807; expected at most 100000000"});
  check_refused(
      [](hid_t file) {
        replace_int(file, "query_heads", 65'536);
        replace_int(file, "head_dim", 17);
      },
      {"/@query_heads: 65536 with head_dim 17 are 1114112 channels; expected at most 1048576"});
  check_refused(
      [](hid_t file) {
        H5Adelete(file, "attention_scale");
        hdf5::write_double(file, "attention_scale", 1e300);
      },
      {"/@attention_scale: 1e+300; expected at most 1000000000"});
}

TEST_CASE("messages print neither endless lists, nor endless texts, nor what a terminal obeys") {
  std::vector<std::int64_t> indices(5000);
  std::iota(indices.begin(), indices.end(), 0);
  check_refused(
      [&](hid_t file) { replace_ints(file, "captured_layers", indices); },
      {"/@captured_layers: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... (5000 in all)] contradicts layers 4; expected "
       "indices 0..3"});
  check_refused([](hid_t file) { replace_string(file, "rope_layout", "\x1b[2Jhälf\x07\xff"); },
                {"/@rope_layout: '\\x1b[2Jhälf\\x07\\xff'; expected 'half' or 'interleaved'"});
  check_refused(
      [](hid_t file) { replace_string(file, "rope_layout", std::string(300, 'q')); },
      {"/@rope_layout: '" + std::string(200, 'q') + "... (300 bytes)'; expected 'half' or 'interleaved'"});
  const TemporaryFolder folder;
  write_edited(folder / "a.h5", [&](hid_t file) {
    replace_int(file, "layers", 5000);
    replace_ints(file, "captured_layers", indices);
  });
  const Messages many = validate(folder / "a.h5");
  CHECK(many.size() == 101);
  CHECK(many.back() == "and 14894 more problems");
}

}  // namespace kvr::trace
