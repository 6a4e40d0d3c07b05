#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/params.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/compute_model.hpp"

namespace kvr::flash {

/// One flash device as every fidelity sees it, so that one file fitted to a part drives them all. A fidelity
/// reads the rows it models and ignores the rest. The defaults are a UFS 4.0 part
/// (configs/devices/ufs40.yaml).
struct DeviceParams {
  std::string name = "ufs40";

  // The link and the command path.
  std::int64_t queue_depth = 32;
  std::int64_t hw_queues = 1;
  std::string duplex = "full";
  double link = 4200e6;
  double command_link_time = 0.3e-6;
  std::int64_t max_transfer = 524'288;
  std::int64_t block = 4096;
  double firmware_time = 1.5e-6;
  std::int64_t firmware_servers = 1;
  double command_delay = 0.0;
  std::int64_t wide_reads = 0;
  std::int64_t wide_above = 4096;

  // The flash array and its mapping table.
  std::int64_t channels = 4;
  std::int64_t dies_per_channel = 2;
  std::int64_t stripe = 65'536;
  std::int64_t page = 16'384;
  double read_time = 27e-6;
  double read_time_spread = 0.0;
  bool cache_read = true;
  double map_read_time = 36e-6;
  double channel_bandwidth = 1000e6;
  double map_coverage = 400e6;
  std::string mapping = "statistical";

  // Writes.
  double slc_bandwidth = 1650e6;
  double tlc_bandwidth = 641e6;
  double fold_bandwidth = 320e6;
  double fold_delay = 10e-3;
  std::int64_t slc_pool = 12'000'000'000;
  double slc_program_time = 200e-6;
  double tlc_program_time = 800e-6;
  std::int64_t erase_block = 100'663'296;
  double erase_time = 3.5e-3;
  double program_suspend_time = 100e-6;
  double erase_suspend_time = 700e-6;
  std::int64_t write_buffer = 2'097'152;
  double write_amplification = 1.1;

  // What the closed formulas are fitted with (analytic_model.hpp).
  double hit_time = 4.09e-6;
  double miss_time = 5.03e-6;
  double read_bandwidth = 3990e6;
  double latency_bandwidth = 3469e6;
  double latency = 52e-6;
  double map_latency = 41e-6;
  double smoothing = 3.3;
  double contention = 0.35;
  double contention_window = 1e-3;
  std::string contention_scope = "service";
  double queue_round = 0.0;
  std::int64_t fit_dies = 8;
  double fit_read_bandwidth = 3990e6;
  double fit_host_command = 4e-6;
  double fit_host_per_kib = 0.0;
  double fit_host_wake = 15e-6;

  // Heat and energy.
  std::string heat = "cold";
  double hot_bandwidth = 0.67;
  double idle_power = 0.1;
  double command_energy = 1e-6;
  double read_energy = 50e-12;
  double map_read_energy = 5.4e-6;
  double slc_write_energy = 130e-12;
  double tlc_write_energy = 340e-12;

  /// Share of the bandwidth of channels and link that the state of the part leaves.
  double thermal_factor() const { return heat == "hot" ? hot_bandwidth : 1.0; }
};

ParamTable<DeviceParams> device_param_table();

/// `unread` and what the state of the part leaves without effect; `fidelity` does not model the former.
std::vector<IdleParam> idle_params(const DeviceParams& params, std::string_view fidelity,
                                   std::initializer_list<std::string_view> unread);

/// `names`, which only several threads feel.
std::vector<IdleParam> idle_with_one_thread(std::initializer_list<std::string_view> names);

/// The host behind the measurements that `params` describe, with so many threads that submit.
HostCost fit_host(const DeviceParams& params, std::int64_t threads = 1);

/// What contradicts itself across parameters, one line "parameter: what is wrong (given); what is allowed"
/// each; empty when the set is sound. Ranges of single parameters are the table's.
std::vector<std::string> check(const DeviceParams& params);

/// Throws InputError with every problem that `check` finds.
void require_sound(const DeviceParams& params);

}  // namespace kvr::flash
