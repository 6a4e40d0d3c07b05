#include "sim/calibration/basis_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/base/files/new_file.hpp"
#include "sim/base/hdf5.hpp"
#include "sim/base/sha256.hpp"

namespace kvr {
namespace {

constexpr std::int64_t kVersion = 2;  // 1 did not say which KV heads it is of
constexpr hsize_t kMostColumns = 1 << 16;
constexpr hsize_t kMostElements = hsize_t{1} << 28;  // of a layer's bases: 512 MiB
constexpr std::string_view kDigest = "sha256";

/// The format's name.
std::string_view format_of(BasisKind kind) {
  switch (kind) {
    case BasisKind::keys:
      return "kvreplay key basis";
    case BasisKind::residuals:
      return "kvreplay residual basis";
    case BasisKind::dictionaries:
      return "kvreplay dictionaries";
  }
  throw InternalError("no such kind of basis");
}

std::string path_of(std::int64_t layer, std::string_view name) {
  return fmt::format("layers/{}/{}", layer, name);
}

template <class T>
std::string digest_of(std::span<const T> values) {
  Sha256 sha256;
  sha256.update(std::as_bytes(values));
  return sha256.hex();
}

/// One plane of a dataset [sets, ...], of `count` numbers in rows of `shape`.
template <class T>
void write_sets(hid_t file, const std::string& path, hid_t type, const std::vector<KeyBasis>& sets,
                const hdf5::Shape& shape, std::vector<T> KeyBasis::*values) {
  hdf5::Shape all(shape.size() + 1, sets.size());
  std::ranges::copy(shape, all.begin() + 1);
  const hdf5::Handle dataset = hdf5::create_dataset(file, path, type, all, {});
  std::vector<T> whole;
  for (std::size_t set = 0; set < sets.size(); ++set) {
    hdf5::Shape begin(all.size(), 0);
    begin.front() = set;
    hdf5::Shape count = all;
    count.front() = 1;
    hdf5::write_block(dataset.get(), type, begin, count, (sets[set].*values).data());
    whole.insert(whole.end(), (sets[set].*values).begin(), (sets[set].*values).end());
  }
  hdf5::write_string(dataset.get(), std::string(kDigest), digest_of<T>(whole));
}

void check_format(const hdf5::Handle& file, BasisKind wanted, const std::filesystem::path& path) {
  const std::string format =
      hdf5::has_attribute(file.get(), "format") ? hdf5::read_string(file.get(), "format") : "";
  const std::array kinds{BasisKind::keys, BasisKind::residuals, BasisKind::dictionaries};
  if (std::ranges::find(kinds, format, format_of) == kinds.end()) {
    throw InputError(
        fmt::format("{}: is no calibration; allowed: a file that kvreplay calibrate wrote", path.string()));
  }
  if (format != format_of(wanted)) {
    throw InputError(fmt::format("{}: is a {}; allowed: a {}, see kvreplay calibrate --of", path.string(),
                                 format, format_of(wanted)));
  }
  if (const std::int64_t version = hdf5::read_int(file.get(), "version"); version != kVersion) {
    throw InputError(fmt::format("{}: is of version {}; allowed: {}", path.string(), version, kVersion));
  }
}

/// Directions mean nothing for other keys, even where the numbers of channels agree.
void check_origin(const hdf5::Handle& file, const BasisWanted& wanted, const std::filesystem::path& path) {
  std::vector<std::string> problems;
  if (const std::string model = hdf5::read_string(file.get(), "model"); model != wanted.model) {
    problems.push_back(fmt::format(
        "{}: is of the model '{}', and the trace of '{}'; allowed: a calibration of the trace's model",
        path.string(), model, wanted.model));
  }
  const std::vector<std::int64_t> heads = hdf5::read_ints(file.get(), "kv_heads");
  if (!std::ranges::equal(heads, wanted.kv_heads)) {
    problems.push_back(
        fmt::format("{}: is of the KV heads {} of each layer, and the trace has {}; allowed: a calibration "
                    "of the same KV heads",
                    path.string(), fmt::join(heads, ", "), fmt::join(wanted.kv_heads, ", ")));
  }
  if (!problems.empty()) {
    throw InputError(std::move(problems));
  }
}

/// The shape of the layer's bases, checked against what is asked.
hdf5::Shape check_shape(hid_t dataset, const BasisWanted& wanted, const std::filesystem::path& path) {
  const hdf5::Shape shape = hdf5::shape_of(dataset);
  const bool more = wanted.kind == BasisKind::dictionaries;  // atoms than channels
  const bool sound = shape.size() == 3 && shape[0] > 0 && shape[2] > 0 && shape[1] <= kMostColumns &&
                     shape[2] <= (more ? kMostColumns : shape[1]) &&
                     shape[0] <= kMostElements / (shape[1] * shape[2]);
  if (!sound || !hdf5::has_type(dataset, hdf5::half_type())) {
    throw InputError(fmt::format(
        "{}: layer {}: bases of {} and shape [{}]; allowed: float16 [sets, channels, columns]", path.string(),
        wanted.layer, hdf5::type_name_of_dataset(dataset), fmt::join(shape, ", ")));
  }
  if (shape[1] != static_cast<hsize_t>(wanted.width) || shape[0] <= static_cast<hsize_t>(wanted.set)) {
    throw InputError(
        fmt::format("{}: layer {} has bases for {} sets of heads of {} channels, and that of set {} of {} "
                    "channels is asked "
                    "for; allowed: a calibration of the same model, with --heads as the system has them",
                    path.string(), wanted.layer, shape[0], shape[1], wanted.set, wanted.width));
  }
  if (more && shape[2] != static_cast<hsize_t>(wanted.rank)) {
    throw InputError(
        fmt::format("{}: layer {} has {} atoms, and {} are asked for; allowed: as many as it has",
                    path.string(), wanted.layer, shape[2], wanted.rank));
  }
  if (shape[2] < static_cast<hsize_t>(wanted.rank)) {
    throw InputError(
        fmt::format("{}: layer {} has {} columns, and {} are asked for; allowed: a rank of 1 to {}",
                    path.string(), wanted.layer, shape[2], wanted.rank, shape[2]));
  }
  return shape;
}

/// Every column has the length 1, up to the rounding of its elements; what is no number has none.
void check_directions(const KeyBasis& found, const BasisWanted& wanted, const std::filesystem::path& path) {
  constexpr double kRounding = 0.01;
  for (std::int64_t column = 0; column < found.rank; ++column) {
    double squares = 0.0;
    for (std::int64_t channel = 0; channel < found.width; ++channel) {
      const auto element =
          static_cast<double>(to_float(found.basis[static_cast<std::size_t>(channel * found.rank + column)]));
      squares += element * element;
    }
    if (!(std::abs(squares - 1.0) <= kRounding)) {
      throw InputError(fmt::format(
          "{}: layer {}, set {}: column {} is no direction, its squares sum to {:.3g}; allowed: 1",
          path.string(), wanted.layer, wanted.set, column, squares));
    }
  }
}

}  // namespace

void BasisFile::write(const std::filesystem::path& path) const {
  NewFile target(path);
  hdf5::Handle file = hdf5::create_file(target.temporary());
  hdf5::write_string(file.get(), "format", format_of(kind));
  hdf5::write_int(file.get(), "version", kVersion);
  hdf5::write_string(file.get(), "model", model);
  hdf5::write_string(file.get(), "source_sha256", source);
  hdf5::write_int(file.get(), "rows", rows);
  hdf5::write_string(file.get(), "heads", together ? "together" : "each");
  hdf5::write_ints(file.get(), "kv_heads", kv_heads);
  hdf5::write_int(file.get(), "centred", centred ? 1 : 0);
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    const std::vector<KeyBasis>& sets = bases[layer];
    const auto width = static_cast<hsize_t>(sets.front().width);
    const auto rank = static_cast<hsize_t>(sets.front().rank);
    const auto at = [&](std::string_view name) { return path_of(layers[layer], name); };
    write_sets(file.get(), at("basis"), hdf5::half_type(), sets, {width, rank}, &KeyBasis::basis);
    write_sets(file.get(), at("energy"), H5T_NATIVE_FLOAT, sets, {rank}, &KeyBasis::energy);
  }
  hdf5::close_file(file);
  target.commit();
}

