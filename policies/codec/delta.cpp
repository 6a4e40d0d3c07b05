// Rows by what they have more than earlier rows like them, and of that by the share in a few directions:
//
//   references   the first `sinks` entries, then one in stride + floor(growth * place); stored as captured
//   base         mean of the `references` references before the row that are nearest to it by ||row - r||
//   z            A^T (row - base), A [width, rank]: directions of such residuals, of another trace
//                (`kvreplay calibrate --of residuals`) or of the prompt
//   row'         base + A z
//   blob         of a reference: the row in fp16
//                of another:     CRC-16 of the references' rows in fp16, then z, in fp16 or as int4 in groups
//   whole_layers rows are stored as captured
//
// A row refers to references alone, and these to nothing: decoding goes through one row. Where all references
// were removed the base is zero. As A is orthonormal, ||row - row'|| <= ||row - base||, but for the rounding
// of z.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

#include "policies/codec/delta_latents.hpp"
#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/calibration/basis_file.hpp"
#include "sim/interfaces/codec.hpp"
#include "sim/kernels/dot.hpp"
#include "sim/kernels/reference_search.hpp"

namespace kvr {
namespace {

constexpr double kBytes = 2.0;        // an element in fp16
constexpr std::int64_t kIdBytes = 4;  // which entry a row refers to

struct DeltaParams {
  std::int64_t stride = 10;
  double growth = 0.0;
  std::int64_t references = 1;
  std::int64_t sinks = 8;
  std::int64_t rank = -1;
  std::string latent = "fp16";
  std::int64_t tail = 128;
  std::string whole_layers = "none";
  std::string calibration;

  kernels::ReferenceGrid grid() const { return {sinks, stride, growth}; }
  bool four_bits() const { return latent == "int4"; }
};

/// Whether "0..3,8" has `layer`; InputError where it is neither that nor "none".
bool lists_layer(const std::string& list, std::int64_t layer) {
  bool has = false;
  std::string_view rest = list == "none" ? "" : std::string_view(list);
  const auto refuse = [&] {
    throw InputError(
        fmt::format("whole_layers: is no list of layers ({}); allowed: none, or numbers and ranges as in "
                    "0..3,8",
                    list));
  };
  const auto number = [&] {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (error != std::errc() || value < 0) {
      refuse();
    }
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    return value;
  };
  const auto skip = [&](std::string_view what) {
    const bool there = rest.starts_with(what);
    rest.remove_prefix(there ? what.size() : 0);
    return there;
  };
  if (list.empty()) {
    refuse();
  }
  while (!rest.empty()) {
    const std::int64_t first = number();
    const std::int64_t last = skip("..") ? number() : first;
    has = has || (layer >= first && layer <= last);
    if (!rest.empty() && (!skip(",") || rest.empty())) {
      refuse();
    }
  }
  return has;
}

class DeltaHead final : public HeadCodec {
 public:
  /// `basis` [width, rank]; empty: of the prompt.
  DeltaHead(const DeltaParams& params, const Codec::HeadContext& context, bool whole,
            std::vector<float> basis)
      : params_(params),
        width_(context.width),
        whole_(whole),
        counts_basis_(basis.empty() || context.head.sequence == 0),
        calibrated_(!basis.empty()),
        latents_(params.rank, params.four_bits()),
        basis_(std::move(basis)),
        search_(context.width) {}

  void fit(const PromptRows& prompt, Work& work) override {
    if (whole_ || calibrated_ || params_.rank == 0) {
      return;
    }
    kernels::RowProducts products(width_);
    kernels::add_residuals(prompt.rows, prompt.live, params_.grid(), params_.references, products);
    basis_ = products.directions(params_.rank, false).basis;
    for (float& element : basis_) {
      element = to_float(to_half(element));  // as a calibration has it
    }
    const auto w = static_cast<double>(width_);
    const auto n = static_cast<double>(prompt.live.size());
    const double searched = n * n / (2.0 * static_cast<double>(params_.stride));
    work += {n * w * w + 9.0 * w * w * w + 3.0 * searched * w, kBytes * (n + searched) * w};
  }

  std::int64_t bytes_at(EntryIndex entry) const override {
    return stored_whole(entry) ? raw_bytes() : latents_.bytes();
  }

