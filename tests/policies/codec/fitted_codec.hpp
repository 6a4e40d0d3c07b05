#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/interfaces/codec.hpp"
#include "tests/policies/support.hpp"

namespace kvr::test {

/// A codec of one head that refers to no row, fitted to what of `sequence` is live and asked by `queries`.
class FittedCodec {
 public:
  FittedCodec(std::string_view name, const ParamValues& values, const Sequence& sequence, EntryIndex entries,
              EntrySet live, const MatrixView<float>& queries = {})
      : codec_(make<Codec>(name, values, {sequence.head_dim()})),
        head_(codec_->of_head({.width = sequence.head_dim(), .head = {}, .plane = 0, .root_seed = 1})),
        live_(std::move(live)),
        rows_(sequence.view(entries).keys) {
    Work work;
    head_->fit({rows_, live_, queries}, work);
  }
  FittedCodec(std::string_view name, const ParamValues& values, const Sequence& sequence, EntryIndex entries,
              const MatrixView<float>& queries = {})
      : FittedCodec(name, values, sequence, entries, EntrySet::first(entries), queries) {}

  const Codec& codec() const { return *codec_; }
  const HeadCodec& head() const { return *head_; }

  /// The blob is as long as the codec says.
  std::vector<float> round_trip(std::span<const float> key) {
    std::vector<float> row(key.begin(), key.end());
    StoredRow stored;
    Work work;
    head_->encode(row, {rows_, live_}, stored, work);
    const std::int64_t width = std::ssize(key);
    CHECK(std::ssize(stored.blob) == codec_->row_bytes(width) + codec_->kept_bytes(width));
    CHECK(stored.references.empty());
    head_->decode(stored.blob, {}, row);
    return row;
  }

 private:
  std::unique_ptr<Codec> codec_;
  std::unique_ptr<HeadCodec> head_;
  EntrySet live_;
  MatrixView<Half> rows_;
};

}  // namespace kvr::test
