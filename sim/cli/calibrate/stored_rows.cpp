#include "sim/cli/calibrate/stored_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <span>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "sim/engine/heads/attention/rotary.hpp"
#include "sim/kernels/principal_directions.hpp"

namespace kvr {
namespace {

/// [tokens, head_dim] of one head.
std::vector<Half> rows_of(const CalibrationSource& source, trace::Field field, std::int64_t layer,
                          std::int64_t head) {
  const trace::Geometry& g = source.reader.header().geometry;
  std::vector<Half> rows(static_cast<std::size_t>(source.tokens * g.head_dim));
  source.reader.read(field, layer, head, 0, source.tokens, rows);
  return rows;
}

/// Keys as codecs that store them before their rotary embedding are given them.
void turn_back(const trace::Geometry& geometry, std::vector<Half>& keys) {
  const Rotary rotary(geometry);
  const auto d = static_cast<std::size_t>(geometry.head_dim);
  for (std::size_t token = 0; token * d < keys.size(); ++token) {
    const auto key = std::span(keys).subspan(token * d, d);
    rotary.move(key, rotary.turn(-static_cast<std::int64_t>(token)), key);
  }
}

std::vector<Half> plane_of(const CalibrationSource& source, trace::Field field, std::int64_t layer,
                           std::int64_t head) {
  std::vector<Half> rows = rows_of(source, field, layer, head);
  if (field == trace::Field::keys) {
    turn_back(source.reader.header().geometry, rows);
  }
  return rows;
}

KeyBasis basis_of(std::span<const float> elements, std::int64_t width, std::int64_t rank,
                  std::span<const double> energy) {
  KeyBasis basis{.width = width,
                 .rank = rank,
                 .basis = std::vector<Half>(elements.size()),
                 .energy = std::vector<float>(energy.begin(), energy.end())};
  to_half(elements, basis.basis);
  return basis;
}

}  // namespace

KeyBasis residual_basis(const std::vector<CalibrationSource>& sources, std::int64_t layer, std::int64_t first,
                        std::int64_t heads, std::int64_t rank, const ResidualPlan& plan) {
  const std::int64_t d = sources.front().reader.header().geometry.head_dim;
  const std::int64_t width = 2 * heads * d;
  kernels::RowProducts products(width);
  for (const CalibrationSource& source : sources) {
    std::vector<Half> rows(static_cast<std::size_t>(source.tokens * width));
    for (std::int64_t part = 0; part < 2 * heads; ++part) {
      const trace::Field field = part < heads ? trace::Field::keys : trace::Field::values;
      const std::vector<Half> own = plane_of(source, field, layer, first + part % heads);
      for (std::int64_t token = 0; token < source.tokens; ++token) {
        std::copy_n(own.begin() + token * d, d, rows.begin() + token * width + part * d);
      }
    }
    kernels::add_residuals(matrix_view<Half>(rows.data(), source.tokens, width),
                           EntrySet::first(source.tokens), plan.grid, plan.references, products);
  }
  const kernels::PrincipalDirections found = products.directions(rank, false);
  if (std::accumulate(found.energy.begin(), found.energy.end(), 0.0) <= 0.0) {
    throw InputError(
        fmt::format("captured layer {}, head {}: residuals are zero, so that they have no "
                    "direction",
                    layer, first));
  }
  return basis_of(found.basis, width, rank, found.energy);
}

std::vector<KeyBasis> layer_dictionaries(const std::vector<CalibrationSource>& sources, std::int64_t layer,
                                         const kernels::DictionaryPlan& plan, std::uint64_t seed) {
  const trace::Header& header = sources.front().reader.header();
  const std::int64_t d = header.geometry.head_dim;
  std::vector<KeyBasis> dictionaries;
  for (const trace::Field field : {trace::Field::keys, trace::Field::values}) {
    std::vector<float> rows;
    for (const CalibrationSource& source : sources) {
      for (std::int64_t head = 0; head < header.kv_heads_captured(); ++head) {
        const std::vector<Half> own = plane_of(source, field, layer, head);
        rows.resize(rows.size() + own.size());
        to_float(own, std::span(rows).last(own.size()));
      }
    }
    Rng rng = Rng::stream(seed, trace::name_of(field), static_cast<std::uint64_t>(layer));
    const std::vector<float> atoms =
        kernels::train_dictionary(matrix_view<float>(rows.data(), std::ssize(rows) / d, d), plan, rng);
    std::vector<float> columns(atoms.size());
    for (std::int64_t atom = 0; atom < plan.atoms; ++atom) {
      for (std::int64_t channel = 0; channel < d; ++channel) {
        columns[static_cast<std::size_t>(channel * plan.atoms + atom)] =
            atoms[static_cast<std::size_t>(atom * d + channel)];
      }
    }
    dictionaries.push_back(
        basis_of(columns, d, plan.atoms, std::vector<double>(static_cast<std::size_t>(plan.atoms))));
  }
  return dictionaries;
}

}  // namespace kvr