  void encode(std::span<const float> row, const KnownRows& known, StoredRow& stored, Work& work) override {
    const auto entry = static_cast<EntryIndex>(known.rows.rows);
    if (stored_whole(entry)) {
      append_halves(row, stored.blob);
      return;
    }
    take_references(known);
    stored.references = search_.nearest(row, params_.references, known.live);
    std::vector<float> rows(stored.references.size() * row.size());
    const auto references = matrix_ref<float>(rows.data(), std::ssize(stored.references), width_);
    for (std::int64_t i = 0; i < references.rows; ++i) {
      to_float(known.rows.row(stored.references[static_cast<std::size_t>(i)]), references.row(i));
    }
    std::vector<float> rest(row.begin(), row.end());
    kernels::subtract_mean(references.view(), rest);
    std::vector<float> latents(static_cast<std::size_t>(params_.rank));
    kernels::multiply(matrix_view<float>(rest.data(), 1, width_), basis(),
                      matrix_ref<float>(latents.data(), 1, params_.rank));
    latents_.write(check_sum(references.view()), latents, stored.blob);
    referring_ += references.rows;
    const auto w = static_cast<double>(width_);
    const auto r = static_cast<double>(params_.rank);
    const auto searched = static_cast<double>(search_.size());
    work += {3.0 * searched * w + 2.0 * w * r, kBytes * (searched * w + w + w * r + r)};
  }

  void decode(std::span<const std::byte> blob, const MatrixView<float>& references,
              std::span<float> row) const override {
    if (std::ssize(blob) == raw_bytes()) {
      read_halves(blob, row);
      return;
    }
    const std::vector<float> latents = latents_.read(blob, references);
    for (std::int64_t channel = 0; channel < width_; ++channel) {
      row[static_cast<std::size_t>(channel)] = kernels::dot(basis().row(channel), latents);
    }
    kernels::add_mean(references, row);
    stay_in_half_range(row);
  }

  /// The directions, which serve all sequences where they were calibrated, and which entries rows refer to.
  std::int64_t dram_bytes() const override {
    return (counts_basis_ ? 2 * std::ssize(basis_) : 0) + kIdBytes * referring_;
  }

 private:
  MatrixView<float> basis() const { return matrix_view<float>(basis_.data(), width_, params_.rank); }
  std::int64_t raw_bytes() const { return 2 * width_; }
  bool stored_whole(EntryIndex entry) const { return whole_ || params_.grid().contains(entry); }

  /// Those of the known rows that have come since the last call.
  void take_references(const KnownRows& known) {
    std::vector<float> row(static_cast<std::size_t>(width_));
    for (EntryIndex entry = next_; entry < known.rows.rows; ++entry) {
      if (params_.grid().contains(entry) && known.live.contains(entry)) {
        to_float(known.rows.row(entry), row);
        search_.add(entry, row);
      }
    }
    next_ = static_cast<EntryIndex>(known.rows.rows);
  }

  DeltaParams params_;
  std::int64_t width_;
  bool whole_;
  bool counts_basis_;
  bool calibrated_;
  Latents latents_;
  std::vector<float> basis_;  // [width, rank]
  kernels::ReferenceSearch search_;
  EntryIndex next_ = 0;
  std::int64_t referring_ = 0;
};

class Delta final : public Codec {
 public:
  static constexpr std::string_view kName = "delta";
  static constexpr std::string_view kDoc =
      "A row's share in a few directions of what it has more than earlier rows like it, which every few "
      "entries are stored whole; keys before their rotary embedding.";
  static constexpr std::string_view kSource =
      "DeltaKV, 2026 (Sparse-vLLM): joint, heads together; principal directions in place of its trained "
      "networks";

  using Params = DeltaParams;
  static ParamTable<Params> params();

  Delta(Params params, const Context& context) : params_(std::move(params)), head_dim_(context.head_dim) {
    lists_layer(params_.whole_layers, 0);
  }

  std::int64_t row_bytes(std::int64_t width) const override {
    return std::max(2 * width, latents(width).bytes());
  }
  bool sizes_vary() const override { return true; }
  bool sized_by_place() const override { return true; }
  bool before_rotation() const override { return true; }
  bool lossless() const override { return false; }
  std::int64_t reference_depth() const override { return 1; }
  std::int64_t tail() const override { return params_.tail; }
  Work decode_work(std::int64_t width) const override {
    const auto w = static_cast<double>(width);
    const auto r = static_cast<double>(rank_of(width));
    const auto k = static_cast<double>(params_.references);
    return {2.0 * w * r + k * w, kBytes * (r + w * (k + 1.0))};
  }

