// A record: "kvreplay point 1\n", the sha256 of what follows in hexadecimal, the key, the
// outline, for each metric and figure of the outline, in its order, the values, and what was recorded of
// units.
#include "sim/sweep/point_record.hpp"

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

#include "sim/base/error.hpp"
#include "sim/base/files/new_file.hpp"
#include "sim/base/files/regular_file.hpp"
#include "sim/base/sha256.hpp"
#include "sim/results/units/units_check.hpp"
#include "sim/sweep/bytes.hpp"
#include "sim/sweep/outline_check.hpp"

namespace kvr::sweep {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "kvreplay point 1\n";
constexpr std::size_t kHashDigits = 64;

template <class T>
std::span<const T> span_of(const std::vector<T>& values) {
  return values;
}

void put_text(ByteWriter& out, const std::string& text) {
  out.put(std::string_view(text));
}

void put_error(ByteWriter& out, const ModelError& error) {
  put_text(out, error.model);
  out.put(error.batches);
  for (const double value : {error.median, error.p95, error.p99, error.total_time}) {
    out.put(value);
  }
}

ModelError get_error(ByteReader& in) {
  ModelError error{.model = in.text(), .batches = in.get<std::int64_t>()};
  for (double* value : {&error.median, &error.p95, &error.p99, &error.total_time}) {
    *value = in.get<double>();
  }
  return error;
}

void put_figure(ByteWriter& out, const OwnFigure& figure) {
  for (const std::string* text :
       {&figure.name, &figure.unit, &figure.long_name, &figure.formula, &figure.policy}) {
    put_text(out, *text);
  }
  out.put(figure.dims);
  out.put(figure.adds_up);
}

OwnFigure get_figure(ByteReader& in) {
  OwnFigure figure;
  for (std::string* text : {&figure.name, &figure.unit, &figure.long_name, &figure.formula, &figure.policy}) {
    *text = in.text();
  }
  figure.dims = in.get<Dims>();
  figure.adds_up = in.flag();
  return figure;
}

void put_tier(ByteWriter& out, const PointSummary::Tier& tier) {
  put_text(out, tier.name);
  for (const double value : {tier.hit_rate, tier.up_bytes, tier.down_bytes, tier.held_bytes}) {
    out.put(value);
  }
}

PointSummary::Tier get_tier(ByteReader& in) {
  PointSummary::Tier tier{.name = in.text()};
  for (double* value : {&tier.hit_rate, &tier.up_bytes, &tier.down_bytes, &tier.held_bytes}) {
    *value = in.get<double>();
  }
  return tier;
}

void put_mean(ByteWriter& out, const PointSummary::Figure& figure) {
  put_text(out, figure.name);
  put_text(out, figure.unit);
  out.put(figure.mean);
}

PointSummary::Figure get_mean(ByteReader& in) {
  PointSummary::Figure figure{.name = in.text(), .unit = in.text()};
  figure.mean = in.get<double>();
  return figure;
}

void put_summary(ByteWriter& out, const PointSummary& summary) {
  out.put(span_of(summary.values));
  out.put(std::span<const double>(summary.critical_s));
  out.put_each(summary.tiers, put_tier);
  out.put_each(summary.figures, put_mean);
}

PointSummary get_summary(ByteReader& in) {
  PointSummary summary{.values = in.values<double>()};
  const std::vector<double> critical_s = in.values<double>();
  if (summary.values.size() != summary_table().size() || critical_s.size() != summary.critical_s.size()) {
    throw InputError("is of another program");
  }
  std::ranges::copy(critical_s, summary.critical_s.begin());
  summary.tiers = in.each(get_tier);
  summary.figures = in.each(get_mean);
  return summary;
}

void put_units(ByteWriter& out, const UnitsOutline& units) {
  out.put_each(units.stages, put_text);
  out.put_each(units.tiers, put_text);
  out.put(std::span<const std::int64_t>(units.counts));
}

UnitsOutline get_units(ByteReader& in) {
  UnitsOutline units{.stages = in.each(&ByteReader::text), .tiers = in.each(&ByteReader::text)};
  const std::vector<std::int64_t> counts = in.values<std::int64_t>();
  if (counts.size() != units.counts.size()) {
    throw InputError("is of another program");
  }
  std::ranges::copy(counts, units.counts.begin());
  return units;
}

/// Column by column.
void put_unit_rows(ByteWriter& out, const RecordedUnits& units) {
  units.for_each_table([&out](std::string_view, const auto& rows) {
    for (const auto& column : columns_of(rows)) {
      std::visit(
          [&]<class Row, class Value>(Value Row::*member) {
            std::vector<Value> values;
            std::ranges::transform(rows, std::back_inserter(values), member);
            out.put(span_of(values));
          },
          column.member);
    }
  });
}

RecordedUnits get_unit_rows(ByteReader& in, const UnitsOutline& outline) {
  RecordedUnits units{.stages = outline.stages, .tiers = outline.tiers};
  std::size_t table = 0;
  units.for_each_table([&](std::string_view, auto& rows) {
    const auto count = static_cast<std::size_t>(outline.counts.at(table++));
    for (const auto& column : columns_of(rows)) {
      std::visit(
          [&]<class Row, class Value>(Value Row::*member) {
            const std::vector<Value> values = in.values<Value>();
            if (values.size() != count) {
              throw InputError("has another number of units than its outline says");
            }
            rows.resize(count);
            for (std::size_t row = 0; row < count; ++row) {
              rows[row].*member = values[row];
            }
          },
          column.member);
    }
  });
  if (!are_sound(units) || !are_names(outline)) {
    throw InputError("is damaged: what it has of units cannot be");
  }
  return units;
}

void put_outline(ByteWriter& out, const PointOutline& outline) {
  out.put(outline.number);
  put_text(out, outline.name);
  put_text(out, outline.variant);
  out.put(outline.seed);
  put_text(out, outline.resolved_config);
  out.put_each(outline.notes, put_text);
  out.put_each(outline.model_errors, put_error);
  out.put(outline.steps);
  out.put(span_of(outline.layer_numbers));
  out.put(span_of(outline.head_numbers));
  out.put(outline.walked_sequences);
  out.put(outline.prefills);
  out.put_each(outline.tier_names, put_text);
  out.put(span_of(outline.written));
  out.put_each(outline.figures, put_figure);
  out.put(outline.units.has_value());
  if (outline.units) {
    put_units(out, *outline.units);
  }
  put_summary(out, outline.summary);
}

PointOutline get_outline(ByteReader& in) {
  PointOutline outline;
  outline.number = in.get<std::int64_t>();
  outline.name = in.text();
  outline.variant = in.text();
  outline.seed = in.get<std::int64_t>();
  outline.resolved_config = in.text();
  outline.notes = in.each(&ByteReader::text);
  outline.model_errors = in.each(get_error);
  outline.steps = in.get<std::int64_t>();
  outline.layer_numbers = in.values<std::int64_t>();
  outline.head_numbers = in.values<std::int64_t>();
  outline.walked_sequences = in.get<std::int64_t>();
  outline.prefills = in.get<std::int64_t>();
  outline.tier_names = in.each(&ByteReader::text);
  outline.written = in.values<Metric>();
  outline.figures = in.each(get_figure);
  if (in.get<bool>()) {
    outline.units = get_units(in);
  }
  outline.summary = get_summary(in);
  return outline;
}

/// What follows the hash, which it has. Problems name no file.
std::string sound_bytes(const std::string& file) {
  const std::string_view bytes = file;
  if (!bytes.starts_with(kMagic) || bytes.size() < kMagic.size() + kHashDigits) {
    throw InputError("is no finished point");
  }
  const std::string_view body = bytes.substr(kMagic.size() + kHashDigits);
  Sha256 hash;
  hash.update(std::as_bytes(std::span(body)));
  if (hash.hex() != bytes.substr(kMagic.size(), kHashDigits)) {
    throw InputError("is damaged: its sha256 is another");
  }
  return std::string(body);
}

/// The outline of a record of which everything that follows is as the outline says.
PointOutline get_sound_outline(ByteReader& in) {
  const PointOutline outline = get_outline(in);
  try {
    check_outline(outline);
  } catch (const InputError& error) {
    throw InputError(fmt::format("is damaged: {}", error.what()));
  }
  ByteReader rest = in;
  const auto pass = [&](Dims dims, std::string_view name) {
    if (rest.pass_values<double>() != values_of(outline, dims)) {
      throw InputError(fmt::format("is damaged: {} has another number of values", name));
    }
  };
  for (const Metric metric : outline.written) {
    pass(info(metric).dims, info(metric).name);
  }
  for (const OwnFigure& figure : outline.figures) {
    pass(figure.dims, figure.name);
  }
  if (outline.units) {
    get_unit_rows(rest, *outline.units);
  }
  if (!rest.at_end()) {
    throw InputError("has more than its outline says");
  }
  return outline;
}

/// `read(reader)` of a record's bytes; problems name the file.
template <class Read>
auto reading(const fs::path& path, std::string_view key, Read read) {
  const std::string file = read_regular_file(path);
  try {
    const std::string body = sound_bytes(file);
    ByteReader in(body);
    if (in.text() != key) {
      throw InputError("is of another point");
    }
    return read(in);
  } catch (const InputError& error) {
    throw InputError(fmt::format("{}: {}", path.string(), error.what()));
  }
}

}  // namespace

