// Rows as sums of a few atoms of a dictionary, of which index and weight are stored:
//
//   D       `atoms` unit vectors: of a layer's keys or values in another trace (`kvreplay calibrate --of
//           dictionaries`), shared by its heads, or of the head's prompt, by k-SVD
//   code    matching:   nonzeros times  j = argmax |D_j . left|,  w = fp(D_j . left),  left -= w D_j
//           orthogonal: the same j, and all w by least squares, then rounded
//   row'    sum of w D_j
//   blob    nonzeros times ceil(log2 atoms) bits of j and 8 or 16 bits of w, side by side from the lowest bit
//
//   bits an element = nonzeros (ceil(log2 atoms) + bits of w) / width
//
// Matching takes rounding into account: later atoms see what it left. So ||left|| never grows, and
// ||row||^2 = sum of w^2 + ||left||^2 but for rounding.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <string>
#include <vector>

#include "policies/codec/e4m3.hpp"
#include "policies/codec/half_range.hpp"
#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/calibration/basis_file.hpp"
#include "sim/interfaces/codec.hpp"
#include "sim/kernels/sparse_codes.hpp"

namespace kvr {
namespace {

constexpr double kBytes = 2.0;       // an element in fp16
constexpr std::int64_t kRounds = 5;  // of k-SVD over a prompt

struct SparseParams {
  std::int64_t nonzeros = 4;
  std::int64_t atoms = 256;
  std::string weights = "fp8";
  std::string pursuit = "matching";
  std::string calibration;

  std::int64_t index_bits() const {
    return static_cast<std::int64_t>(std::bit_width(static_cast<std::uint64_t>(atoms - 1)));
  }
  std::int64_t weight_bits() const { return weights == "fp8" ? 8 : 16; }
  std::int64_t blob_bytes() const { return (nonzeros * (index_bits() + weight_bits()) + 7) / 8; }
};

/// Numbers of some bits each, side by side from a blob's lowest bit on.
class BitWriter {
 public:
  explicit BitWriter(std::span<std::byte> blob) : blob_(blob) { std::ranges::fill(blob, std::byte{0}); }

  void write(unsigned value, std::int64_t bits) {
    for (std::int64_t bit = 0; bit < bits; ++bit, ++at_) {
      blob_[at_ / 8] |= static_cast<std::byte>((value >> bit & 1U) << at_ % 8);
    }
  }

 private:
  std::span<std::byte> blob_;
  std::size_t at_ = 0;
};

class BitReader {
 public:
  explicit BitReader(std::span<const std::byte> blob) : blob_(blob) {}

  unsigned read(std::int64_t bits) {
    unsigned value = 0;
    for (std::int64_t bit = 0; bit < bits; ++bit, ++at_) {
      value |= (std::to_integer<unsigned>(blob_[at_ / 8]) >> at_ % 8 & 1U) << bit;
    }
    return value;
  }

 private:
  std::span<const std::byte> blob_;
  std::size_t at_ = 0;
};

class SparseHead final : public HeadCodec {
 public:
  /// `atoms` [atoms, width]; empty: of the prompt. `shared_by`: heads that have one dictionary.
  SparseHead(const SparseParams& params, const Codec::HeadContext& context, std::vector<float> atoms,
             std::int64_t shared_by)
      : params_(params),
        width_(context.width),
        counted_bytes_(context.head.sequence > 0 && !atoms.empty()
                           ? 0
                           : (2 * params.atoms * width_ + shared_by - 1) / shared_by),
        rng_(Rng::stream(context.root_seed, "sparse code",
                         static_cast<std::uint64_t>((context.head.layer << 32) + (context.head.head << 16) +
                                                    context.plane))) {
    if (!atoms.empty()) {
      table_.emplace_back(std::move(atoms), width_);
    }
  }

