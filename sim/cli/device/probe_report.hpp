#pragma once

#include <span>
#include <string>
#include <vector>

#include "models/flash/storage/probe.hpp"
#include "models/flash/storage/storage_host.hpp"

namespace kvr {

/// What a probe found, and on what.
struct ProbeReport {
  std::string engine;  ///< "io_uring" or "threads"
  std::string path;
  double warm_up_s = 0.0;
  std::int64_t passes = 1;  ///< behind each row
  flash::StorageHost host;
  std::vector<std::string> remarks;
  std::vector<flash::ProbeRow> rows;
};

/// A size as fio writes it: "4k", "128M", "8G", else bytes.
std::string fio_size(std::int64_t bytes);

/// JSON in fio's layout, with an object `host` besides; what reads fio's files reads this. Options are texts,
/// as fio's are. Ends in a new line.
std::string probe_json(const ProbeReport& report);

/// A row per job for a terminal.
std::string probe_table(std::span<const flash::ProbeRow> rows);

}  // namespace kvr
