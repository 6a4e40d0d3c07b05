// runs:   a row's fp16 bits, less (exclusive or) those of a row known to the decoder: the latest live one at
// a
//         multiple of `stride`, which the entry refers to, or the prompt's first live row
//         blob = a bit for each byte, whether it is not 0, then the bytes that are not, and, for sizes that
//         differ much, as many of nothing as is left of the entry's number over kSpread
// pad:    blobs are as long as the longest
// faults: of entries beyond kFaultyEntry
#include "tests/engine/runs_codec.hpp"

#include <cstring>
#include <string>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/codec.hpp"

namespace kvr::test {
namespace {

constexpr EntryIndex kFaultyEntry = 80;
constexpr EntryIndex kSpread = 11;

struct RunsParams {
  std::int64_t stride = 0;
  std::int64_t tail = 0;
  bool pad = false;
  bool varies = true;
  std::string fault = "none";
};

std::size_t longest(std::size_t width) {
  return (2 * width + 7) / 8 + 2 * width + kSpread - 1;
}

using Bytes = std::vector<std::byte>;

Bytes bytes_of(std::span<const Half> row) {
  Bytes bytes(row.size_bytes());
  std::memcpy(bytes.data(), row.data(), bytes.size());
  return bytes;
}

Bytes bytes_of(std::span<const float> row) {
  std::vector<Half> halves(row.size());
  to_half(row, halves);
  return bytes_of(std::span<const Half>(halves));
}

class RunsHead final : public HeadCodec {
 public:
  RunsHead(RunsParams params, std::int64_t width)
      : params_(std::move(params)), base_(2 * static_cast<std::size_t>(width)) {}

  void fit(const PromptRows& prompt, Work&) override {
    if (!prompt.live.empty()) {
      base_ = bytes_of(prompt.rows.row(prompt.live.intervals().front().begin));
    }
  }

  void encode(std::span<const float> row, const KnownRows& known, StoredRow& stored, Work&) override {
    const auto entry = static_cast<EntryIndex>(known.rows.rows);
    const Bytes own = bytes_of(row);
    Bytes other = base_;
    if (const EntryIndex to = reference(entry, known.live); to >= 0) {
      stored.references.push_back(to);
      other = bytes_of(known.rows.row(to));
    }
    stored.blob.resize((own.size() + 7) / 8);
    for (std::size_t i = 0; i < own.size(); ++i) {
      if (const std::byte left = own[i] ^ other[i]; left != std::byte{0}) {
        stored.blob[i / 8] |= std::byte{1} << (i % 8);
        stored.blob.push_back(left);
      }
    }
    const auto spread = static_cast<std::size_t>(entry % kSpread);
    stored.blob.resize(params_.pad ? longest(row.size()) : stored.blob.size() + spread);
    if (entry > kFaultyEntry) {
      spoil(longest(row.size()), stored);
    }
  }

  void decode(std::span<const std::byte> blob, const MatrixView<float>& references,
              std::span<float> row) const override {
    Bytes bytes = references.rows > 0 ? bytes_of(references.row(0)) : base_;
    std::size_t next = (bytes.size() + 7) / 8;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      if ((blob[i / 8] & (std::byte{1} << (i % 8))) != std::byte{0}) {
        bytes[i] ^= blob[next++];
      }
    }
    std::vector<Half> halves(row.size());
    std::memcpy(halves.data(), bytes.data(), bytes.size());
    to_float(halves, row);
  }

 private:
  EntryIndex reference(EntryIndex entry, const EntrySet& live) const {
    if (params_.stride == 0 || entry % params_.stride == 0) {
      return -1;
    }
    const auto to = static_cast<EntryIndex>(entry / params_.stride * params_.stride);
    return live.contains(to) ? to : -1;
  }

  void spoil(std::size_t most, StoredRow& stored) const {
    if (params_.fault == "long") {
      stored.blob.resize(most + 1);
    } else if (params_.fault == "empty") {
      stored.blob.clear();
    }
  }

  RunsParams params_;
  Bytes base_;
};

class Runs final : public Codec {
 public:
  static constexpr std::string_view kName = kRuns;
  static constexpr std::string_view kDoc = "Rows in blobs of several lengths, for tests.";
  static constexpr std::string_view kSource = "ours";

  using Params = RunsParams;
  static ParamTable<Params> params() {
    return {
        {"stride", &Params::stride, {.doc = "entries from one referred to to the next; 0: none", .min = 0}},
        {"tail", &Params::tail, {.doc = "newest entries as captured", .min = 0}},
        {"pad", &Params::pad, {.doc = "blobs are all of one length"}},
        {"varies", &Params::varies, {.doc = "says that they are not"}},
        {"fault", &Params::fault, {.doc = "what is wrong with late entries", .choices = "none|long|empty"}}};
  }

  Runs(Params params, const Context&) : params_(std::move(params)) {}

  std::int64_t row_bytes(std::int64_t width) const override {
    return static_cast<std::int64_t>(longest(static_cast<std::size_t>(width)));
  }
  bool sizes_vary() const override { return params_.varies; }
  bool lossless() const override { return true; }
  std::int64_t reference_depth() const override { return params_.stride > 0 ? 1 : 0; }
  std::int64_t tail() const override { return params_.tail; }
  std::unique_ptr<HeadCodec> of_head(const HeadContext& context) const override {
    return std::make_unique<RunsHead>(params_, context.width);
  }

 private:
  Params params_;
};

const Registration<Codec, Runs> registered;

}  // namespace
}  // namespace kvr::test