KeyBasis read_basis(const std::filesystem::path& path, const BasisWanted& wanted) {
  const hdf5::Handle file = hdf5::open_file(path);
  check_format(file, wanted.kind, path);
  check_origin(file, wanted, path);
  const std::string at = path_of(wanted.layer, "basis");
  if (!hdf5::has_dataset(file.get(), at)) {
    throw InputError(fmt::format("{}: has nothing of layer {}; allowed: a calibration of a trace that has it",
                                 path.string(), wanted.layer));
  }
  const hdf5::Handle dataset = hdf5::open_dataset(file.get(), at);
  const hdf5::Shape shape = check_shape(dataset.get(), wanted, path);
  std::vector<Half> all(shape[0] * shape[1] * shape[2]);
  hdf5::read_block(dataset.get(), hdf5::half_type(), {0, 0, 0}, shape, all.data());
  if (!hdf5::has_attribute(dataset.get(), std::string(kDigest)) ||
      hdf5::read_string(dataset.get(), std::string(kDigest)) != digest_of<Half>(all)) {
    throw InputError(
        fmt::format("{}: layer {}: its bases are not those that were written; damaged, or changed",
                    path.string(), wanted.layer));
  }
  KeyBasis found{.width = wanted.width, .rank = wanted.rank, .basis = {}, .energy = {}};
  for (std::int64_t channel = 0; channel < wanted.width; ++channel) {
    const auto row =
        all.begin() + (wanted.set * wanted.width + channel) * static_cast<std::int64_t>(shape[2]);
    found.basis.insert(found.basis.end(), row, row + wanted.rank);
  }
  check_directions(found, wanted, path);
  return found;
}

KeyBasis read_named_basis(std::string_view parameter, const std::filesystem::path& path,
                          const BasisWanted& wanted) {
  try {
    return read_basis(path, wanted);
  } catch (const InputError& error) {
    std::vector<std::string> problems;
    for (const std::string& problem : error.problems()) {
      problems.push_back(fmt::format("{}: {}", parameter, problem));
    }
    throw InputError(std::move(problems));
  }
}

}  // namespace kvr