  std::unique_ptr<HeadCodec> of_head(const HeadContext& context) const override {
    DeltaParams params = params_;
    params.rank = rank_of(context.width);
    if (params.rank > context.width) {
      throw InputError(fmt::format("rank: {} directions of {} elements; allowed: 0 to {}", params.rank,
                                   context.width, context.width));
    }
    if (latents(context.width).bytes() == 2 * context.width) {
      throw InputError(
          fmt::format("rank: a residual takes {} bytes, as a row that is stored whole; allowed: another rank",
                      2 * context.width));
    }
    const bool whole = lists_layer(params.whole_layers, context.layer_number);
    return std::make_unique<DeltaHead>(params, context, whole,
                                       whole ? std::vector<float>{} : calibration(params, context));
  }

 private:
  static constexpr std::int64_t kDefaultShare = 16;  // elements for each direction

  std::int64_t rank_of(std::int64_t width) const {
    return params_.rank >= 0 ? params_.rank : (width + kDefaultShare - 1) / kDefaultShare;
  }
  Latents latents(std::int64_t width) const { return {rank_of(width), params_.four_bits()}; }

  /// Empty where none is named.
  std::vector<float> calibration(const DeltaParams& params, const HeadContext& context) const {
    if (params.calibration.empty() || params.rank == 0) {
      return {};
    }
    const bool together = context.width != 2 * head_dim_ || context.kv_heads.size() == 1;
    const KeyBasis found = read_named_basis("calibration", params.calibration,
                                            {.kind = BasisKind::residuals,
                                             .model = context.model_name,
                                             .kv_heads = context.kv_heads,
                                             .layer = context.layer_number,
                                             .set = together ? 0 : context.head.head,
                                             .width = context.width,
                                             .rank = params.rank});
    std::vector<float> basis(found.basis.size());
    to_float(found.basis, basis);
    return basis;
  }

  Params params_;
  std::int64_t head_dim_;
};

ParamTable<DeltaParams> Delta::params() {
  return {
      {"stride",
       &Params::stride,
       {.doc = "entries from one that is stored whole, to be referred to, to the next",
        .unit = "entries",
        .min = 1,
        .max = bounds::kEntries,
        .source = "DeltaKV's code: 10"}},
      {"growth",
       &Params::growth,
       {.doc = "by how much the stride grows with each entry, rounded down",
        .min = 0,
        .max = 1,
        .source = "DeltaKV's code: stride base + alpha * position"}},
      {"references",
       &Params::references,
       {.doc = "the nearest so many, whose mean a row is told from",
        .min = 1,
        .max = 64,
        .source = "DeltaKV's code: 1"}},
      {"sinks",
       &Params::sinks,
       {.doc = "first entries, stored whole and referred to",
        .unit = "entries",
        .min = 0,
        .max = bounds::kEntries,
        .source = "DeltaKV's code: 8"}},
      {"rank",
       &Params::rank,
       {.doc = "directions, no more than elements of a row; 0: the references' mean alone; -1: one for "
               "sixteen elements, rounded up",
        .min = -1,
        .max = 1 << 20,
        .source = "DeltaKV's code: 128 of 2048"}},
      {"latent",
       &Params::latent,
       {.doc = "fp16: two bytes a direction; int4: half a byte, and a scale for each 32",
        .choices = "fp16|int4",
        .source = "DeltaKV's code: fp16, 4 bits as an option"}},
      {"tail",
       &Params::tail,
       {.doc = "newest entries, as captured",
        .unit = "entries",
        .min = 0,
        .max = bounds::kEntries,
        .source = "DeltaKV's code: 128 to 256, coded by 128; here always so many"}},
      {"whole_layers",
       &Params::whole_layers,
       {.doc =
            "layers of the model whose rows are all stored whole: none, or numbers and ranges as in 0..3,8",
        .source = "DeltaKV's code: 0..3,8,16,22"}},
      {"calibration",
       &Params::calibration,
       {.doc = "what `kvreplay calibrate --of residuals` found of a trace of the same model and KV heads; "
               "empty: the directions are those of the prompt's residuals",
        .is_path = true,
        .source = "DeltaKV: networks trained on other texts"}},
  };
}

const Registration<Codec, Delta> registered;

}  // namespace
}  // namespace kvr
