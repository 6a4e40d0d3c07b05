#pragma once

#include <cstdint>
#include <span>

#include "sim/base/half.hpp"
#include "sim/base/matrix.hpp"

namespace kvr {

/// IEEE 754 binary16 -> binary32, exact for every value; a signalling NaN becomes quiet, payload kept.
float to_float(Half value);

/// IEEE 754 binary32 -> binary16, round to nearest even; overflow gives infinity, subnormals are kept,
/// NaN becomes quiet with the top bits of its payload.
Half to_half(float value);

/// As the scalar versions, element by element and bit for bit, with F16C where the CPU has it.
/// Both spans have the same length.
void to_float(std::span<const Half> from, std::span<float> to);
void to_half(std::span<const float> from, std::span<Half> to);

/// Row by row; both of the same shape.
void to_float(MatrixView<Half> from, MatrixRef<float> to);

/// Symmetric int8 of one row: code = round(x / scale) to nearest even, scale = max|x| / 127, so that codes
/// lie in [-127, 127]. A row of zeros has scale 0 and codes 0. Returns the scale. `row` finite, same length.
float quantise_int8(std::span<const float> row, std::span<std::int8_t> codes);

/// row[i] = scale * codes[i].
void dequantise_int8(std::span<const std::int8_t> codes, float scale, std::span<float> row);

}  // namespace kvr
