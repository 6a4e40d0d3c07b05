#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "sim/base/half.hpp"
#include "traces/header.hpp"

namespace kvr::trace {

/// Classes of tokens are numbers from 0 to this.
constexpr std::uint8_t kLastTokenClass = 2;

/// An open kvtrace file.
///
/// The constructor checks everything but the bulk of the data: format, version, header, shapes, types and
/// query positions (`validate` in traces/validate.hpp reads the rest). `layer` counts the captured layers
/// and `head` the captured heads of the field: KV heads for keys and values, query heads for queries.
/// Indices out of range, absent fields and wrong span sizes are bugs of the caller (InternalError); data that
/// cannot be read is an InputError. The HDF5 library is not thread-safe: all readers and writers of a process
/// must be used from one thread at a time, by const functions too.
class Reader {
 public:
  /// Throws InputError with every problem found.
  explicit Reader(const std::filesystem::path& path);
  ~Reader();
  Reader(Reader&&) noexcept;
  Reader& operator=(Reader&&) noexcept;

  const Header& header() const;
  /// int64 [Tq], strictly increasing; the last seq_len - prefill_len are the decode steps.
  const std::vector<std::int64_t>& query_positions() const;
  /// Turns of the conversation that the sequence is; 0: it is none, or does not say.
  std::int64_t turns() const;
  /// The row of the queries that belongs to `position`; the position must have one.
  std::int64_t query_row(std::int64_t position) const;

  bool has(Field field, std::int64_t layer) const;
  /// Heads and rows (positions or query positions) of a field.
  std::int64_t heads(Field field) const;
  std::int64_t rows(Field field) const;
  /// Rows [begin, end) of one head; `out`: [end - begin, head_dim].
  void read(Field field, std::int64_t layer, std::int64_t head, std::int64_t begin, std::int64_t end,
            std::span<Half> out) const;

  bool has_prompt_attention_sums(std::int64_t layer) const;
  /// Column sums of the prompt's causal attention of a query head; `out`: [prefill_len].
  void read_prompt_attention_sums(std::int64_t layer, std::int64_t head, std::span<float> out) const;

  bool has_wo_v_norm(std::int64_t layer) const;
  /// Norm of each entry's value after the output projection of a query head; `out`: [end - begin].
  void read_wo_v_norm(std::int64_t layer, std::int64_t head, std::int64_t begin, std::int64_t end,
                      std::span<float> out) const;

  /// Token ids of positions [begin, end).
  void read_tokens(std::int64_t begin, std::int64_t end, std::span<std::int32_t> out) const;

  bool has_token_classes() const;
  /// What tokens of positions [begin, end) are to their tokenizer: 0 other, 1 special, 2 punctuation.
  void read_token_classes(std::int64_t begin, std::int64_t end, std::span<std::uint8_t> out) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Streams one field of one head through a bounded buffer.
///
/// The buffer holds one aligned block of rows; asking for a row outside it reads that row's block, so walking
/// forward reads every row once. Going back is allowed and costs a read. The reader must outlive the window.
class Window {
 public:
  static constexpr std::int64_t kDefaultRows = 1024;

  Window(const Reader& reader, Field field, std::int64_t layer, std::int64_t head,
         std::int64_t rows = kDefaultRows);

  /// Row i, [head_dim]; valid until a row outside [begin(), end()) is asked for.
  std::span<const Half> row(std::int64_t i);
  /// The rows now held, [begin, end).
  std::int64_t begin() const { return begin_; }
  std::int64_t end() const { return end_; }

 private:
  const Reader* reader_;
  Field field_;
  std::int64_t layer_;
  std::int64_t head_;
  std::int64_t capacity_;
  std::int64_t head_dim_;
  std::int64_t begin_ = 0;
  std::int64_t end_ = 0;
  std::vector<Half> buffer_;
};

}  // namespace kvr::trace
