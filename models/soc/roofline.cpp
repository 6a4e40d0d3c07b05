// The processor of a phone as a roofline (Williams, Waterman, Patterson 2009), an operation at a time:
//
//   time = max(bytes / (bandwidth of their format * k), flops / (fp16_peak * k)) + sync_time
//   k    = hot_clock when hot, 1 when cold; host_clock is scaled likewise
//
// Beside flash requests it takes longer, by dram_contention and host_contention (both 0: none), whatever
// bounds it: matrix-vector products of one token are bound by DRAM.
//
// Powers of cores are scaled by k too: a cycle is taken to cost the same energy at any clock. Lower voltage
// at a lower clock would save more.
#include <fmt/format.h>

#include <algorithm>

#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/compute_model.hpp"

namespace kvr {
namespace {

constexpr double kKiB = 1024.0;
constexpr double kBitsPerByte = 8.0;

struct RooflineParams {
  std::string name = "oneplus_12";
  double gemv_bandwidth = 43e9;
  double fp8_bandwidth = 22.5e9;
  double q8_0_bandwidth = 43e9;
  double q6_k_bandwidth = 36.25e9;
  double q4_k_m_bandwidth = 26.87e9;
  double q4_1_bandwidth = 27.62e9;
  double q4_0_bandwidth = 24.86e9;
  double fp16_peak = 661e9;
  double sync_time = 5e-6;
  std::int64_t dram = 24LL << 30;
  double host_per_command = 1.5e-6;
  double host_cycles = 8500.0;
  double host_clock = 3.3e9;
  double host_per_kib = 0.0;
  double host_wake = 15e-6;
  std::int64_t host_threads = 1;
  std::int64_t host_depth = 0;
  double dram_contention = 0.0;
  double host_contention = 0.0;
  std::string heat = "cold";
  double hot_clock = 0.68;
  double dram_energy = 5e-12;
  double dram_power = 0.12;
  double host_power = 1.5;
  double compute_power = 4.9;
  double base_power = 1.0;
};

using Table = ParamTable<RooflineParams>;

Param<RooflineParams> format_row(std::string_view name, double RooflineParams::*bandwidth,
                                 std::string_view doc) {
  return {name,
          bandwidth,
          {.doc = doc,
           .quantity = Quantity::bytes_per_second,
           .min = bounds::kSlowest,
           .max = bounds::kFastest,
           .source =
               "decode speed of a model in this format times its size: what it costs to dequantise counts"}};
}

Table compute_rows() {
  using P = RooflineParams;
  constexpr auto kSeconds = Quantity::seconds;
  return {
      {"name", &P::name, {.doc = "what results call the phone"}},
      {"gemv_bandwidth",
       &P::gemv_bandwidth,
       {.doc = "bytes of fp16 weights, KV entries and whatever policies read that matrix-vector products "
               "take up in a second, with all cores that decode",
        .quantity = Quantity::bytes_per_second,
        .min = bounds::kSlowest,
        .max = bounds::kFastest,
        .source = "decode speed of an fp16 model times its size"}},
      format_row("fp8_bandwidth", &P::fp8_bandwidth, "the same of FP8 weights"),
      format_row("q8_0_bandwidth", &P::q8_0_bandwidth, "the same of Q8_0 weights"),
      format_row("q6_k_bandwidth", &P::q6_k_bandwidth, "the same of Q6_K weights"),
      format_row("q4_k_m_bandwidth", &P::q4_k_m_bandwidth, "the same of Q4_K_M weights"),
      format_row("q4_1_bandwidth", &P::q4_1_bandwidth, "the same of Q4_1 weights"),
      format_row("q4_0_bandwidth", &P::q4_0_bandwidth, "the same of Q4_0 weights"),
      {"fp16_peak",
       &P::fp16_peak,
       {.doc = "fp16 operations per second of the cores that decode",
        .quantity = Quantity::per_second,
        .min = bounds::kSlowest,
        .max = bounds::kFastest,
        .source = "measured operations per cycle and core, times clocks"}},
      {"sync_time",
       &P::sync_time,
       {.doc = "starting an operation on all cores and waiting for the last",
        .quantity = kSeconds,
        .min = 0,
        .max = 1,
        .source = "assumed"}},
      {"dram",
       &P::dram,
       {.doc = "memory of the phone",
        .quantity = Quantity::bytes,
        .min = 1,
        .max = bounds::kBytes,
        .source = "data sheet"}},
  };
}

Table host_rows() {
  using P = RooflineParams;
  constexpr auto kSeconds = Quantity::seconds;
  return {
      {"host_per_command",
       &P::host_per_command,
       {.doc = "time a storage command costs the submitting core at any clock",
        .quantity = kSeconds,
        .min = 0,
        .max = 1,
        .source = "two clocks of PowerInfer-2's measurements (arXiv 2406.06282)"}},
      {"host_cycles",
       &P::host_cycles,
       {.doc = "cycles a storage command costs the submitting core",
        .unit = "cycles",
        .min = 0,
        .max = 1e9,
        .source = "two clocks of PowerInfer-2's measurements (arXiv 2406.06282)"}},
      {"host_clock",
       &P::host_clock,
       {.doc = "clock of the core that submits",
        .quantity = Quantity::hertz,
        .min = 1e6,
        .max = 1e10,
        .source = "data sheet of the SoC"}},
      {"host_per_kib",
       &P::host_per_kib,
       {.doc = "time each KiB of a storage command costs the submitting core",
        .quantity = kSeconds,
        .min = 0,
        .max = 1,
        .source = "fio submission latency over size; 0 with direct I/O into registered buffers"}},
      {"host_wake",
       &P::host_wake,
       {.doc = "delay from a completion until the waiting thread runs",
        .quantity = kSeconds,
        .min = 0,
        .max = 1,
        .source = "assumed"}},
      {"host_threads",
       &P::host_threads,
       {.doc = "threads that submit storage commands",
        .min = 1,
        .max = 1024,
        .source = "one loading thread, as DynaKV (arXiv 2511.07427, section 7)"}},
      {"host_depth",
       &P::host_depth,
       {.doc =
            "commands that each of them has under way before it sleeps until one is done; 1: blocking calls, "
            "0: as many as the queue takes",
        .min = 0,
        .max = 65'536,
        .source = "choice of the runtime: io_uring and libaio have no limit of their own"}},
  };
}

Table contention_rows() {
  using P = RooflineParams;
  return {
      {"dram_contention",
       &P::dram_contention,
       {.doc = "bytes at gemv_bandwidth that computing loses for each byte read from flash meanwhile: 1: "
               "what the transfer takes of DRAM, 2: the copy out of its block too, 0: nothing",
        .min = 0,
        .max = 100,
        .source = "choice of the experiment; 0 as DynaKV, which says nothing of it"}},
      {"host_contention",
       &P::host_contention,
       {.doc =
            "share of the submitting core's time that computing loses meanwhile: 1 / cores: it computes too "
            "and the others take over, 1: they wait for it, 0: it is a core of its own",
        .min = 0,
        .max = 1,
        .source = "choice of the experiment; on a OnePlus 15R threads that read and threads that compute "
                  "contend: 630 MiB/s with four that read against 1045 with two"}},
  };
}

Table state_rows() {
  using P = RooflineParams;
  return {
      {"heat",
       &P::heat,
       {.doc = "thermal state of the processor",
        .choices = "cold|hot",
        .source = "choice of the experiment"}},
      {"hot_clock",
       &P::hot_clock,
       {.doc = "share of clocks, and with them of bandwidth, peak and power of the cores, that heat leaves",
        .min = 0.001,
        .max = 1,
        .source = "a OnePlus 15R caps cores of 3.32 GHz at 2.27; that bandwidth follows is assumed"}},
  };
}

Table power_rows() {
  using P = RooflineParams;
  constexpr auto kWatts = Quantity::watts;
  return {
      {"dram_energy",
       &P::dram_energy,
       {.doc = "energy of one bit moved to or from DRAM, device and interface",
        .quantity = Quantity::joules,
        .min = 0,
        .max = 1e-6,
        .source = "assumed: 5, 6, 8 pJ for LPDDR5X, 5, 4X"}},
      {"dram_power",
       &P::dram_power,
       {.doc = "power of DRAM that moves nothing",
        .quantity = kWatts,
        .min = 0,
        .max = 100,
        .source = "assumed: 60 to 120 mW for 12 to 24 GB"}},
      {"host_power",
       &P::host_power,
       {.doc = "power of the core that submits storage commands, while it does",
        .quantity = kWatts,
        .min = 0,
        .max = 100,
        .source = "assumed: a performance core draws 1.2 to 1.8 W, a little one 0.3 W"}},
      {"compute_power",
       &P::compute_power,
       {.doc = "power of all cores that decode, while they do",
        .quantity = kWatts,
        .min = 0,
        .max = 1000,
        .source = "about 7 W of a whole Galaxy S25 Ultra that decodes 4-bit weights on its CPU, less DRAM "
                  "and base_power"}},
      {"base_power",
       &P::base_power,
       {.doc = "power of the rest of the phone",
        .quantity = kWatts,
        .min = 0,
        .max = 1000,
        .source = "assumed"}},
  };
}

Table roofline_table() {
  Table table = compute_rows();
  for (const Table& rows : {host_rows(), contention_rows(), state_rows(), power_rows()}) {
    table.insert(table.end(), rows.begin(), rows.end());
  }
  return table;
}

class Roofline final : public ComputeModel {
 public:
  static constexpr std::string_view kName = "roofline";
  static constexpr std::string_view kDoc =
      "Operations bound by DRAM bandwidth or fp16 peak, whichever is slower.";
  static constexpr std::string_view kSource = "Williams, Waterman, Patterson, CACM 52(4), 2009";

