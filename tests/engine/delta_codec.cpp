// delta:  every stride-th entry is stored whole, another as its difference to the latest earlier live entry
// that
//         decoding goes through fewer than `depth` rows for; whole as well, where there is none
//         blob = scale (float32), then a code of 8 bits an element, of the row or of the difference, padded
//         to `row_bytes`
// kept:   the row in fp16
// faults: of entries beyond kFaultyEntry
#include "tests/engine/delta_codec.hpp"

#include <cstring>
#include <string>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/codec.hpp"

namespace kvr::test {
namespace {

constexpr EntryIndex kFaultyEntry = 80;

struct DeltaParams {
  std::int64_t stride = 4;
  std::int64_t depth = 1;
  std::int64_t tail = 0;
  std::int64_t flops = 0;
  std::string fault = "none";
};

class DeltaHead final : public HeadCodec {
 public:
  explicit DeltaHead(DeltaParams params) : params_(std::move(params)) {}

  void fit(const PromptRows& prompt, Work&) override { fitted_ = prompt.live.size(); }
  std::int64_t dram_bytes() const override { return 8 * fitted_; }

  void encode(std::span<const float> row, const KnownRows& known, StoredRow& stored, Work& work) override {
    const auto entry = static_cast<EntryIndex>(known.rows.rows);
    work += {100.0, 100.0};
    depth_.resize(static_cast<std::size_t>(entry) + 1, 0);
    const EntryIndex to = reference(entry, known.live);
    std::vector<float> rest(row.begin(), row.end());
    if (to >= 0) {
      stored.references.push_back(to);
      depth_.back() = depth_[static_cast<std::size_t>(to)] + 1;
      std::vector<float> other(row.size());
      to_float(known.rows.row(to), other);
      for (std::size_t i = 0; i < rest.size(); ++i) {
        rest[i] -= other[i];
      }
    }
    std::vector<std::int8_t> codes(row.size());
    const float scale = quantise_int8(rest, codes);
    stored.blob.resize(sizeof(scale) + codes.size());
    std::memcpy(stored.blob.data(), &scale, sizeof(scale));
    std::memcpy(stored.blob.data() + sizeof(scale), codes.data(), codes.size());
    if (entry > kFaultyEntry) {
      spoil(entry, stored);
    }
  }

  void decode(std::span<const std::byte> blob, const MatrixView<float>& references,
              std::span<float> row) const override {
    float scale = 0.0F;
    std::vector<std::int8_t> codes(row.size());
    std::memcpy(&scale, blob.data(), sizeof(scale));
    std::memcpy(codes.data(), blob.data() + sizeof(scale), codes.size());
    dequantise_int8(codes, scale, row);
    for (std::int64_t i = 0; i < references.rows; ++i) {
      for (std::size_t d = 0; d < row.size(); ++d) {
        row[d] += references.row(i)[d];
      }
    }
  }

 private:
  EntryIndex reference(EntryIndex entry, const EntrySet& live) const {
    if (entry % params_.stride == 0) {
      return -1;
    }
    for (EntryIndex to = entry; to-- > 0;) {
      if (live.contains(to) && depth_[static_cast<std::size_t>(to)] < params_.depth) {
        return to;
      }
    }
    return -1;
  }

  void spoil(EntryIndex entry, StoredRow& stored) const {
    if (params_.fault == "itself") {
      stored.references = {entry};
    } else if (params_.fault == "never") {
      stored.references = {-3};
    } else if (params_.fault == "removed") {
      stored.references = {3};
    } else if (params_.fault == "twice") {
      stored.references = {0, 0};
    } else if (params_.fault == "deep") {
      stored.references = {entry - 1};
    } else if (params_.fault == "bytes") {
      stored.blob.pop_back();
    }
  }

  DeltaParams params_;
  std::int64_t fitted_ = 0;
  std::vector<std::int64_t> depth_;
};

class Delta final : public Codec {
 public:
  static constexpr std::string_view kName = kDelta;
  static constexpr std::string_view kDoc = "Differences to earlier rows, for tests.";
  static constexpr std::string_view kSource = "ours";

  using Params = DeltaParams;
  static ParamTable<Params> params() {
    return {{"stride", &Params::stride, {.doc = "entries from one stored whole to the next", .min = 1}},
            {"depth", &Params::depth, {.doc = "rows that decoding goes through", .min = 1}},
            {"tail", &Params::tail, {.doc = "newest entries as captured", .min = 0}},
            {"flops", &Params::flops, {.doc = "of decoding a row", .min = 0}},
            {"fault",
             &Params::fault,
             {.doc = "what is wrong with late entries",
              .choices = "none|itself|never|removed|twice|deep|bytes"}}};
  }

  Delta(Params params, const Context&) : params_(std::move(params)) {}

  std::int64_t row_bytes(std::int64_t width) const override {
    return static_cast<std::int64_t>(sizeof(float)) + width;
  }
  bool lossless() const override { return false; }
  std::int64_t reference_depth() const override { return params_.depth; }
  std::int64_t tail() const override { return params_.tail; }
  Work decode_work(std::int64_t) const override { return {static_cast<double>(params_.flops), 0.0}; }
  std::unique_ptr<HeadCodec> of_head(const HeadContext&) const override {
    return std::make_unique<DeltaHead>(params_);
  }

 private:
  Params params_;
};

class KeptHead final : public HeadCodec {
 public:
  void encode(std::span<const float> row, const KnownRows&, StoredRow& stored, Work&) override {
    std::vector<Half> halves(row.size());
    to_half(row, halves);
    stored.blob.resize(halves.size() * sizeof(Half));
    std::memcpy(stored.blob.data(), halves.data(), stored.blob.size());
  }
  void decode(std::span<const std::byte> blob, const MatrixView<float>&,
              std::span<float> row) const override {
    std::vector<Half> halves(row.size());
    std::memcpy(halves.data(), blob.data(), blob.size());
    to_float(halves, row);
  }
};

class Kept final : public Codec {
 public:
  static constexpr std::string_view kName = kKept;
  static constexpr std::string_view kDoc = "Rows as fp16, for tests.";
  static constexpr std::string_view kSource = "ours";

  struct Params {
    std::int64_t tail = 0;
    std::int64_t depth = 0;
  };
  static ParamTable<Params> params() {
    return {{"tail", &Params::tail, {.doc = "newest entries as captured", .min = 0}},
            {"depth", &Params::depth, {.doc = "rows that decoding might go through", .min = 0}}};
  }

  Kept(Params params, const Context&) : params_(params) {}

  std::int64_t row_bytes(std::int64_t width) const override {
    return width * static_cast<std::int64_t>(sizeof(Half));
  }
  bool lossless() const override { return true; }
  std::int64_t tail() const override { return params_.tail; }
  std::int64_t reference_depth() const override { return params_.depth; }
  std::unique_ptr<HeadCodec> of_head(const HeadContext&) const override {
    return std::make_unique<KeptHead>();
  }

 private:
  Params params_;
};

const Registration<Codec, Delta> registered_delta;
const Registration<Codec, Kept> registered_kept;

}  // namespace
}  // namespace kvr::test
