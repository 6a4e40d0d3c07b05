#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/half.hpp"

namespace kvr {

/// What directions are of.
enum class BasisKind {
  keys,         ///< as attention meets them
  residuals,    ///< of keys before their rotary embedding and values side by side, beside earlier such rows
  dictionaries  ///< atoms of keys before their rotary embedding, set 0, and of values, set 1, of all heads
};

/// What rows of a model are told by: of one set of KV heads of one layer.
struct KeyBasis {
  std::int64_t width = 0;     ///< channels of a row
  std::int64_t rank = 0;      ///< columns
  std::vector<Half> basis;    ///< [width, rank], the direction of the largest energy first
  std::vector<float> energy;  ///< [rank]: share of the sum of squares that the direction has; of an atom 0
};

/// Bases of a model's rows, found once and used by every run. In the file, which is HDF5, `layers/N/basis` is
/// float16 [sets, width, rank], with the SHA-256 of its bytes as the attribute `sha256`, and
/// `layers/N/energy` float32 [sets, rank]; the rest are root attributes.
struct BasisFile {
  BasisKind kind = BasisKind::keys;
  std::string model;      ///< as the traces name it
  std::string source;     ///< SHA-256 of the traces that it was found from, separated by lines
  std::int64_t rows = 0;  ///< entries of each head that it was found from
  bool together = false;  ///< one basis for all KV heads of a layer side by side; else one for each
  bool centred = false;   ///< found from rows less their mean
  std::vector<std::int64_t> kv_heads;        ///< of the model, those that the traces have
  std::vector<std::int64_t> layers;          ///< of the model, ascending
  std::vector<std::vector<KeyBasis>> bases;  ///< [layers][sets]

  /// Throws SystemError if the disk fails. The file appears whole or not at all.
  void write(const std::filesystem::path& path) const;
};

/// What a policy asks a file for.
struct BasisWanted {
  BasisKind kind = BasisKind::keys;
  std::string_view model;                  ///< as the trace names it
  std::span<const std::int64_t> kv_heads;  ///< of the model, those that the trace has
  std::int64_t layer;                      ///< of the model
  std::int64_t set;                        ///< KV head of the layer; 0 where they decide together
  std::int64_t width;
  std::int64_t rank;  ///< so many columns; of directions the first, of a dictionary all
};

/// The first `wanted.rank` columns, without `energy`. Throws InputError, "FILE: what is wrong; what is
/// allowed", where it is no such file, is of another model or other KV heads, is damaged or has no such
/// basis.
KeyBasis read_basis(const std::filesystem::path& path, const BasisWanted& wanted);
/// Likewise, of a parameter that names the file: what is thrown begins with it.
KeyBasis read_named_basis(std::string_view parameter, const std::filesystem::path& path,
                          const BasisWanted& wanted);

}  // namespace kvr