  using Params = RooflineParams;
  static ParamTable<Params> params() { return roofline_table(); }

  static std::vector<IdleParam> idle(const Params& params) {
    return params.heat == "cold" ? std::vector<IdleParam>{{"hot_clock", "heat is cold"}}
                                 : std::vector<IdleParam>{};
  }

  Roofline(Params params, const Context&) : params_(std::move(params)) {
    const double clock = params_.heat == "hot" ? params_.hot_clock : 1.0;
    for (double* scaled :
         {&params_.gemv_bandwidth, &params_.fp8_bandwidth, &params_.q8_0_bandwidth, &params_.q6_k_bandwidth,
          &params_.q4_k_m_bandwidth, &params_.q4_1_bandwidth, &params_.q4_0_bandwidth, &params_.fp16_peak,
          &params_.host_clock, &params_.host_power, &params_.compute_power}) {
      *scaled *= clock;
    }
  }

  double time_s(const Work& work, WeightFormat format) const override {
    return std::max(work.bytes / bandwidth_of(format), work.flops / params_.fp16_peak) + params_.sync_time;
  }

  HostCost host_cost() const override {
    return {.per_command_s = params_.host_per_command,
            .cycles_per_command = params_.host_cycles,
            .clock_hz = params_.host_clock,
            .per_byte_s = params_.host_per_kib / kKiB,
            .wake_s = params_.host_wake,
            .threads = params_.host_threads,
            .depth = params_.host_depth};
  }

