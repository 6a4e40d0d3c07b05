// validate: everything inspect() says of the structure, then one pass over every dataset.
//
//   for each dataset that is there with the right type and shape:
//     for each block of times, all heads:
//       hash the block in time-major order
//       note the first value that breaks the dataset's rule (finite; a token of the vocabulary; a class)
//     compare the hash with the checksum attribute
//   for each dataset under /truth: attributes and, of numbers, the checksum, in C order
//
// All of it in a process of its own (traces/rehearsal.hpp).
#include "traces/checks/validate.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/base/sha256.hpp"
#include "sim/base/stored/stored_array.hpp"
#include "traces/checks/inspect.hpp"
#include "traces/checks/rehearsal.hpp"
#include "traces/reader.hpp"

namespace kvr::trace {
namespace {

constexpr std::size_t kBlockBytes = std::size_t{4} << 20;
/// So many bytes once or twice fit what a rehearsal may take. A block that is no whole chunk high decodes its
/// chunks once more each.
constexpr std::size_t kMostBlockBytes = std::size_t{256} << 20;

/// Where in a dataset a value is.
struct Place {
  std::int64_t head;
  std::int64_t time;
  std::int64_t channel;
};

/// Counts the values that break a rule and keeps the first, in time-major order.
struct Offences {
  std::int64_t count = 0;
  Place first{};
  double value = 0.0;

  void add(const Place& place, double offending) {
    if (count++ == 0) {
      first = place;
      value = offending;
    }
  }
};

double value_at(Element element, const std::byte* bytes) {
  const auto load = [&](auto value) {
    std::memcpy(&value, bytes, sizeof(value));
    return value;
  };
  switch (element) {
    case Element::half:
      return static_cast<double>(to_float(load(Half{})));
    case Element::float32:
      return static_cast<double>(load(float{}));
    case Element::uint8:
      return static_cast<double>(load(std::uint8_t{}));
    case Element::int32:
      return static_cast<double>(load(std::int32_t{}));
    case Element::int64:
      return static_cast<double>(load(std::int64_t{}));
  }
  throw InternalError(fmt::format("no element has the number {}", static_cast<int>(element)));
}

void compare_checksum(hid_t dataset, const std::string& digest, std::vector<std::string>& problems) {
  std::vector<std::string> said_by_inspect;
  attempt(said_by_inspect, [&] {
    const std::string expected = hdf5::read_string(dataset, "checksum");
    if (is_checksum(expected) && expected != "sha256:" + digest) {
      problems.push_back(fmt::format("{}: the data hash to sha256:{}; expected {} as the attribute says",
                                     hdf5::where(dataset), digest, expected));
    }
  });
}

/// One pass over one dataset.
class Scan {
 public:
  Scan(const Inspection& trace, const DatasetSpec& spec)
      : trace_(trace),
        spec_(spec),
        array_(hdf5::open_dataset(trace.file.get(), spec.path)),
        row_bytes_(static_cast<std::size_t>(spec.width()) * bytes_of(spec.element)),
        is_tokens_(spec.path == "/tokens"),
        is_classes_(spec.path == "/token_class"),
        has_sums_(spec.path.ends_with("/prompt_attention_sums")),
        sums_(static_cast<std::size_t>(spec.heads()), 0.0) {}

  void run(std::vector<std::string>& problems) {
    const std::int64_t rows = rows_at_once();
    for (std::int64_t begin = 0; begin < spec_.length(); begin += rows) {
      take(begin, std::min(rows, spec_.length() - begin));
    }
    report(problems);
    compare_checksum(array_.dataset(), hash_.hex(), problems);
  }

 private:
  /// About a block of bytes, in whole chunks unless they are so many that they need more than a few blocks.
  std::int64_t rows_at_once() const {
    const std::size_t time_bytes = static_cast<std::size_t>(spec_.heads()) * row_bytes_;
    const std::size_t rows = std::max<std::size_t>(1, kBlockBytes / time_bytes);
    const std::size_t chunk = array_.chunk().empty() ? 1 : array_.chunk()[spec_.time_axis()];
    if (chunk > rows) {
      return static_cast<std::int64_t>(chunk <= kMostBlockBytes / time_bytes ? chunk : rows);
    }
    return static_cast<std::int64_t>(rows / chunk * chunk);
  }