std::string encode(const PointOutline& outline) {
  ByteWriter out;
  put_outline(out, outline);
  return out.take();
}

PointOutline decode_outline(std::string_view bytes) {
  ByteReader in(bytes);
  return get_outline(in);
}

void write_record(const fs::path& path, std::string_view key, const PointOutline& outline,
                  const PointData& data) {
  try {
    check_outline(outline);
  } catch (const InputError& error) {
    throw SystemError(fmt::format("{}: cannot be written: {}", path.string(), error.what()));
  }
  ByteWriter out;
  out.put(key);
  put_outline(out, outline);
  for (const Metric metric : outline.written) {
    out.put(data.values(metric));
  }
  for (const OwnFigure& figure : outline.figures) {
    out.put(span_of(std::ranges::find(data.figures(), figure.name, &OwnFigure::name)->values));
  }
  if (outline.units) {
    put_unit_rows(out, *data.units());
  }
  const std::string body = out.take();
  Sha256 hash;
  hash.update(std::as_bytes(std::span(body)));
  write_new_file(path, fmt::format("{}{}{}", kMagic, hash.hex(), body));
}

PointOutline read_outline(const fs::path& path, std::string_view key) {
  return reading(path, key, get_sound_outline);
}

std::shared_ptr<const PointData> read_values(const fs::path& path, std::string_view key) {
  return reading(path, key, [](ByteReader& in) {
    const PointOutline outline = get_sound_outline(in);
    const std::shared_ptr<PointData> data = empty_data(outline);
    for (const Metric metric : outline.written) {
      data->restore(metric, in.values<double>());
    }
    for (const OwnFigure& figure : outline.figures) {
      data->restore_figure(data->add_figure(figure), in.values<double>());
    }
    if (outline.units) {
      data->set_units(get_unit_rows(in, *outline.units));
    }
    return std::shared_ptr<const PointData>(data);
  });
}

}  // namespace kvr::sweep
