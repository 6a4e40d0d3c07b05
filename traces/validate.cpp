// validate: everything inspect() says of the structure, then one pass over every dataset.
//
//   for each dataset that is there with the right type and shape:
//     for each block of times, all heads:
//       hash the block in time-major order
//       note the first value that breaks the dataset's rule (finite; a token of the vocabulary)
//     compare the hash with the checksum attribute
//   for each dataset under /truth: attributes and checksum, in C order
#include "traces/validate.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "sim/error.hpp"
#include "sim/kernels/convert.hpp"
#include "traces/inspect.hpp"
#include "traces/sha256.hpp"

namespace kvr::trace {
namespace {

constexpr std::size_t kBlockBytes = std::size_t{4} << 20;

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
      return static_cast<double>(kernels::to_float(load(Half{})));
    case Element::float32:
      return static_cast<double>(load(float{}));
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
        dataset_(hdf5::open_dataset(trace.file.get(), spec.path)),
        row_bytes_(static_cast<std::size_t>(spec.width()) * bytes_of(spec.element)),
        is_tokens_(spec.path == "/tokens"),
        sums_(static_cast<std::size_t>(spec.heads()), 0.0) {}

  void run(std::vector<std::string>& problems) {
    const auto heads = static_cast<std::size_t>(spec_.heads());
    const auto rows = static_cast<std::int64_t>(std::max<std::size_t>(1, kBlockBytes / (heads * row_bytes_)));
    for (std::int64_t begin = 0; begin < spec_.length(); begin += rows) {
      take(begin, std::min(rows, spec_.length() - begin));
    }
    report(problems);
    compare_checksum(dataset_.get(), hash_.hex(), problems);
  }

 private:
  void take(std::int64_t begin, std::int64_t count) {
    hdf5::Shape first(spec_.axes.size(), 0);
    hdf5::Shape extent = hdf5::shape_of(dataset_.get());
    first[spec_.time_axis()] = static_cast<hsize_t>(begin);
    extent[spec_.time_axis()] = static_cast<hsize_t>(count);
    const auto heads = static_cast<std::size_t>(spec_.heads());
    const auto n = static_cast<std::size_t>(count);
    stored_.resize(heads * n * row_bytes_);
    ordered_.resize(stored_.size());
    hdf5::read_block(dataset_.get(), type_of(spec_.element), first, extent, stored_.data());
    for (std::size_t time = 0; time < n; ++time) {
      for (std::size_t head = 0; head < heads; ++head) {
        const std::byte* row = &stored_[(head * n + time) * row_bytes_];
        std::memcpy(&ordered_[(time * heads + head) * row_bytes_], row, row_bytes_);
        look_at(row, static_cast<std::int64_t>(head), begin + static_cast<std::int64_t>(time));
      }
    }
    hash_.update(ordered_);
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
    return std::isfinite(value);
  }

  void report(std::vector<std::string>& problems) const {
    const std::string place = hdf5::where(dataset_.get());
    if (offences_.count > 0 && is_tokens_) {
      problems.push_back(fmt::format(
          "{}: {} token(s) outside the vocabulary, first {} at position {}; expected 0..{}", place,
          offences_.count, offences_.value, offences_.first.time, trace_.header.geometry.vocab_size - 1));
    } else if (offences_.count > 0) {
      const char* what = std::isnan(offences_.value) ? "NaN" : "infinity";
      problems.push_back(fmt::format("{}: {} value(s) not finite, first {} at {}; expected finite values",
                                     place, offences_.count, what, text_of(offences_.first)));
    } else if (spec_.path.ends_with("/prompt_attention_sums")) {
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
    const auto& positions = trace_.query_positions;
    const bool has_position = !is_per_query || std::ssize(positions) == spec_.length();
    const std::int64_t position =
        is_per_query && has_position ? positions[static_cast<std::size_t>(place.time)] : place.time;
    const std::string text =
        fmt::format("head {}, {} {}", place.head, has_position ? "position" : "row", position);
    return spec_.axes.size() == 3 ? fmt::format("{}, channel {}", text, place.channel) : text;
  }

  const Inspection& trace_;
  const DatasetSpec& spec_;
  hdf5::Handle dataset_;
  std::size_t row_bytes_;
  bool is_tokens_;
  Sha256 hash_;
  Offences offences_;
  /// Per head, of all its values.
  std::vector<double> sums_;
  std::vector<std::byte> stored_;
  std::vector<std::byte> ordered_;
};

/// SHA-256 of a dataset of numbers in C order, one index of the first dimension at a time.
std::string hash_in_c_order(hid_t dataset) {
  const hdf5::Handle type(H5Dget_type(dataset), H5Tclose);
  hdf5::Shape count = hdf5::shape_of(dataset);
  hdf5::Shape begin(count.size(), 0);
  const hsize_t slices = count.empty() ? 1 : std::exchange(count[0], 1);
  std::size_t slice_bytes = H5Tget_size(type.get());
  for (const hsize_t extent : count) {
    slice_bytes *= extent;
  }
  Sha256 hash;
  std::vector<std::byte> slice(slice_bytes);
  for (hsize_t i = 0; i < slices && slice_bytes > 0; ++i) {
    if (!begin.empty()) {
      begin[0] = i;
    }
    hdf5::read_block(dataset, type.get(), begin, count, slice.data());
    hash.update(slice);
  }
  return hash.hex();
}

/// /truth may hold anything; what holds of every dataset holds of its datasets too.
void check_truth(hid_t file, const std::string& path, std::vector<std::string>& problems) {
  attempt(problems, [&] {
    if (hdf5::has_group(file, path)) {
      const hdf5::Handle group = hdf5::open_group(file, path);
      for (const std::string& name : hdf5::child_names(group.get())) {
        check_truth(file, fmt::format("{}/{}", path, name), problems);
      }
    } else if (hdf5::has_dataset(file, path)) {
      const hdf5::Handle dataset = hdf5::open_dataset(file, path);
      check_dataset_attributes(dataset.get(), nullptr, problems);
      if (hdf5::is_numeric(dataset.get())) {
        compare_checksum(dataset.get(), hash_in_c_order(dataset.get()), problems);
      }
    }
  });
}

}  // namespace

std::vector<std::string> validate(const std::filesystem::path& path) {
  Inspection trace = inspect(path);
  for (const DatasetSpec& spec : trace.sound) {
    attempt(trace.problems, [&] { Scan(trace, spec).run(trace.problems); });
  }
  if (trace.file) {
    check_truth(trace.file.get(), "/truth", trace.problems);
  }
  return trace.problems;
}

}  // namespace kvr::trace
