#include "tests/traces/sample.hpp"

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "sim/base/sha256.hpp"
#include "traces/checks/validate.hpp"
#include "traces/reader.hpp"
#include "traces/writer.hpp"

namespace kvr::trace {

Header sample_header() {
  return {.geometry = {.layers = 4,
                       .query_heads = 4,
                       .kv_heads = 2,
                       .head_dim = 2,
                       .hidden_size = 8,
                       .ffn_size = 32,
                       .vocab_size = 100,
                       .rope_theta = 10000.0,
                       .attention_scale = 0.5,
                       .rope_scaling = "none",
                       .rope_layout = "half"},
          .model_name = "sample",
          .prefill_len = 6,
          .seq_len = 10,
          .captured_layers = {0, 3},
          .captured_kv_heads = {0, 1},
          .capture_tool = "test",
          .capture_version = "1",
          .capture_mode = "teacher-forced",
          .weights_sha256 = std::string(64, 'a'),
          .text_source = "näïve",
          .licence = "CC0-1.0",
          .seed = -7};
}

std::vector<std::int64_t> sample_positions() {
  return {4, 5, 6, 7, 8, 9};
}

std::vector<Half> sample_rows(Field field, std::int64_t layer) {
  const Header header = sample_header();
  const std::int64_t heads = is_query(field) ? header.query_heads_captured() : header.kv_heads_captured();
  const std::int64_t times = is_query(field) ? std::ssize(sample_positions()) : header.seq_len;
  Rng rng = Rng::stream(1, name_of(field), static_cast<std::uint64_t>(layer));
  std::vector<Half> rows(static_cast<std::size_t>(times * heads * header.geometry.head_dim));
  for (Half& value : rows) {
    value = to_half(static_cast<float>(rng.normal()));
  }
  return rows;
}

std::vector<std::int32_t> sample_tokens() {
  return {9, 8, 7, 6, 5, 4, 3, 2, 1, 0};
}

std::vector<std::uint8_t> sample_classes() {
  return {1, 0, 2, 0, 0, 0, 2, 0, 2, 0};
}

std::vector<float> sample_sums() {
  std::vector<float> sums;
  for (const float of_key : {2.0F, 1.5F, 1.0F, 0.75F, 0.5F, 0.25F}) {
    sums.insert(sums.end(), 4, of_key);
  }
  return sums;
}

std::vector<float> sample_norms() {
  std::vector<float> norms;
  for (int i = 0; i < 40; ++i) {
    norms.push_back(0.5F * static_cast<float>(i));
  }
  return norms;
}

void write_sample(const std::filesystem::path& path) {
  Writer writer(path, sample_header(), sample_positions());
  writer.append_tokens(sample_tokens());
  writer.append_token_classes(sample_classes());
  for (std::int64_t layer = 0; layer < 2; ++layer) {
    for (const Field field : {Field::keys, Field::values, Field::queries}) {
      writer.append(field, layer, sample_rows(field, layer));
    }
  }
  writer.append(Field::speculated_queries, 1, sample_rows(Field::speculated_queries, 1));
  writer.append_prompt_attention_sums(0, sample_sums());
  writer.append_wo_v_norm(0, sample_norms());
  writer.declare_truth("labels", 2, 10, "label of each token");
  writer.append_truth("labels", std::vector<std::int32_t>(20, 3));
  writer.finish();
}

void write_edited(const std::filesystem::path& path, const Edit& edit) {
  write_sample(path);
  const hdf5::Handle file(H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
  KVR_CHECK(static_cast<bool>(file), "{}", path.string());
  edit(file.get());
}

Messages problems_after(const Edit& edit) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "a.h5";
  write_edited(path, edit);
  Messages messages = validate(path);
  for (std::string& message : messages) {
    const std::string start = path.string() + ": ";
    KVR_CHECK(message.starts_with(start), "{}", message);
    message.erase(0, start.size());
  }
  return messages;
}

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

void replace_string(hid_t object, const std::string& name, const std::string& value) {
  H5Adelete(object, name.c_str());
  hdf5::write_string(object, name, value);
}

void replace_int(hid_t object, const std::string& name, std::int64_t value) {
  H5Adelete(object, name.c_str());
  hdf5::write_int(object, name, value);
}

void replace_ints(hid_t object, const std::string& name, const std::vector<std::int64_t>& values) {
  H5Adelete(object, name.c_str());
  hdf5::write_ints(object, name, values);
}

void replace_string_at(hid_t file, const std::string& path, const std::string& name,
                       const std::string& value) {
  replace_string(hdf5::open_dataset(file, path).get(), name, value);
}

void replace_dataset(hid_t file, const std::string& path, hid_t type, const hdf5::Shape& shape) {
  if (hdf5::has_dataset(file, path)) {
    H5Ldelete(file, path.c_str(), H5P_DEFAULT);
  }
  const hdf5::Handle dataset = hdf5::create_dataset(file, path, type, shape, {});
  std::size_t bytes = H5Tget_size(type);
  for (const hsize_t extent : shape) {
    bytes *= extent;
  }
  const std::vector<std::byte> zeros(bytes);
  hdf5::write_block(dataset.get(), type, hdf5::Shape(shape.size(), 0), shape, zeros.data());
  Sha256 hash;
  hash.update(zeros);
  hdf5::write_string(dataset.get(), "units", "1");
  hdf5::write_string(dataset.get(), "long_name", "zeros");
  hdf5::write_string(dataset.get(), "checksum", "sha256:" + hash.hex());
}

void poke(hid_t file, const std::string& path, hid_t type, const hdf5::Shape& index, const void* value) {
  hdf5::write_block(hdf5::open_dataset(file, path).get(), type, index, hdf5::Shape(index.size(), 1), value);
}

std::string checksum_of(hid_t file, const std::string& path) {
  return hdf5::read_string(hdf5::open_dataset(file, path).get(), "checksum");
}

}  // namespace kvr::trace
