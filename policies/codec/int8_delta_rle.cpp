// Symmetric 8-bit integers, the difference of each to the one before it, and runs of equal differences:
//
//   scale and codes as int8 has them
//   difference[0] = code[0],   difference[i] = code[i] - code[i - 1], modulo 256, so that nothing is lost
//   blob = scale (float32), then the differences by `runs`:
//     pairs:   (value, length) for each run, of 1 to 255; two bytes an element where none is like the next
//     packed:  (257 - length, value) for a run of 3 to 128; (count - 1, values) for 1 to 128 others
//
// CXL-SpecKV gives a block of rows one scale and takes differences across the borders of rows; here each row
// is stored for itself, since attention asks for rows. `pairs` are those of its code; `packed`, the PackBits
// of TIFF 6.0 (sec. 9), are the kindest reading of a format that the text does not fix. Its code also
// multiplies by 127 twice, which no 8-bit integer holds: here they are as the text has them.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/codec.hpp"

namespace kvr {
namespace {

using Bytes = std::vector<std::byte>;
using Blob = std::span<const std::byte>;

constexpr std::size_t kScaleBytes = sizeof(float);

/// How many of the first of `bytes`, at most `most`, are equal.
std::size_t run_of(Blob bytes, std::size_t most) {
  const Blob first = bytes.first(std::min(most, bytes.size()));
  const auto end = std::ranges::find_if(first, [&](std::byte byte) { return byte != first.front(); });
  return static_cast<std::size_t>(end - first.begin());
}

void append(Bytes& to, Blob bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

/// Runs as (value, length).
struct Pairs {
  static constexpr std::size_t kLongestRun = 255;

  static std::size_t most(std::size_t width) { return 2 * width; }

  static void write(Blob bytes, Bytes& blob) {
    while (!bytes.empty()) {
      const std::size_t run = run_of(bytes, kLongestRun);
      blob.push_back(bytes.front());
      blob.push_back(static_cast<std::byte>(run));
      bytes = bytes.subspan(run);
    }
  }

  /// Throws InternalError where `blob` ends within a pair or has one of no length.
  static Bytes read(Blob blob) {
    KVR_CHECK(blob.size() % 2 == 0, "a run has no length: {} bytes after the scale", blob.size());
    Bytes bytes;
    for (; !blob.empty(); blob = blob.subspan(2)) {
      KVR_CHECK(blob[1] != std::byte{0}, "a run of no length, {} bytes before the end", blob.size());
      bytes.insert(bytes.end(), std::to_integer<std::size_t>(blob[1]), blob[0]);
    }
    return bytes;
  }
};

/// Runs of three and more, and what lies between them as it is.
struct Packed {
  static constexpr std::size_t kLongest = 128;
  static constexpr std::size_t kShortestRun = 3;  // of two a pair takes as much as they do
  static constexpr std::size_t kRunsFrom = 257;   // less the length: 254 down to 129

  static std::size_t most(std::size_t width) { return width + (width + kLongest - 1) / kLongest; }

  static void write(Blob bytes, Bytes& blob) {
    while (!bytes.empty()) {
      const std::size_t run = run_of(bytes, kLongest);
      const std::size_t count = run >= kShortestRun ? run : unlike(bytes);
      blob.push_back(static_cast<std::byte>(run >= kShortestRun ? kRunsFrom - run : count - 1));
      append(blob, bytes.first(run >= kShortestRun ? 1 : count));
      bytes = bytes.subspan(count);
    }
  }

  /// Throws InternalError where `blob` ends before what it announces, or announces neither.
  static Bytes read(Blob blob) {
    Bytes bytes;
    while (!blob.empty()) {
      const auto control = std::to_integer<std::size_t>(blob.front());
      KVR_CHECK(control != kLongest, "no run and no others announced, {} bytes before the end", blob.size());
      const bool run = control > kLongest;
      const std::size_t stored = run ? 1 : control + 1;
      KVR_CHECK(stored < blob.size(), "{} bytes announced, {} are left", stored, blob.size() - 1);
      if (run) {
        bytes.insert(bytes.end(), kRunsFrom - control, blob[1]);
      } else {
        append(bytes, blob.subspan(1, stored));
      }
      blob = blob.subspan(1 + stored);
    }
    return bytes;
  }

 private:
  /// How many of the first of `bytes` come before a run.
  static std::size_t unlike(Blob bytes) {
    std::size_t count = 1;
    while (count < std::min(kLongest, bytes.size()) &&
           run_of(bytes.subspan(count), kShortestRun) < kShortestRun) {
      ++count;
    }
    return count;
  }
};

/// In place; back by `sum_up`.
void take_differences(std::span<std::int8_t> codes) {
  std::int8_t before = 0;
  for (std::int8_t& code : codes) {
    const int difference = code - before;
    before = code;
    code = static_cast<std::int8_t>(difference);
  }
}

void sum_up(std::span<std::int8_t> differences) {
  std::int8_t sum = 0;
  for (std::int8_t& one : differences) {
    sum = one = static_cast<std::int8_t>(sum + one);
  }
}

template <class Runs>
class Int8DeltaHead final : public HeadCodec {
 public:
  void encode(std::span<const float> row, const KnownRows&, StoredRow& stored, Work& work) override {
    std::vector<std::int8_t> codes(row.size());
    const float scale = quantise_int8(row, codes);
    take_differences(codes);
    stored.blob.resize(kScaleBytes);
    std::memcpy(stored.blob.data(), &scale, kScaleBytes);
    Runs::write(std::as_bytes(std::span(codes)), stored.blob);
    constexpr double kFlops = 4.0;  // an element: the largest, its code, the difference, whether it goes on
    const auto elements = static_cast<double>(row.size());
    work += {kFlops * elements, 2.0 * elements + static_cast<double>(stored.blob.size())};
  }

  void decode(std::span<const std::byte> blob, const MatrixView<float>&,
              std::span<float> row) const override {
    KVR_CHECK(blob.size() > kScaleBytes, "a blob of {} bytes, a scale and a run take more", blob.size());
    float scale = 0.0F;
    std::memcpy(&scale, blob.data(), kScaleBytes);
    const Bytes bytes = Runs::read(blob.subspan(kScaleBytes));
    KVR_CHECK(bytes.size() == row.size(), "runs of {} elements, a row has {}", bytes.size(), row.size());
    std::vector<std::int8_t> codes(row.size());
    std::memcpy(codes.data(), bytes.data(), bytes.size());
    sum_up(codes);
    dequantise_int8(codes, scale, row);
  }
};

class Int8DeltaRle final : public Codec {
 public:
  static constexpr std::string_view kName = "int8_delta_rle";
  static constexpr std::string_view kDoc =
      "A float32 scale, and one byte an element, of which differences to the element before are stored as "
      "runs of equal ones.";
  static constexpr std::string_view kSource = "CXL-SpecKV, FPGA'26; its code FastLM/CXL-SpecKV @086de25";

  struct Params {
    std::string runs = "pairs";
  };
  static ParamTable<Params> params() {
    return {{"runs",
             &Params::runs,
             {.doc = "pairs: value and length of every run; packed: of those that take less so, and all else "
                     "as it is",
              .choices = "pairs|packed",
              .source = "its code: pairs"}}};
  }

  Int8DeltaRle(const Params& params, const Context&) : pairs_(params.runs == "pairs") {}

  std::int64_t row_bytes(std::int64_t width) const override {
    const auto elements = static_cast<std::size_t>(width);
    return static_cast<std::int64_t>(kScaleBytes + (pairs_ ? Pairs::most(elements) : Packed::most(elements)));
  }
  bool sizes_vary() const override { return true; }
  bool lossless() const override { return false; }
  /// A sum and a product an element, of the longest blob.
  Work decode_work(std::int64_t width) const override {
    return {2.0 * static_cast<double>(width), static_cast<double>(row_bytes(width) + 2 * width)};
  }
  std::unique_ptr<HeadCodec> of_head(const HeadContext&) const override {
    if (pairs_) {
      return std::make_unique<Int8DeltaHead<Pairs>>();
    }
    return std::make_unique<Int8DeltaHead<Packed>>();
  }

 private:
  bool pairs_;
};

const Registration<Codec, Int8DeltaRle> registered;

}  // namespace
}  // namespace kvr