  void take(std::int64_t begin, std::int64_t count) {
    hdf5::Shape first(spec_.axes.size(), 0);
    hdf5::Shape extent = array_.shape();
    first[spec_.time_axis()] = static_cast<hsize_t>(begin);
    extent[spec_.time_axis()] = static_cast<hsize_t>(count);
    const auto heads = static_cast<std::size_t>(spec_.heads());
    const auto n = static_cast<std::size_t>(count);
    stored_.resize(heads * n * row_bytes_);
    ordered_.resize(stored_.size());
    array_.read(first, extent, stored_);
    for (std::size_t time = 0; time < n; ++time) {
      for (std::size_t head = 0; head < heads; ++head) {
        const std::byte* row = &stored_[(head * n + time) * row_bytes_];
        std::memcpy(&ordered_[(time * heads + head) * row_bytes_], row, row_bytes_);
        if (has_sums_ || !is_good_row(row)) {
          look_at(row, static_cast<std::int64_t>(head), begin + static_cast<std::int64_t>(time));
        }
      }
    }
    hash_.update(ordered_);
  }

  /// What is_good() says of a row's values one by one, in little time.
  bool is_good_row(const std::byte* row) const {
    switch (spec_.element) {
      case Element::half:
        return is_finite_row<std::uint16_t>(row, 0x7C00);
      case Element::float32:
        return is_finite_row<std::uint32_t>(row, 0x7F80'0000);
      case Element::uint8:
        return !is_classes_ || is_good(value_at(spec_.element, row));
      case Element::int32:
        return !is_tokens_ || is_good(value_at(spec_.element, row));
      case Element::int64:
        return true;
    }
    return false;
  }

  /// Whether no value has all bits of the exponent set.
  template <class Bits>
  bool is_finite_row(const std::byte* row, Bits exponent) const {
    bool is_finite = true;
    for (std::int64_t channel = 0; channel < spec_.width(); ++channel) {
      Bits bits{};
      std::memcpy(&bits, row + static_cast<std::size_t>(channel) * sizeof(bits), sizeof(bits));
      is_finite &= (bits & exponent) != exponent;
    }
    return is_finite;
  }

  void look_at(const std::byte* row, std::int64_t head, std::int64_t time) {
    for (std::int64_t channel = 0; channel < spec_.width(); ++channel) {
      const double value =
          value_at(spec_.element, row + static_cast<std::size_t>(channel) * bytes_of(spec_.element));
      if (!is_good(value)) {
        offences_.add({head, time, channel}, value);
      }
      sums_[static_cast<std::size_t>(head)] += value;
    }
  }

  bool is_good(double value) const {
    if (is_tokens_) {
      return value >= 0 && value < static_cast<double>(trace_.header.geometry.vocab_size);
    }
    if (is_classes_) {
      return value <= static_cast<double>(kLastTokenClass);
    }
    return std::isfinite(value);
  }

  void report(std::vector<std::string>& problems) const {
    const std::string place = hdf5::where(array_.dataset());
    if (offences_.count > 0 && is_tokens_) {
      problems.push_back(fmt::format(
          "{}: {} token(s) outside the vocabulary, first {} at position {}; expected 0..{}", place,
          offences_.count, offences_.value, offences_.first.time, trace_.header.geometry.vocab_size - 1));
    } else if (offences_.count > 0 && is_classes_) {
      problems.push_back(fmt::format("{}: {} token(s) of no class, first {} at position {}; expected 0..{}",
                                     place, offences_.count, offences_.value, offences_.first.time,
                                     kLastTokenClass));
    } else if (offences_.count > 0) {
      const char* what = std::isnan(offences_.value) ? "NaN" : "infinity";
      problems.push_back(fmt::format("{}: {} value(s) not finite, first {} at {}; expected finite values",
                                     place, offences_.count, what, text_of(offences_.first)));
    } else if (has_sums_) {
      check_sums(place, problems);
    }
  }

  /// Each prompt query spreads a weight of 1, so a head's sums add up to prefill_len. The tolerance covers
  /// attention computed in half precision.
  void check_sums(const std::string& place, std::vector<std::string>& problems) const {
    constexpr double kTolerance = 0.01;
    const auto expected = static_cast<double>(trace_.header.prefill_len);
    for (std::size_t head = 0; head < sums_.size(); ++head) {
      if (std::abs(sums_[head] - expected) > kTolerance * expected) {
        problems.push_back(fmt::format("{}: head {} sums to {:.6g}; expected prefill_len {} (within 1%)",
                                       place, head, sums_[head], trace_.header.prefill_len));
      }
    }
  }

  /// "head 1, position 17, channel 3": the position, not the row, of a query.
  std::string text_of(const Place& place) const {
    const bool is_per_query = spec_.path.ends_with("queries");
    const std::int64_t first = is_per_query ? trace_.header.seq_len - spec_.length() : 0;
    const std::string text = fmt::format("head {}, position {}", place.head, first + place.time);
    return spec_.axes.size() == 3 ? fmt::format("{}, channel {}", text, place.channel) : text;
  }

  const Inspection& trace_;
  const DatasetSpec& spec_;
  hdf5::StoredArray array_;
  std::size_t row_bytes_;
  bool is_tokens_;
  bool is_classes_;
  bool has_sums_;
  Sha256 hash_;
  Offences offences_;
  /// Per head, of all its values; only where they must add up.
  std::vector<double> sums_;
  std::vector<std::byte> stored_;
  std::vector<std::byte> ordered_;
};

/// Extents of a part that is contiguous in C order: about a block, or more if its chunks are higher.
hdf5::Shape piece_of(const hdf5::StoredArray& array) {
  hdf5::Shape piece = array.shape();
  std::uint64_t bytes = array.value_count() * array.element_bytes();
  for (std::size_t axis = 0; axis < piece.size(); ++axis) {
    const std::uint64_t rest_bytes = bytes / piece[axis];
    const hsize_t chunk = array.chunk().empty() ? 1 : std::min(array.chunk()[axis], piece[axis]);
    const bool chunks_fit = chunk <= kMostBlockBytes / rest_bytes;
    const std::uint64_t most_bytes = chunks_fit ? kBlockBytes : kMostBlockBytes;
    const hsize_t fitting = std::max<hsize_t>(1, most_bytes / rest_bytes);
    piece[axis] = std::min(piece[axis], chunks_fit ? std::max(chunk, fitting / chunk * chunk) : fitting);
    bytes = piece[axis] * rest_bytes;
    if (bytes <= (chunk > 1 ? kMostBlockBytes : kBlockBytes)) {
      break;
    }
  }
  return piece;
}

/// Moves `begin` to the next piece in C order; false after the last.
bool advance(hdf5::Shape& begin, const hdf5::Shape& piece, const hdf5::Shape& shape) {
  for (std::size_t axis = begin.size(); axis-- > 0;) {
    begin[axis] += piece[axis];
    if (begin[axis] < shape[axis]) {
      return true;
    }
    begin[axis] = 0;
  }
  return false;
}

/// SHA-256 of a dataset of numbers in C order, read in pieces.
std::string hash_in_c_order(const hdf5::StoredArray& array) {
  Sha256 hash;
  if (array.value_count() == 0) {
    return hash.hex();
  }
  const hdf5::Shape piece = piece_of(array);
  hdf5::Shape begin(piece.size(), 0);
  std::vector<std::byte> bytes;
  do {
    hdf5::Shape count = piece;
    std::size_t size = array.element_bytes();
    for (std::size_t axis = 0; axis < piece.size(); ++axis) {
      count[axis] = std::min(piece[axis], array.shape()[axis] - begin[axis]);
      size *= count[axis];
    }
    bytes.resize(size);
    array.read(begin, count, bytes);
    hash.update(bytes);
  } while (advance(begin, piece, array.shape()));
  return hash.hex();
}

/// /truth may hold anything; what holds of every dataset holds of its datasets too.
void check_truth(hid_t file, const std::string& path, std::vector<std::string>& problems) {
  const hdf5::StoredArray array(hdf5::open_dataset(file, path));
  check_dataset_attributes(array.dataset(), nullptr, problems);
  if (hdf5::is_numeric(array.dataset())) {
    compare_checksum(array.dataset(), hash_in_c_order(array), problems);
  }
}

Validation look_at(const std::filesystem::path& path) {
  Inspection trace = inspect(path);
  Validation result{{}, trace.problems.empty()};
  for (const DatasetSpec& spec : trace.sound) {
    attempt(trace.problems, [&] { Scan(trace, spec).run(trace.problems); });
  }
  for (const std::string& dataset : trace.stored) {
    if (dataset == "/truth" || dataset.starts_with("/truth/")) {
      attempt(trace.problems, [&] { check_truth(trace.file.get(), dataset, trace.problems); });
    }
  }
  result.problems = bounded(std::move(trace.problems));
  return result;
}

}  // namespace

Validation examine(const std::filesystem::path& path) {
  try {
    const std::string opens = "opens";
    Lines lines = rehearse(path, limits_for(path), [&] {
      Validation result = look_at(path);
      result.problems.insert(result.problems.begin(), result.opens ? opens : "");
      return std::move(result.problems);
    });
    const bool is_sound = lines.front() == opens;
    lines.erase(lines.begin());
    return {std::move(lines), is_sound};
  } catch (const InputError& error) {
    return {error.problems(), false};
  }
}

std::vector<std::string> validate(const std::filesystem::path& path) {
  return examine(path).problems;
}

}  // namespace kvr::trace
