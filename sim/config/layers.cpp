#include "sim/config/layers.hpp"

#include <charconv>
#include <limits>

namespace kvr::config {
namespace {

std::string_view without_blanks(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  return first == std::string_view::npos ? "" : text.substr(first, text.find_last_not_of(' ') - first + 1);
}

std::optional<std::int64_t> layer_of(const std::string& text) {
  std::int64_t layer = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, layer);
  return read.ec == std::errc() && read.ptr == end && layer >= 0 ? std::optional(layer) : std::nullopt;
}

std::optional<LayerSet::Range> range_of(const std::string& text) {
  const std::size_t dots = text.find("..");
  const auto first = layer_of(text.substr(0, dots));
  if (!first || dots == std::string::npos) {
    return first ? std::optional(LayerSet::Range{*first, *first}) : std::nullopt;
  }
  const std::string rest = text.substr(dots + 2);
  const auto last = rest.empty() ? std::optional(std::numeric_limits<std::int64_t>::max()) : layer_of(rest);
  return last && *last >= *first ? std::optional(LayerSet::Range{*first, *last}) : std::nullopt;
}

}  // namespace

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (true) {
    const std::size_t comma = text.find(',');
    words.emplace_back(without_blanks(text.substr(0, comma)));
    if (comma == std::string_view::npos) {
      return words;
    }
    text = text.substr(comma + 1);
  }
}

std::optional<LayerSet> parse_layers(std::string_view text) {
  LayerSet layers;
  if (text == "all") {
    return layers;
  }
  for (const std::string& word : words_of(text)) {
    const auto range = range_of(word);
    if (!range) {
      return std::nullopt;
    }
    layers.ranges.push_back(*range);
  }
  return layers;
}

}  // namespace kvr::config
