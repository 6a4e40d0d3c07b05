#include "sim/calibration/basis_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "sim/base/error.hpp"
#include "sim/base/files/new_file.hpp"
#include "sim/base/hdf5.hpp"

namespace kvr {
namespace {

constexpr std::string_view kFormat = "kvreplay key basis";
constexpr std::int64_t kVersion = 1;
constexpr hsize_t kMostColumns = 1 << 16;

std::string path_of(std::int64_t layer, std::string_view name) {
  return fmt::format("layers/{}/{}", layer, name);
}

/// One plane of a dataset [sets, ...], of `count` numbers in rows of `shape`.
template <class T>
void write_sets(hid_t file, const std::string& path, hid_t type, const std::vector<KeyBasis>& sets,
                const hdf5::Shape& shape, std::vector<T> KeyBasis::*values) {
  hdf5::Shape all(shape.size() + 1, sets.size());
  std::ranges::copy(shape, all.begin() + 1);
  const hdf5::Handle dataset = hdf5::create_dataset(file, path, type, all, {});
  for (std::size_t set = 0; set < sets.size(); ++set) {
    hdf5::Shape begin(all.size(), 0);
    begin.front() = set;
    hdf5::Shape count = all;
    count.front() = 1;
    hdf5::write_block(dataset.get(), type, begin, count, (sets[set].*values).data());
  }
}

void check_format(const hdf5::Handle& file, const std::filesystem::path& path) {
  if (!hdf5::has_attribute(file.get(), "format") || hdf5::read_string(file.get(), "format") != kFormat) {
    throw InputError(
        fmt::format("{}: is no calibration; allowed: a file that kvreplay calibrate wrote", path.string()));
  }
  if (const std::int64_t version = hdf5::read_int(file.get(), "version"); version != kVersion) {
    throw InputError(fmt::format("{}: is of version {}; allowed: {}", path.string(), version, kVersion));
  }
}

/// The shape of the layer's bases, checked against what is asked.
hdf5::Shape check_shape(hid_t dataset, const BasisWanted& wanted, const std::filesystem::path& path) {
  const hdf5::Shape shape = hdf5::shape_of(dataset);
  if (shape.size() != 3 || shape[1] > kMostColumns || shape[2] > shape[1] || shape[2] == 0) {
    throw InputError(fmt::format("{}: layer {}: bases of shape [{}]; allowed: [sets, channels, columns]",
                                 path.string(), wanted.layer, fmt::join(shape, ", ")));
  }
  if (shape[1] != static_cast<hsize_t>(wanted.width) || shape[0] <= static_cast<hsize_t>(wanted.set)) {
    throw InputError(
        fmt::format("{}: layer {} has bases for {} sets of heads of {} channels, and that of set {} of {} "
                    "channels is asked "
                    "for; allowed: a calibration of the same model, with --heads as the system has them",
                    path.string(), wanted.layer, shape[0], shape[1], wanted.set, wanted.width));
  }
  if (shape[2] < static_cast<hsize_t>(wanted.rank)) {
    throw InputError(
        fmt::format("{}: layer {} has {} columns, and {} are asked for; allowed: a rank of 1 to {}",
                    path.string(), wanted.layer, shape[2], wanted.rank, shape[2]));
  }
  return shape;
}

}  // namespace

void BasisFile::write(const std::filesystem::path& path) const {
  NewFile target(path);
  hdf5::Handle file = hdf5::create_file(target.temporary());
  hdf5::write_string(file.get(), "format", kFormat);
  hdf5::write_int(file.get(), "version", kVersion);
  hdf5::write_string(file.get(), "model", model);
  hdf5::write_string(file.get(), "source_sha256", source);
  hdf5::write_int(file.get(), "rows", rows);
  hdf5::write_string(file.get(), "heads", together ? "together" : "each");
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
  check_format(file, path);
  const std::string at = path_of(wanted.layer, "basis");
  if (!hdf5::has_dataset(file.get(), at)) {
    throw InputError(fmt::format("{}: has nothing of layer {}; allowed: a calibration of a trace that has it",
                                 path.string(), wanted.layer));
  }
  const hdf5::Handle dataset = hdf5::open_dataset(file.get(), at);
  check_shape(dataset.get(), wanted, path);
  KeyBasis found{.width = wanted.width, .rank = wanted.rank, .basis = {}, .energy = {}};
  const auto width = static_cast<hsize_t>(wanted.width);
  const auto rank = static_cast<hsize_t>(wanted.rank);
  const auto set = static_cast<hsize_t>(wanted.set);
  found.basis.resize(width * rank);
  hdf5::read_block(dataset.get(), hdf5::half_type(), {set, 0, 0}, {1, width, rank}, found.basis.data());
  found.energy.resize(rank);
  hdf5::read_block(hdf5::open_dataset(file.get(), path_of(wanted.layer, "energy")).get(), H5T_NATIVE_FLOAT,
                   {set, 0}, {1, rank}, found.energy.data());
  return found;
}

}  // namespace kvr
