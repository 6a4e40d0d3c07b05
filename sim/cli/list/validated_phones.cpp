// A token of a short context, all of whose entries are in DRAM:
//
//   time   = sum of the operations of every layer and of the output head, no policy, no flash
//   energy = time * (compute + base + DRAM in the background) + bytes * DRAM
#include "sim/cli/list/validated_phones.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/cli/csv_table.hpp"
#include "sim/cli/device/choice.hpp"
#include "sim/cli/table.hpp"
#include "sim/interfaces/compute_model.hpp"
#include "sim/interfaces/language_model.hpp"

namespace kvr::cli {
namespace {

/// What is decoded where, by the names of configs/phones and configs/models.
struct Load {
  std::string phone;
  std::string model;
  std::string weight_format;
  std::string head_format;
  std::int64_t entries = 0;  ///< of the context, the mean over what was generated
};

struct MeasuredSpeed {
  std::string on;
  Load load;
  double tokens_per_s = 0.0;
  std::string use;  ///< "fits PARAMETER" of the phone, or "check"
  std::string source;
};

struct MeasuredEnergy {
  std::string on;
  Load load;
  double token_j = 0.0;
  std::string source;
};

constexpr std::array<std::string_view, 9> kSpeedHeading = {
    "on", "phone", "model", "weight_format", "head_format", "entries", "tokens_per_s", "use", "source"};
constexpr std::array<std::string_view, 8> kEnergyHeading = {
    "on", "phone", "model", "weight_format", "head_format", "entries", "J_per_token", "source"};
constexpr double kLargestRate = 1e6;

Load load_of(const CsvRow& row) {
  return {row.text("phone"), row.text("model"), row.text("weight_format"), row.text("head_format"),
          row.whole("entries", {.doc = "", .min = 0, .max = bounds::kEntries})};
}

MeasuredSpeed speed_of(const CsvRow& row) {
  return {row.text("on"), load_of(row),
          row.real("tokens_per_s", {.doc = "", .min = 0, .max = kLargestRate, .above_min = true}),
          row.text("use"), row.text("source")};
}

MeasuredEnergy energy_of(const CsvRow& row) {
  return {row.text("on"), load_of(row),
          row.real("J_per_token", {.doc = "", .min = 0, .max = kLargestRate, .above_min = true}),
          row.text("source")};
}

/// The rows of configs/measured/phones/NAME, each as `read` has it.
template <class Row>
std::vector<Row> measured(std::string_view name, std::span<const std::string_view> heading,
                          Row (*read)(const CsvRow&)) {
  constexpr std::string_view kFolder = "measured/phones";
  const std::vector<std::filesystem::path> files = config_files(kFolder, ".csv");
  const auto file = std::ranges::find(files, name, &std::filesystem::path::filename);
  if (file == files.end()) {
    throw InputError(fmt::format("configs/{}/{}: no such file", kFolder, name));
  }
  std::vector<Row> rows;
  config::Problems problems;
  read_csv(*file, heading, problems, [&](const CsvRow& row) { rows.push_back(read(row)); });
  problems.throw_if_any();
  return rows;
}

struct Token {
  double s = 0.0;
  double j = 0.0;
};

template <class Interface>
std::unique_ptr<Interface> make(std::string_view folder, const std::string& name,
                                const std::vector<std::string>& sets,
                                const typename Interface::Context& context,
                                const ComponentChoice RunConfig::*part) {
  const RunConfig config = load_part(find_config(folder, name), Interface::kKind, sets);
  return Registry<Interface>::instance().create((config.*part).type, (config.*part).values, context);
}

Token decode(const Load& load) {
  const auto phone = make<ComputeModel>("phones", load.phone, {}, {}, &RunConfig::phone);
  const auto model = make<LanguageModel>("models", load.model,
                                         {fmt::format("model.weight_format={}", load.weight_format),
                                          fmt::format("model.head_format={}", load.head_format)},
                                         {}, &RunConfig::model);
  const DecoderGeometry& geometry = model->geometry();
  constexpr double kFp16Bytes = 2.0;
  const double entry_bytes = 2.0 * kFp16Bytes * static_cast<double>(geometry.head_dim);
  Token token;
  double bytes = 0.0;
  const auto take = [&](double times, const Work& work, WeightFormat format) {
    token.s += times * phone->time_s(work, format);
    bytes += times * work.bytes;
  };
  const auto layers = static_cast<double>(geometry.layers);
  for (const Work& work : {model->query_projection(), model->key_value_projection(),
                           model->output_projection(), model->feed_forward()}) {
    take(layers, work, model->weight_format());
  }
  take(layers,
       static_cast<double>(geometry.kv_heads) *
           model->attention(static_cast<double>(load.entries), entry_bytes),
       WeightFormat::f16);
  take(1.0, model->output_head(), model->head_format());
  const PhonePower power = phone->power();
  token.j =
      token.s * (power.compute_w + power.base_w + power.dram_background_w) + bytes * power.dram_j_per_byte;
  return token;
}

std::string formats_of(const Load& load) {
  return load.weight_format == load.head_format
             ? load.weight_format
             : fmt::format("{}, head {}", load.weight_format, load.head_format);
}

Table speeds() {
  Table table{{"measured on", "model", "weights", "entries", "tokens/s", "configuration", "tokens/s", "error",
               "use", "source"},
              {}};
  for (const MeasuredSpeed& row : measured("decode.csv", kSpeedHeading, speed_of)) {
    const double simulated = 1.0 / decode(row.load).s;
    table.rows.push_back(
        {row.on, row.load.model, formats_of(row.load), fmt::format("{}", row.load.entries),
         fmt::format("{:.4g}", row.tokens_per_s), row.load.phone, fmt::format("{:.4g}", simulated),
         fmt::format("{:+.1f} %", 100.0 * (simulated / row.tokens_per_s - 1.0)), row.use, row.source});
  }
  return table;
}

Table energies() {
  Table table{{"measured on", "J/token", "configuration", "model", "J/token", "ratio", "source"}, {}};
  for (const MeasuredEnergy& row : measured("energy.csv", kEnergyHeading, energy_of)) {
    const double simulated = decode(row.load).j;
    table.rows.push_back({row.on, fmt::format("{:.3g}", row.token_j), row.load.phone,
                          fmt::format("{} {}", row.load.model, formats_of(row.load)),
                          fmt::format("{:.3g}", simulated), fmt::format("{:.2f}", simulated / row.token_j),
                          row.source});
  }
  return table;
}

}  // namespace

std::string validated_phones_markdown() {
  constexpr std::string_view kPage = R"(# Phones

Printed by `kvreplay list phone --validated`.

## Speed of decoding

The weights of a model are read whole for every token, each format at a bandwidth of its own, which holds what it
costs to dequantise. A format is fitted to one row; the others tell how far a phone is off that was not fitted. Two
phones with the same processor lie 1.5 times apart: take no latency here to be surer than that.

{}
## Energy

Nothing is fitted. A token of a short context; the processor is the CPU.

{})";
  return fmt::format(kPage, markdown_table(speeds()), markdown_table(energies()));
}

}  // namespace kvr::cli