  void fit(const PromptRows& prompt, Work& work) override {
    if (!table_.empty()) {
      return;
    }
    std::vector<float> rows(static_cast<std::size_t>(prompt.live.size() * width_));
    std::int64_t row = 0;
    prompt.live.for_each([&](EntryIndex entry) {
      to_float(prompt.rows.row(entry), matrix_ref<float>(rows.data(), prompt.live.size(), width_).row(row++));
    });
    const kernels::DictionaryPlan plan{params_.atoms, std::min(params_.nonzeros, kTrained), kRounds};
    std::vector<float> atoms =
        kernels::train_dictionary(matrix_view<float>(rows.data(), row, width_), plan, rng_);
    for (float& element : atoms) {
      element = to_float(to_half(element));  // as a calibration has it
    }
    table_.emplace_back(std::move(atoms), width_);
    work += static_cast<double>(kRounds * row) * pursuit_work(static_cast<double>(plan.nonzeros));
  }

  void encode(std::span<const float> row, const KnownRows&, StoredRow& stored, Work& work) override {
    const auto rounded = [this](float weight) { return decoded_weight(encoded_weight(weight)); };
    kernels::SparseCode code = params_.pursuit == "matching"
                                   ? kernels::matching_pursuit(table(), row, params_.nonzeros, rounded)
                                   : kernels::orthogonal_pursuit(table(), row, params_.nonzeros);
    code.atoms.resize(static_cast<std::size_t>(params_.nonzeros), 0);
    code.weights.resize(code.atoms.size(), 0.0F);
    stored.blob.resize(static_cast<std::size_t>(params_.blob_bytes()));
    BitWriter bits(stored.blob);
    for (std::size_t i = 0; i < code.atoms.size(); ++i) {
      bits.write(static_cast<unsigned>(code.atoms[i]), params_.index_bits());
      bits.write(encoded_weight(code.weights[i]), params_.weight_bits());
    }
    work += pursuit_work(static_cast<double>(params_.nonzeros));
  }

  void decode(std::span<const std::byte> blob, const MatrixView<float>&,
              std::span<float> row) const override {
    BitReader bits(blob);
    kernels::SparseCode code;
    for (std::int64_t i = 0; i < params_.nonzeros; ++i) {
      const unsigned atom = bits.read(params_.index_bits());
      KVR_CHECK(static_cast<std::int64_t>(atom) < params_.atoms, "atom {} of {}", atom, params_.atoms);
      code.atoms.push_back(static_cast<std::int32_t>(atom));
      code.weights.push_back(decoded_weight(bits.read(params_.weight_bits())));
    }
    kernels::add_up(table(), code, row);
    stay_in_half_range(row);
  }

  /// Its share of the dictionary, which heads and sequences have in common where it was calibrated.
  std::int64_t dram_bytes() const override { return counted_bytes_; }

 private:
  static constexpr std::int64_t kTrained = 8;  // nonzeros at most, beyond which training gains little

  const kernels::AtomTable& table() const { return table_.front(); }

  unsigned encoded_weight(float weight) const {
    return params_.weight_bits() == 8
               ? E4M3::encode(weight)
               : std::bit_cast<std::uint16_t>(to_half(std::clamp(weight, -kLargestHalf, kLargestHalf)));
  }
  float decoded_weight(unsigned code) const {
    return params_.weight_bits() == 8 ? E4M3::decode(static_cast<std::uint8_t>(code))
                                      : to_float(std::bit_cast<Half>(static_cast<std::uint16_t>(code)));
  }

  /// Products with all atoms, and for each that is taken as many sums; least squares besides.
  Work pursuit_work(double nonzeros) const {
    const auto n = static_cast<double>(params_.atoms);
    const auto w = static_cast<double>(width_);
    const double sums = params_.pursuit == "matching" ? nonzeros : nonzeros * (nonzeros + 1.0) / 2.0;
    return {2.0 * n * (w + sums), kBytes * (n * w + nonzeros * n + w)};
  }

