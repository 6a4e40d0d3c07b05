#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "sim/interfaces/entry_set.hpp"
#include "sim/interfaces/report.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// What is kept of one row.
struct StoredRow {
  std::vector<std::byte> blob;
  std::vector<EntryIndex> references;  ///< rows that `decode` needs beside the blob, none twice
};

/// What a row may be stored in terms of.
struct KnownRows {
  MatrixView<Half> rows;  ///< the entries before it, as they come back; of a removed one anything
  const EntrySet& live;   ///< of these, what may be referred to
};

/// What a codec may fit itself to when the prompt ends.
struct PromptRows {
  MatrixView<Half> rows;  ///< as captured
  const EntrySet& live;   ///< what no stage has removed
  /// Of keys whose codec asks for them, those of the last `prompt_window` positions: query heads of the group
  /// side by side, [positions * group, width].
  MatrixView<float> window_queries = {};
};

/// What of a head, or of all that decide together, lies in a row.
enum class RowsOf { keys, values, both };

/// The stored form of the rows of one plane: the keys or the values of one head, or both of all heads that
/// decide together. Entries come in ascending order, each once; removed ones do not.
///
/// What decoding takes is the state that `fit` left, the blob and the rows referred to, and nothing else:
/// what `encode` learns of a row is for later rows to be encoded alone. An entry refers to earlier ones that
/// are live; those may refer to others, as deep as Codec::reference_depth says. The engine reads a row with
/// all that it takes, and keeps what is removed until nothing needs it.
class HeadCodec {
 public:
  virtual ~HeadCodec() = default;

  /// Once, before the first row is stored.
  virtual void fit(const PromptRows& /*prompt*/, Work& /*work*/) {}
  /// `stored` is empty. The blob that it gets is as long as Codec::row_bytes and kept_bytes say.
  virtual void encode(std::span<const float> row, const KnownRows& known, StoredRow& stored, Work& work) = 0;
  /// `references` [stored.references.size(), width]: those rows, as they come back.
  virtual void decode(std::span<const std::byte> blob, const MatrixView<float>& references,
                      std::span<float> row) const = 0;
  /// Where Codec::sized_by_place, asked before the row is stored: how long its blob will be, `kept_bytes`
  /// apart.
  virtual std::int64_t bytes_at(EntryIndex /*entry*/) const { return 0; }
  /// DRAM for what decoding takes besides blobs and rows, `kept_bytes` apart: what `fit` left, and which
  /// entries refer to which.
  virtual std::int64_t dram_bytes() const { return 0; }
};

class RowCodec;

/// How rows are stored: K or V of an entry, or both together. One for all heads of a system; it makes what
/// keeps the state of each.
class Codec {
 public:
  static constexpr std::string_view kKind = "codec";
  struct Context {
    std::int64_t head_dim;
  };
  struct HeadContext {
    std::int64_t width;  ///< elements of a row
    HeadId head;         ///< the set of heads that decide together
    std::int64_t plane;  ///< which of that set's; a random stream is named after both
    std::uint64_t root_seed;
    RowsOf rows = RowsOf::both;                   ///< both: the keys of all heads, then their values
    std::int64_t layer_number = 0;                ///< of the model; `head.layer` counts what was captured
    std::string_view model_name = {};             ///< as the trace names it; for the call alone
    std::span<const std::int64_t> kv_heads = {};  ///< of the model, those captured; for the call alone
  };

  virtual ~Codec() = default;

  /// Bytes of one row of `width` elements on flash and in the cache, all that decoding needs included but
  /// what it refers to. Where sizes vary the most that a row may take; the least is a byte.
  virtual std::int64_t row_bytes(std::int64_t width) const = 0;
  /// Whether rows are stored in blobs of several lengths. Then `tail` is 0 unless `sized_by_place`, and not
  /// every layout will do: see Layout.
  virtual bool sizes_vary() const { return false; }
  /// Where sizes vary: whether an entry's place alone says how long its blob is (HeadCodec::bytes_at), so
  /// that it is known of the tail, whose entries have no blob yet.
  virtual bool sized_by_place() const { return false; }
  /// Of a codec with state: whether it is given keys as they were before their rotary embedding, which turns
  /// those of one token at two places apart; what it gives back is turned again.
  virtual bool before_rotation() const { return false; }
  /// Of a codec that stores no row for itself (`each_row`): bytes of each row that stay in DRAM and are never
  /// on flash, the last of its blob, besides `row_bytes`.
  virtual std::int64_t kept_bytes(std::int64_t /*width*/) const { return 0; }
  /// True when every fp16 row comes back as it was, so that the engine may skip both.
  virtual bool lossless() const = 0;
  /// See Report.
  virtual void report(Report& /*report*/) const {}
  /// Not null: each row is stored for itself, by that codec, as it comes and before policies see the prompt.
  /// Null: after stages have evicted at the prompt's end, and with `fit`; those stages see rows as captured.
  virtual const RowCodec* each_row() const { return nullptr; }
  /// Queries of so many last positions of the prompt that `fit` asks for. A codec that does stores keys, of
  /// one head: values meet no query.
  virtual std::int64_t prompt_window() const { return 0; }
  /// How many rows, each referred to by the one before, decoding goes through at most, besides the row
  /// itself.
  virtual std::int64_t reference_depth() const { return 0; }
  /// So many of the newest entries stay as captured, two bytes an element, in the first tier and unwritten.
  virtual std::int64_t tail() const { return 0; }
  /// What it takes to decode one row of `width` elements, its references being decoded.
  virtual Work decode_work(std::int64_t /*width*/) const { return {}; }

  virtual std::unique_ptr<HeadCodec> of_head(const HeadContext& context) const = 0;
};

/// A codec that stores each row for itself. Stateless once constructed; `encode` and `decode` are called from
/// several threads.
class RowCodec : public Codec {
 public:
  const RowCodec* each_row() const final { return this; }
  bool sizes_vary() const final { return false; }
  /// `row` [width] -> `blob` [row_bytes(width)].
  virtual void encode(std::span<const float> row, std::span<std::byte> blob) const = 0;
  virtual void decode(std::span<const std::byte> blob, std::span<float> row) const = 0;

  std::unique_ptr<HeadCodec> of_head(const HeadContext& context) const final;
};

namespace detail {

class EachRow final : public HeadCodec {
 public:
  /// `codec` must outlive it.
  explicit EachRow(const RowCodec& codec) : codec_(codec) {}

  void encode(std::span<const float> row, const KnownRows&, StoredRow& stored, Work&) override {
    stored.blob.resize(static_cast<std::size_t>(codec_.row_bytes(std::ssize(row))));
    codec_.encode(row, stored.blob);
  }
  void decode(std::span<const std::byte> blob, const MatrixView<float>&,
              std::span<float> row) const override {
    codec_.decode(blob, row);
  }

 private:
  const RowCodec& codec_;
};

}  // namespace detail

inline std::unique_ptr<HeadCodec> RowCodec::of_head(const HeadContext&) const {
  return std::make_unique<detail::EachRow>(*this);
}

}  // namespace kvr
