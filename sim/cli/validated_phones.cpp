// A token of a short context, all of whose entries are in DRAM:
//
//   time   = sum of the operations of every layer and of the output head, no policy, no flash
//   energy = time * (compute + base + DRAM in the background) + bytes * DRAM
#include "sim/cli/validated_phones.hpp"

#include <fmt/format.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/cli/device_choice.hpp"
#include "sim/cli/table.hpp"
#include "sim/interfaces/compute_model.hpp"
#include "sim/interfaces/language_model.hpp"
#include "sim/registry.hpp"

namespace kvr::cli {
namespace {

/// What is decoded where, by the names of configs/phones and configs/models.
struct Load {
  std::string_view phone;
  std::string_view model;
  std::string_view weight_format;
  std::string_view head_format;
  double entries;  ///< of the context, the mean over what was generated
};

struct MeasuredSpeed {
  std::string_view on;
  Load load;
  double tokens_per_s;
  std::string_view use;  ///< the parameter that was fitted to it, or "check"
  std::string_view source;
};

constexpr std::string_view kCheck = "check";
constexpr std::string_view kS25 = "Galaxy S25, 8 Elite, CPU, 6 threads";
constexpr std::string_view kS25Source = "hedone21/llm_rs2 31a97d30, llama.cpp 983df14, tg128";

constexpr std::array kSpeeds = {
    MeasuredSpeed{kS25,
                  {"oneplus_ace5_pro", "qwen2.5-1.5b", "f16", "f16", 64},
                  19.76,
                  "fits gemv_bandwidth",
                  kS25Source},
    MeasuredSpeed{kS25,
                  {"oneplus_ace5_pro", "qwen2.5-1.5b", "q4_0", "f16", 64},
                  32.35,
                  "fits q4_0_bandwidth",
                  kS25Source},
    MeasuredSpeed{"OnePlus 13, 8 Elite, CPU, 6 threads",
                  {"oneplus_ace5_pro", "llama-2-7b", "q4_0", "q4_0", 64},
                  13.0,
                  kCheck,
                  "huggingface imi2/llama-2-7b-chat-pure-Q4_0-gguf: 12.8 to 13.2"},
    MeasuredSpeed{"8 Gen 3, CPU",
                  {"oneplus_12", "llama-2-7b", "q4_0", "q4_0", 64},
                  6.61,
                  "fits q4_0_bandwidth",
                  "microsoft/T-MAC issue 32, one user; 4 bits, taken for Q4_0"},
    MeasuredSpeed{"OnePlus 15, 8 Elite Gen 5, CPU",
                  {"oneplus_15", "llama-3.2-1b", "q4_k_m", "q6_k", 721},
                  24.2,
                  "fits q4_k_m_bandwidth",
                  "EndurKV repository, 721 cells"},
    MeasuredSpeed{"OnePlus 15, 8 Elite Gen 5, CPU",
                  {"oneplus_15", "llama-3.2-1b", "q4_k_m", "q6_k", 9737},
                  5.0,
                  kCheck,
                  "EndurKV repository, all KV of a prompt of 9,737 tokens"}};

struct MeasuredEnergy {
  std::string_view on;
  Load load;
  double token_j;
  std::string_view source;
};

constexpr std::array kEnergies = {MeasuredEnergy{"OnePlus 12, PowerInfer-2; the model is not known here",
                                                 {"oneplus_12", "qwen2.5-1.5b", "q4_0", "f16", 64},
                                                 0.257,
                                                 "arXiv 2406.06282"},
                                  MeasuredEnergy{"CPU, Qwen2.5-1.5B: 0.10 to 0.12 J",
                                                 {"oneplus_ace5_pro", "qwen2.5-1.5b", "q4_0", "f16", 64},
                                                 0.11,
                                                 "PowerBench, arXiv 2607.05475"},
                                  MeasuredEnergy{"NPU, Qwen2.5-1.5B: 0.32 to 0.43 J",
                                                 {"oneplus_ace5_pro", "qwen2.5-1.5b", "q4_0", "f16", 64},
                                                 0.375,
                                                 "PowerBench, arXiv 2607.05475"},
                                  MeasuredEnergy{"Galaxy S24 Ultra, GPU",
                                                 {"oneplus_12", "qwen2.5-1.5b", "q4_0", "f16", 64},
                                                 0.146,
                                                 "handed down without a source"}};

struct Token {
  double s = 0.0;
  double j = 0.0;
};

template <class Interface>
std::unique_ptr<Interface> make(std::string_view folder, std::string_view name,
                                const std::vector<std::string>& sets,
                                const typename Interface::Context& context,
                                const ComponentChoice RunConfig::*part) {
  const RunConfig config = load_part(find_config(folder, std::string(name)), Interface::kKind, sets);
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
  take(layers, static_cast<double>(geometry.kv_heads) * model->attention(load.entries, entry_bytes),
       WeightFormat::f16);
  take(1.0, model->output_head(), model->head_format());
  const PhonePower power = phone->power();
  token.j =
      token.s * (power.compute_w + power.base_w + power.dram_background_w) + bytes * power.dram_j_per_byte;
  return token;
}

std::string formats_of(const Load& load) {
  return load.weight_format == load.head_format
             ? std::string(load.weight_format)
             : fmt::format("{}, head {}", load.weight_format, load.head_format);
}

Table speeds() {
  Table table{{"measured on", "model", "weights", "entries", "tokens/s", "configuration", "tokens/s", "error",
               "use", "source"},
              {}};
  for (const MeasuredSpeed& row : kSpeeds) {
    const double simulated = 1.0 / decode(row.load).s;
    table.rows.push_back({std::string(row.on), std::string(row.load.model), formats_of(row.load),
                          fmt::format("{}", row.load.entries), fmt::format("{:.4g}", row.tokens_per_s),
                          std::string(row.load.phone), fmt::format("{:.4g}", simulated),
                          fmt::format("{:+.1f} %", 100.0 * (simulated / row.tokens_per_s - 1.0)),
                          std::string(row.use), std::string(row.source)});
  }
  return table;
}

Table energies() {
  Table table{{"measured on", "J/token", "configuration", "model", "J/token", "ratio", "source"}, {}};
  for (const MeasuredEnergy& row : kEnergies) {
    const double simulated = decode(row.load).j;
    table.rows.push_back(
        {std::string(row.on), fmt::format("{:.3g}", row.token_j), std::string(row.load.phone),
         fmt::format("{} {}", row.load.model, formats_of(row.load)), fmt::format("{:.3g}", simulated),
         fmt::format("{:.2f}", simulated / row.token_j), std::string(row.source)});
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
