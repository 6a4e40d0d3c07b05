#include "traces/layout.hpp"

#include <algorithm>

#include "sim/base/error.hpp"

namespace kvr::trace {

hid_t type_of(Element element) {
  switch (element) {
    case Element::half:
      return hdf5::half_type();
    case Element::float32:
      return H5T_IEEE_F32LE;
    case Element::uint8:
      return H5T_STD_U8LE;
    case Element::int32:
      return H5T_STD_I32LE;
    case Element::int64:
      return H5T_STD_I64LE;
  }
  throw InternalError(fmt::format("no element has the number {}", static_cast<int>(element)));
}

std::size_t bytes_of(Element element) {
  return H5Tget_size(type_of(element));
}

std::string shape_text(const DatasetSpec& spec) {
  std::vector<std::string> extents;
  for (const Axis& axis : spec.axes) {
    extents.push_back(axis.length == kUnknown ? "?" : std::to_string(axis.length));
  }
  return fmt::format("[{}]", fmt::join(extents, ", "));
}

std::string layer_path(const Header& header, std::int64_t layer) {
  return fmt::format("/layers/{}", header.captured_layers.at(static_cast<std::size_t>(layer)));
}

std::string field_path(const Header& header, std::int64_t layer, const std::string& name) {
  return layer_path(header, layer) + "/" + name;
}

namespace {

void add_layer(const Header& header, std::int64_t layer, Axis query_time, std::vector<DatasetSpec>& layout) {
  const Axis kv_heads{"captured KV heads", header.kv_heads_captured()};
  const Axis query_heads{"captured query heads", header.query_heads_captured()};
  const Axis time{"seq_len", header.seq_len};
  const Axis prompt{"prefill_len", header.prefill_len};
  const Axis channels{"head_dim", header.geometry.head_dim};
  const auto path = [&](const char* name) { return field_path(header, layer, name); };

  layout.push_back(
      {path("keys"), Element::half, {kv_heads, time, channels}, "1", "keys after rotary embedding", true});
  layout.push_back({path("values"), Element::half, {kv_heads, time, channels}, "1", "values", true});
  layout.push_back({path("queries"),
                    Element::half,
                    {query_heads, query_time, channels},
                    "1",
                    "queries after rotary embedding",
                    true});
  if (header.captured_layers[static_cast<std::size_t>(layer)] > 0) {
    layout.push_back({path("speculated_queries"),
                      Element::half,
                      {query_heads, query_time, channels},
                      "1",
                      "queries guessed from the previous layer's attention input",
                      false});
  }
  layout.push_back({path("prompt_attention_sums"),
                    Element::float32,
                    {query_heads, prompt},
                    "1",
                    "column sums of the prompt's causal attention",
                    false});
  layout.push_back({path("wo_v_norm"),
                    Element::float32,
                    {query_heads, time},
                    "1",
                    "norm of the value after the output projection",
                    false});
}

}  // namespace

std::vector<DatasetSpec> layout_of(const Header& header, std::int64_t query_count) {
  const Axis query_time{"query positions", query_count};
  std::vector<DatasetSpec> layout;
  layout.push_back({"/tokens", Element::int32, {{"seq_len", header.seq_len}}, "token id", "token ids", true});
  layout.push_back(
      {"/query_positions", Element::int64, {query_time}, "position", "positions that have a query", true});
  layout.push_back({"/token_class",
                    Element::uint8,
                    {{"seq_len", header.seq_len}},
                    "1",
                    "class of each token: 0 other, 1 special, 2 punctuation",
                    false});
  layout.push_back({"/turns",
                    Element::int64,
                    {{"turns", kUnknown}},
                    "position",
                    "first position of each turn of a conversation",
                    false});
  for (std::size_t layer = 0; layer < header.captured_layers.size(); ++layer) {
    add_layer(header, static_cast<std::int64_t>(layer), query_time, layout);
  }
  return layout;
}

const DatasetSpec& find(const std::vector<DatasetSpec>& layout, const std::string& path) {
  const auto found =
      std::find_if(layout.begin(), layout.end(), [&](const auto& spec) { return spec.path == path; });
  KVR_CHECK(found != layout.end(), "{} is not in the layout", path);
  return *found;
}

}  // namespace kvr::trace