  SparseParams params_;
  std::int64_t width_;
  std::int64_t counted_bytes_;
  Rng rng_;
  std::vector<kernels::AtomTable> table_;  // none before `fit`, then one
};

class SparseCodes final : public Codec {
 public:
  static constexpr std::string_view kName = "sparse_code";
  static constexpr std::string_view kDoc =
      "A row as a sum of a few atoms of a dictionary, of which index and weight are stored; keys before "
      "their "
      "rotary embedding.";
  static constexpr std::string_view kSource =
      "CSR, AAAI'25 (body not read); k-SVD in place of its trained dictionary; matching pursuit, Mallat and "
      "Zhang 1993";

  using Params = SparseParams;
  static ParamTable<Params> params();

  SparseCodes(Params params, const Context&) : params_(std::move(params)) {}

  std::int64_t row_bytes(std::int64_t) const override { return params_.blob_bytes(); }
  bool lossless() const override { return false; }
  bool before_rotation() const override { return true; }
  Work decode_work(std::int64_t width) const override {
    const auto adds = static_cast<double>(params_.nonzeros * width);
    return {2.0 * adds, kBytes * (adds + static_cast<double>(width))};
  }
  std::unique_ptr<HeadCodec> of_head(const HeadContext& context) const override {
    if (params_.calibration.empty()) {
      return std::make_unique<SparseHead>(params_, context, std::vector<float>{}, 1);
    }
    return std::make_unique<SparseHead>(params_, context, calibration(context), std::ssize(context.kv_heads));
  }

 private:
  std::vector<float> calibration(const HeadContext& context) const {
    if (context.rows == RowsOf::both) {
      throw InputError(
          "calibration: has dictionaries of keys and of values apart; allowed: codecs k and v, or no "
          "calibration");
    }
    const KeyBasis found = read_named_basis("calibration", params_.calibration,
                                            {.kind = BasisKind::dictionaries,
                                             .model = context.model_name,
                                             .kv_heads = context.kv_heads,
                                             .layer = context.layer_number,
                                             .set = context.rows == RowsOf::keys ? 0 : 1,
                                             .width = context.width,
                                             .rank = params_.atoms});
    std::vector<float> atoms(found.basis.size());
    const auto table = matrix_ref<float>(atoms.data(), found.rank, found.width);
    for (std::int64_t channel = 0; channel < found.width; ++channel) {
      for (std::int64_t atom = 0; atom < found.rank; ++atom) {
        table.row(atom)[static_cast<std::size_t>(channel)] =
            to_float(found.basis[static_cast<std::size_t>(channel * found.rank + atom)]);
      }
    }
    return atoms;
  }

  Params params_;
};

ParamTable<SparseParams> SparseCodes::params() {
  return {
      {"nonzeros",
       &Params::nonzeros,
       {.doc = "atoms of a row's code", .min = 1, .max = 1024, .source = "CSR: 4, 8 or 16, from memory"}},
      {"atoms",
       &Params::atoms,
       {.doc = "of the dictionary; with a calibration as many as it has",
        .min = 2,
        .max = 1 << 16,
        .source = "ours; CSR's indices of 16 bits, from memory, allow 65,536"}},
      {"weights",
       &Params::weights,
       {.doc = "fp8: one byte, 4 bits of exponent and 3 of mantissa; fp16: two",
        .choices = "fp8|fp16",
        .source = "CSR: 8 bits, from memory"}},
      {"pursuit",
       &Params::pursuit,
       {.doc = "matching: what is left is told by the next atom; orthogonal: weights by least squares",
        .choices = "matching|orthogonal",
        .source = "CSR: matching pursuit, from memory"}},
      {"calibration",
       &Params::calibration,
       {.doc = "what `kvreplay calibrate --of dictionaries` found of a trace of the same model and KV heads; "
               "empty: each head has a dictionary of its prompt's rows",
        .is_path = true,
        .source = "CSR: dictionaries trained on other texts"}},
  };
}

const Registration<Codec, SparseCodes> registered;

}  // namespace
}  // namespace kvr