  IoContention io_contention() const override {
    return {.per_read_byte_s = params_.dram_contention / params_.gemv_bandwidth,
            .per_host_s = params_.host_contention};
  }

  std::int64_t dram_bytes() const override { return params_.dram; }

  PhonePower power() const override {
    return {.dram_j_per_byte = kBitsPerByte * params_.dram_energy,
            .dram_background_w = params_.dram_power,
            .host_core_w = params_.host_power,
            .compute_w = params_.compute_power,
            .base_w = params_.base_power};
  }

  std::string describe() const override {
    return fmt::format("{}: {:.4g} GB/s of fp16, {:.4g} GFLOPS fp16, {:.4g} GiB DRAM, {}", params_.name,
                       params_.gemv_bandwidth / 1e9, params_.fp16_peak / 1e9,
                       static_cast<double>(params_.dram) / (kKiB * kKiB * kKiB), params_.heat);
  }

 private:
  double bandwidth_of(WeightFormat format) const {
    switch (format) {
      case WeightFormat::f16:
        return params_.gemv_bandwidth;
      case WeightFormat::fp8:
        return params_.fp8_bandwidth;
      case WeightFormat::q8_0:
        return params_.q8_0_bandwidth;
      case WeightFormat::q6_k:
        return params_.q6_k_bandwidth;
      case WeightFormat::q4_k_m:
        return params_.q4_k_m_bandwidth;
      case WeightFormat::q4_1:
        return params_.q4_1_bandwidth;
      case WeightFormat::q4_0:
        return params_.q4_0_bandwidth;
    }
    throw InternalError("a weight format without a bandwidth");
  }

  Params params_;  ///< clocks and what follows them as the thermal state leaves them
};

const Registration<ComputeModel, Roofline> registered;

}  // namespace
}  // namespace kvr
