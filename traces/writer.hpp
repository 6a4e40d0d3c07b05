#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sim/base/half.hpp"
#include "traces/header.hpp"

namespace kvr::trace {

/// Writes a kvtrace file in one pass along time, in memory bounded by one chunk per head.
///
/// Every `append` takes whole time points, time outermost: [n, heads, head_dim] with n >= 0, in order. The
/// datasets are independent of each other; `finish` checks that each one is complete. The file has a
/// temporary name in the folder of `path` until `finish` renames it; if the writer dies before, the temporary
/// is removed. Not thread-safe (see Reader).
class Writer {
 public:
  /// Throws InputError if the header or the positions contradict themselves, SystemError if the file cannot
  /// be made.
  Writer(const std::filesystem::path& path, const Header& header,
         const std::vector<std::int64_t>& query_positions);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void append_tokens(std::span<const std::int32_t> tokens);
  /// Of each token, as Reader has them; the first append creates the dataset.
  void append_token_classes(std::span<const std::uint8_t> classes);
  /// `layer` counts the captured layers. The first append of a field creates its dataset.
  void append(Field field, std::int64_t layer, std::span<const Half> rows);
  /// [n, query heads]; n adds up to prefill_len.
  void append_prompt_attention_sums(std::int64_t layer, std::span<const float> rows);
  /// [n, query heads]; n adds up to seq_len.
  void append_wo_v_norm(std::int64_t layer, std::span<const float> rows);

  /// Makes /truth/`name`, int32 [heads, length], to be filled by append_truth with [n, heads].
  void declare_truth(const std::string& name, std::int64_t heads, std::int64_t length,
                     const std::string& long_name);
  void append_truth(const std::string& name, std::span<const std::int32_t> rows);

  /// Completes the file and gives it its name. InternalError if a dataset lacks rows.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kvr::trace
