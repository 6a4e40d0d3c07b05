#include "models/flash/device_params.hpp"

#include <fmt/format.h>

namespace kvr::flash {

namespace {

using Table = ParamTable<DeviceParams>;

constexpr auto kBytes = Quantity::bytes;
constexpr auto kSeconds = Quantity::seconds;
constexpr auto kBandwidth = Quantity::bytes_per_second;
constexpr double kKiB = 1024.0;
constexpr double kMiB = 1024.0 * kKiB;
constexpr double kGiB = 1024.0 * kMiB;

// The rows' sources say where such a figure comes from in general; each file under configs/devices says where
// its own value does.
constexpr std::string_view kSheet = "data sheet of the part or standard of its interface";
constexpr std::string_view kArray =
    "no vendor states it: fitted, only ratios are constrained by measurements";
constexpr std::string_view kFit = "least squares on random-read measurements of the part";

Table link_rows() {
  using P = DeviceParams;
  return {
      {"name", &P::name, {.doc = "what results call the device"}},
      {"queue_depth",
       &P::queue_depth,
       {.doc = "commands outstanding in the device, of one queue", .min = 1, .max = 65536, .source = kSheet}},
      {"hw_queues",
       &P::hw_queues,
       {.doc = "submission queues; more than one lets threads submit side by side",
        .min = 1,
        .max = 1024,
        .source = "NVMe and UFSHCI 4.0 multi-circular queue; older hosts have one"}},
      {"duplex",
       &P::duplex,
       {.doc = "half: reads and writes share the link", .choices = "half|full", .source = kSheet}},
      {"link",
       &P::link,
       {.doc = "usable bandwidth of the link, line coding removed, one direction",
        .quantity = kBandwidth,
        .min = bounds::kSlowest,
        .max = bounds::kFastest,
        .source = kSheet}},
      {"command_link_time",
       &P::command_link_time,
       {.doc = "link time of one command besides its data",
        .quantity = kSeconds,
        .min = 0,
        .max = 1e-3,
        .source = kArray}},
      {"max_transfer",
       &P::max_transfer,
       {.doc = "largest command; longer requests are split",
        .quantity = kBytes,
        .min = 512,
        .max = 16 * kMiB,
        .source = "host driver: maximum data buffer of a command"}},
      {"block",
       &P::block,
       {.doc = "smallest addressable unit, and the size that latency is stated for",
        .quantity = kBytes,
        .min = 512,
        .max = 64 * kKiB,
        .source = kSheet}},
      {"firmware_time",
       &P::firmware_time,
       {.doc = "controller time of one command",
        .quantity = kSeconds,
        .min = 0,
        .max = 10e-3,
        .source = kArray}},
      {"firmware_servers",
       &P::firmware_servers,
       {.doc = "commands the controller works on at once", .min = 1, .max = 64, .source = kArray}},
      {"command_delay",
       &P::command_delay,
       {.doc = "delay of a command in the controller that keeps nothing busy",
        .quantity = kSeconds,
        .min = 0,
        .max = 10e-3,
        .source = "NVMeVirt states one for a 970 PRO; 0 elsewhere, where it cannot be told from host_wake"}},
      {"wide_reads",
       &P::wide_reads,
       {.doc = "wide reads (wide_above) that the controller serves at once, from the lookup of their mapping "
               "until their data have crossed the link; 0: any number",
        .min = 0,
        .max = 65536,
        .source = "fio on a Pixel 4 and on microSD cards: reads of 8 to 64 KiB at depth stay below both the "
                  "rate of a block's reads and the bandwidth of large ones"}},
      {"wide_above",
       &P::wide_above,
       {.doc = "commands that read more than this are wide; smaller ones pass them",
        .quantity = kBytes,
        .min = 0,
        .max = 16 * kMiB,
        .source = "the same; the figures show a fall from 4 to 8 KiB"}},
  };
}

Table array_rows() {
  using P = DeviceParams;
  return {
      {"channels", &P::channels, {.doc = "flash channels", .min = 1, .max = 64, .source = kArray}},
      {"dies_per_channel",
       &P::dies_per_channel,
       {.doc = "dies on each channel", .min = 1, .max = 64, .source = kArray}},
      {"stripe",
       &P::stripe,
       {.doc = "bytes that one die operation delivers at most (all planes)",
        .quantity = kBytes,
        .min = 4 * kKiB,
        .max = 4 * kMiB,
        .source = kArray}},
      {"page",
       &P::page,
       {.doc = "bytes that the array senses at least for a read of any size; counts for energy",
        .quantity = kBytes,
        .min = 512,
        .max = kMiB,
        .source = "16 KiB, usual for 3D TLC"}},
      {"read_time",
       &P::read_time,
       {.doc = "tR: array to page register",
        .quantity = kSeconds,
        .min = 0,
        .max = 10e-3,
        .above_min = true,
        .source = kArray}},
      {"read_time_spread",
       &P::read_time_spread,
       {.doc = "sigma of the logarithm of read_time, whose mean stays; 0: every read takes read_time",
        .min = 0,
        .max = 2,
        .source = "retries and page types; no mobile part's figure was found"}},
      {"cache_read",
       &P::cache_read,
       {.doc = "a die senses the next read while its last one crosses the channel", .source = kArray}},
      {"map_read_time",
       &P::map_read_time,
       {.doc = "array read of a mapping page",
        .quantity = kSeconds,
        .min = 0,
        .max = 10e-3,
        .source = kArray}},
      {"channel_bandwidth",
       &P::channel_bandwidth,
       {.doc = "bandwidth of one channel",
        .quantity = kBandwidth,
        .min = bounds::kSlowest,
        .max = bounds::kFastest,
        .source = kArray}},
      {"map_coverage",
       &P::map_coverage,
       {.doc = "bytes of flash whose mapping the controller holds at once",
        .quantity = kBytes,
        .min = 0,
        .max = bounds::kBytes,
        .unlimited = true,
        .source = "Samsung's HPB measurements over the range of random reads, 2020"}},
      {"mapping",
       &P::mapping,
       {.doc = "how the event-driven device finds mapping misses; statistical: by chance, with the share of "
               "the working set not covered; lru: pages of the mapping table in a cache of map_coverage",
        .choices = "lru|statistical",
        .source = "statistical is what the published ranges were fitted with"}},
  };
}

Table write_rate_rows() {
  using P = DeviceParams;
  return {
      {"slc_bandwidth",
       &P::slc_bandwidth,
       {.doc = "sequential writes into the SLC pool",
        .quantity = kBandwidth,
        .min = bounds::kSlowest,
        .max = bounds::kFastest,
        .source = kSheet}},
      {"tlc_bandwidth",
       &P::tlc_bandwidth,
       {.doc = "sequential writes once the pool is full, without amplification",
        .quantity = kBandwidth,
        .min = bounds::kSlowest,
        .max = bounds::kFastest,
        .source = "long write runs; data sheets state the pool's"}},
      {"fold_bandwidth",
       &P::fold_bandwidth,
       {.doc = "rate at which an idle device empties the pool",
        .quantity = kBandwidth,
        .min = 0,
        .max = bounds::kFastest,
        .source = "assumed half of tlc_bandwidth: each byte is read and programmed"}},
      {"fold_delay",
       &P::fold_delay,
       {.doc = "time without requests after which the device begins to empty the pool",
        .quantity = kSeconds,
        .min = 0,
        .max = bounds::kLongest,
        .source = "assumed"}},
      {"slc_pool",
       &P::slc_pool,
       {.doc = "bytes the SLC pool takes; 0: none",
        .quantity = kBytes,
        .min = 0,
        .max = bounds::kBytes,
        .source = "assumed"}},
      {"write_amplification",
       &P::write_amplification,
       {.doc = "bytes programmed for each byte written, append-only use",
        .min = 1,
        .max = 20,
        .source = "assumed"}},
  };
}

Table program_rows() {
  using P = DeviceParams;
  return {
      {"slc_program_time",
       &P::slc_program_time,
       {.doc = "programming one stripe, SLC", .quantity = kSeconds, .min = 0, .max = 1, .source = "assumed"}},
      {"tlc_program_time",
       &P::tlc_program_time,
       {.doc = "programming one stripe, TLC", .quantity = kSeconds, .min = 0, .max = 1, .source = "assumed"}},
      {"erase_block",
       &P::erase_block,
       {.doc = "bytes that one erase of a die frees, all planes",
        .quantity = kBytes,
        .min = 64 * kKiB,
        .max = 16 * kGiB,
        .source = "assumed: four planes of 1536 pages of 16 KiB"}},
      {"erase_time",
       &P::erase_time,
       {.doc = "erasing a block", .quantity = kSeconds, .min = 0, .max = 1, .source = "assumed"}},
      {"program_suspend_time",
       &P::program_suspend_time,
       {.doc = "until a program gives way to a read; unlimited: never",
        .quantity = kSeconds,
        .min = 0,
        .max = bounds::kLongest,
        .unlimited = true,
        .source = "MQSim's default where the part suspends"}},
      {"erase_suspend_time",
       &P::erase_suspend_time,
       {.doc = "until an erase gives way to a read; unlimited: never",
        .quantity = kSeconds,
        .min = 0,
        .max = bounds::kLongest,
        .unlimited = true,
        .source = "MQSim's default where the part suspends"}},
      {"write_buffer",
       &P::write_buffer,
       {.doc = "written bytes the controller holds before they are programmed",
        .quantity = kBytes,
        .min = 0,
        .max = bounds::kBytes,
        .source = "assumed"}},
  };
}

Table throughput_rows() {
  using P = DeviceParams;
  return {
      {"hit_time",
       &P::hit_time,
       {.doc = "device time of a one-block read whose mapping is at hand, all dies working",
        .quantity = kSeconds,
        .min = 0,
        .max = 10e-3,
        .above_min = true,
        .source = kFit}},
      {"miss_time",
       &P::miss_time,
       {.doc = "added when the mapping must be read first",
        .quantity = kSeconds,
        .min = 0,
        .max = 10e-3,
        .source = kFit}},
      {"read_bandwidth",
       &P::read_bandwidth,
       {.doc = "bandwidth of large reads",
        .quantity = kBandwidth,
        .min = bounds::kSlowest,
        .max = bounds::kFastest,
        .source = kFit}},
      {"smoothing",
       &P::smoothing,
       {.doc = "sharpness of the knee between die and bandwidth limits: exponent of the norm that joins them",
        .min = 1,
        .max = 16,
        .source = "chosen on batches of five devices: 3 agrees better than 2"}},
      {"contention",
       &P::contention,
       {.doc = "share by which several threads on one queue lengthen each command",
        .min = 0,
        .max = 4,
        .source = "fio on a Pixel 4: 23 to 38 % less with 8 threads than with one"}},
      {"contention_window",
       &P::contention_window,
       {.doc = "threads that submitted within this time of each other contend",
        .quantity = kSeconds,
        .min = 0,
        .max = bounds::kLongest,
        .source = "assumed"}},
      {"contention_scope",
       &P::contention_scope,
       {.doc = "what contention lengthens in the closed formulas; service: commands of every size by its "
               "share; command: it bounds the rate of commands, as the event-driven device has it, so that "
               "long ones do not feel it",
        .choices = "command|service",
        .source = "fio on a Pixel 4: eight threads lose at 4 KiB and nothing at 256 KiB"}},
      {"queue_round",
       &P::queue_round,
       {.doc =
            "time in which each thread gets its turn on a queue that several share: a thread with more than "
            "one command outstanding keeps the others waiting for its share of the round; 0: all submit "
            "side by side",
        .quantity = kSeconds,
        .min = 0,
        .max = 10,
        .source = "time slices of Linux's CFQ scheduler (target_latency 300 ms); 99th percentiles of fio on "
                  "a Pixel 4"}},
  };
}

Table latency_rows() {
  using P = DeviceParams;
  return {
      {"latency_bandwidth",
       &P::latency_bandwidth,
       {.doc = "growth of one read's latency with its size, as bytes per second",
        .quantity = kBandwidth,
        .min = bounds::kSlowest,
        .max = bounds::kFastest,
        .source = kFit}},
      {"latency",
       &P::latency,
       {.doc = "one read of a block on the idle device, from submission until the thread has it, mapping at "
               "hand, fit_host_* included",
        .quantity = kSeconds,
        .min = 0,
        .max = 1,
        .above_min = true,
        .source = kFit}},
      {"map_latency",
       &P::map_latency,
       {.doc = "added to the latency when the mapping must be read first",
        .quantity = kSeconds,
        .min = 0,
        .max = 1,
        .source = kFit}},
      {"fit_dies",
       &P::fit_dies,
       {.doc =
            "dies of the part that hit_time was fitted to; tells how much longer the fullest die takes than "
            "the others, so that a part with more of them is none the slower",
        .min = 1,
        .max = 4096,
        .source = "channels * dies_per_channel of the fit"}},
      {"fit_read_bandwidth",
       &P::fit_read_bandwidth,
       {.doc = "read_bandwidth of the part that hit_time was fitted to; the same for a slower or faster bus",
        .quantity = kBandwidth,
        .min = bounds::kSlowest,
        .max = bounds::kFastest,
        .source = "read_bandwidth of the fit"}},
      {"fit_host_command",
       &P::fit_host_command,
       {.doc = "host time of a command contained in `latency`",
        .quantity = kSeconds,
        .min = 0,
        .max = 1,
        .source = "host of the measurements behind the fit"}},
      {"fit_host_per_kib",
       &P::fit_host_per_kib,
       {.doc = "host time of each KiB contained in `latency` and `latency_bandwidth`",
        .quantity = kSeconds,
        .min = 0,
        .max = 1,
        .source = "host of the measurements behind the fit"}},
      {"fit_host_wake",
       &P::fit_host_wake,
       {.doc = "delay until the waiting thread runs again contained in `latency`",
        .quantity = kSeconds,
        .min = 0,
        .max = 1,
        .source = "host of the measurements behind the fit"}},
  };
}

Table state_rows() {
  using P = DeviceParams;
  constexpr auto kJoules = Quantity::joules;
  return {
      {"heat",
       &P::heat,
       {.doc = "thermal state of the part", .choices = "cold|hot", .source = "choice of the experiment"}},
      {"hot_bandwidth",
       &P::hot_bandwidth,
       {.doc = "share of the bandwidth of channels and link that a hot part keeps",
        .min = 0,
        .max = 1,
        .above_min = true,
        .source = "a OnePlus 15R after an hour of load: 1645 against 2460 MiB/s"}},
      {"idle_power",
       &P::idle_power,
       {.doc = "power with the link up, whether or not requests are served",
        .quantity = Quantity::watts,
        .min = 0,
        .max = 100,
        .source = "rule of thumb for parts with the link up; assumed"}},
      {"command_energy",
       &P::command_energy,
       {.doc = "controller energy of one command",
        .quantity = kJoules,
        .min = 0,
        .max = 1,
        .source = "assumed"}},
      {"read_energy",
       &P::read_energy,
       {.doc = "energy of one bit read, by the bits that the array senses",
        .quantity = kJoules,
        .min = 0,
        .max = 1e-6,
        .source = "data sheets: MB/s for each mA at the supply voltage"}},
      {"map_read_energy",
       &P::map_read_energy,
       {.doc = "energy of reading one mapping page",
        .quantity = kJoules,
        .min = 0,
        .max = 1,
        .source = "array currents in SimpleSSD: 3.3 V, 25 mA, 65 us"}},
      {"slc_write_energy",
       &P::slc_write_energy,
       {.doc = "energy of one bit programmed into the pool",
        .quantity = kJoules,
        .min = 0,
        .max = 1e-6,
        .source = "assumed: active power of reads over the write rate"}},
      {"tlc_write_energy",
       &P::tlc_write_energy,
       {.doc = "energy of one bit programmed elsewhere",
        .quantity = kJoules,
        .min = 0,
        .max = 1e-6,
        .source = "assumed: active power of reads over the write rate"}},
  };
}

}  // namespace

ParamTable<DeviceParams> device_param_table() {
  Table table = link_rows();
  for (const Table& rows :
       {array_rows(), write_rate_rows(), program_rows(), throughput_rows(), latency_rows(), state_rows()}) {
    table.insert(table.end(), rows.begin(), rows.end());
  }
  return table;
}

std::vector<IdleParam> idle_params(const DeviceParams& params, std::string_view fidelity,
                                   std::initializer_list<std::string_view> unread) {
  std::vector<IdleParam> idle;
  for (const std::string_view name : unread) {
    idle.push_back({std::string(name), fmt::format("'{}' does not model it", fidelity)});
  }
  if (params.heat == "cold") {
    idle.push_back({"hot_bandwidth", "heat is cold"});
  }
  if (params.wide_reads == 0) {
    idle.push_back({"wide_above", "wide_reads is 0"});
  }
  return idle;
}

std::vector<IdleParam> idle_with_one_thread(std::initializer_list<std::string_view> names) {
  std::vector<IdleParam> idle;
  for (const std::string_view name : names) {
    idle.push_back({std::string(name), "one thread submits (phone.host_threads)"});
  }
  return idle;
}

HostCost fit_host(const DeviceParams& params, std::int64_t threads) {
  return {.per_command_s = params.fit_host_command,
          .cycles_per_command = 0.0,
          .clock_hz = 1.0,
          .per_byte_s = params.fit_host_per_kib / kKiB,
          .wake_s = params.fit_host_wake,
          .threads = threads};
}

}  // namespace kvr::flash
