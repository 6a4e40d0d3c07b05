#include <doctest/doctest.h>

#include <algorithm>

#include "sim/base/error.hpp"
#include "sim/base/sha256.hpp"
#include "tests/traces/sample.hpp"
#include "traces/checks/validate.hpp"
#include "traces/reader.hpp"
#include "traces/writer.hpp"

namespace kvr::trace {
namespace {

constexpr Field kFields[] = {Field::keys, Field::values, Field::queries, Field::speculated_queries};

/// One head of time-major rows: [times, head_dim].
std::vector<Half> head_of(const std::vector<Half>& rows, std::int64_t heads, std::int64_t head,
                          std::int64_t head_dim) {
  std::vector<Half> result;
  for (std::int64_t begin = head * head_dim; begin < std::ssize(rows); begin += heads * head_dim) {
    result.insert(result.end(), rows.begin() + begin, rows.begin() + begin + head_dim);
  }
  return result;
}

std::vector<Half> read_all(const Reader& reader, Field field, std::int64_t layer, std::int64_t head) {
  std::vector<Half> rows(static_cast<std::size_t>(reader.rows(field) * reader.header().geometry.head_dim));
  reader.read(field, layer, head, 0, reader.rows(field), rows);
  return rows;
}

}  // namespace

TEST_CASE("what the writer wrote, the reader reads bit for bit") {
  const TemporaryFolder folder;
  write_sample(folder / "a.h5");
  const Reader reader(folder / "a.h5");
  CHECK(reader.header() == sample_header());
  CHECK(reader.query_positions() == sample_positions());
  for (const std::int64_t layer : {0, 1}) {
    for (const Field field : kFields) {
      CAPTURE(layer);
      CAPTURE(name_of(field));
      const bool is_there = field != Field::speculated_queries || layer == 1;
      CHECK(reader.has(field, layer) == is_there);
      for (std::int64_t head = 0; is_there && head < reader.heads(field); ++head) {
        CHECK(read_all(reader, field, layer, head) ==
              head_of(sample_rows(field, layer), reader.heads(field), head, 2));
      }
    }
  }
}

TEST_CASE("tokens and the optional float datasets come back as they were written") {
  const TemporaryFolder folder;
  write_sample(folder / "a.h5");
  const Reader reader(folder / "a.h5");
  std::vector<std::int32_t> tokens(3);
  reader.read_tokens(4, 7, tokens);
  CHECK(tokens == std::vector<std::int32_t>{5, 4, 3});
  CHECK(reader.has_token_classes());
  std::vector<std::uint8_t> classes(4);
  reader.read_token_classes(5, 9, classes);
  CHECK(classes == std::vector<std::uint8_t>{0, 2, 0, 2});
  CHECK(reader.has_prompt_attention_sums(0));
  CHECK_FALSE(reader.has_prompt_attention_sums(1));
  std::vector<float> sums(6);
  reader.read_prompt_attention_sums(0, 3, sums);
  CHECK(sums == std::vector<float>{2.0F, 1.5F, 1.0F, 0.75F, 0.5F, 0.25F});
  CHECK(reader.has_wo_v_norm(0));
  CHECK_FALSE(reader.has_wo_v_norm(1));
  std::vector<float> norms(2);
  reader.read_wo_v_norm(0, 1, 3, 5, norms);
  CHECK(norms == std::vector<float>{6.5F, 8.5F});
}

TEST_CASE("every position from the prompt window on has its query row") {
  const TemporaryFolder folder;
  write_sample(folder / "a.h5");
  const Reader reader(folder / "a.h5");
  CHECK(reader.query_row(4) == 0);
  CHECK(reader.query_row(9) == 5);
  CHECK_THROWS_AS(reader.query_row(3), InternalError);
  CHECK_THROWS_AS(reader.query_row(10), InternalError);
}

TEST_CASE("rows may be appended in pieces of any size with the same bytes in the file") {
  const TemporaryFolder folder;
  write_sample(folder / "whole.h5");
  {
    Writer writer(folder / "pieces.h5", sample_header(), sample_positions());
    for (const std::int32_t token : sample_tokens()) {
      writer.append_tokens({&token, 1});
    }
    for (const std::uint8_t one : sample_classes()) {
      writer.append_token_classes({&one, 1});
    }
    for (const std::int64_t layer : {0, 1}) {
      for (const Field field : kFields) {
        if (field == Field::speculated_queries && layer == 0) {
          continue;
        }
        const std::vector<Half> rows = sample_rows(field, layer);
        const std::size_t time = is_query(field) ? 8 : 4;
        const std::span<const Half> all(rows);
        writer.append(field, layer, all.first(3 * time));
        writer.append(field, layer, all.first(0));
        writer.append(field, layer, all.subspan(3 * time));
      }
    }
    writer.finish();
  }
  CHECK(validate(folder / "pieces.h5").empty());
  const Reader whole(folder / "whole.h5");
  const Reader pieces(folder / "pieces.h5");
  std::vector<std::uint8_t> classes(10);
  pieces.read_token_classes(0, 10, classes);
  CHECK(classes == sample_classes());
  for (const std::int64_t layer : {0, 1}) {
    CHECK(read_all(whole, Field::keys, layer, 1) == read_all(pieces, Field::keys, layer, 1));
    CHECK(read_all(whole, Field::queries, layer, 2) == read_all(pieces, Field::queries, layer, 2));
  }
}

TEST_CASE("half values of every kind survive: zeros, subnormals, extremes, infinities and NaN payloads") {
  Header header = sample_header();
  header.captured_layers = {0};
  header.captured_kv_heads = {1};
  header.geometry.head_dim = 8192;
  header.prefill_len = 8;
  header.seq_len = 8;
  std::vector<Half> every(std::size_t{1} << 16);
  for (std::size_t bits = 0; bits < every.size(); ++bits) {
    every[bits] = Half{static_cast<std::uint16_t>(bits)};
  }
  const TemporaryFolder folder;
  Writer writer(folder / "a.h5", header, {});
  writer.append_tokens(std::vector<std::int32_t>(8, 0));
  writer.append(Field::keys, 0, every);
  writer.append(Field::values, 0, every);
  writer.finish();  // No queries at all: every token is prompt, and the window is empty.
  const Reader reader(folder / "a.h5");
  CHECK(read_all(reader, Field::keys, 0, 0) == every);
  CHECK(reader.rows(Field::queries) == 0);
}

TEST_CASE("a window gives the rows that direct reads give, whatever its size") {
  const TemporaryFolder folder;
  write_sample(folder / "a.h5");
  const Reader reader(folder / "a.h5");
  for (const std::int64_t size : {1, 3, 10, 1024}) {
    CAPTURE(size);
    Window window(reader, Field::keys, 1, 0, size);
    const std::vector<Half> all = read_all(reader, Field::keys, 1, 0);
    for (const std::int64_t i : {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 2, 9}) {
      const std::span<const Half> row = window.row(i);
      CHECK(std::equal(row.begin(), row.end(), all.begin() + 2 * i, all.begin() + 2 * i + 2));
      CHECK(window.begin() <= i);
      CHECK(i < window.end());
      CHECK(window.end() - window.begin() <= size);
    }
    CHECK_THROWS_AS(window.row(10), InternalError);
    CHECK_THROWS_AS(window.row(-1), InternalError);
  }
  CHECK_THROWS_AS(Window(reader, Field::speculated_queries, 0, 0), InternalError);
}

TEST_CASE("a caller who asks for what is not there is told so") {
  const TemporaryFolder folder;
  write_sample(folder / "a.h5");
  const Reader reader(folder / "a.h5");
  std::vector<Half> row(2);
  CHECK_THROWS_AS(reader.read(Field::keys, 2, 0, 0, 1, row), InternalError);
  CHECK_THROWS_AS(reader.read(Field::keys, 0, 2, 0, 1, row), InternalError);
  CHECK_THROWS_AS(reader.read(Field::keys, 0, 0, 10, 11, row), InternalError);
  CHECK_THROWS_AS(reader.read(Field::keys, 0, 0, 0, 2, row), InternalError);
  CHECK_THROWS_AS(reader.read(Field::speculated_queries, 0, 0, 0, 1, row), InternalError);
  CHECK_THROWS_AS((void)reader.has(Field::keys, -1), InternalError);
}

TEST_CASE("an unfinished trace leaves nothing behind, and a finished one only itself") {
  const TemporaryFolder folder;
  const auto count = [&] {
    return std::distance(std::filesystem::directory_iterator(folder.path()),
                         std::filesystem::directory_iterator());
  };
  {
    Writer writer(folder / "a.h5", sample_header(), sample_positions());
    writer.append_tokens(sample_tokens());
    CHECK(count() == 1);
    CHECK_FALSE(std::filesystem::exists(folder / "a.h5"));
  }
  CHECK(count() == 0);
  write_sample(folder / "a.h5");
  CHECK(count() == 1);
  CHECK(std::filesystem::exists(folder / "a.h5"));
}

TEST_CASE("the writer refuses to finish or to take more than the header says") {
  const TemporaryFolder folder;
  Writer writer(folder / "a.h5", sample_header(), sample_positions());
  writer.append_tokens(sample_tokens());
  CHECK_THROWS_AS(writer.append_tokens(std::vector<std::int32_t>{1}), InternalError);
  CHECK_THROWS_AS(writer.append(Field::keys, 0, std::vector<Half>(3)), InternalError);
  CHECK_THROWS_AS(writer.append(Field::speculated_queries, 0, std::vector<Half>(8)), InternalError);
  CHECK_THROWS_WITH_AS(writer.finish(), doctest::Contains("/layers/0/keys: 0 of 10 rows were written"),
                       InternalError);
}

TEST_CASE("the writer refuses a header that contradicts itself, with every reason") {
  const TemporaryFolder folder;
  Header header = sample_header();
  header.geometry.query_heads = 5;
  header.capture_mode = "guessed";
  const std::string file = (folder / "a.h5").string();
  try {
    const Writer writer(file, header, sample_positions());
    FAIL("no error");
  } catch (const InputError& error) {
    CHECK(error.problems() ==
          std::vector<std::string>{
              file + ": /@query_heads: 5 contradicts kv_heads 2; expected a multiple of it",
              file + ": /@capture_mode: 'guessed'; expected 'teacher-forced', 'greedy', 'sampled' or "
                     "'synthetic'"});
  }
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("a trace cannot be written where there is no folder") {
  const TemporaryFolder folder;
  CHECK_THROWS_AS(Writer(folder / "no/such/a.h5", sample_header(), sample_positions()), SystemError);
}

TEST_CASE("SHA-256 gives the digests of FIPS 180") {
  CHECK(Sha256().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  Sha256 hash;
  hash.update(std::as_bytes(std::span("abc", 3)));
  CHECK(hash.hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace kvr::trace
