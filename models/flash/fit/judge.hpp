#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/flash/fit/row.hpp"

namespace kvr::flash::fit {

enum class Use {
  fitted,    ///< reads of one queue (Row::is_one_queue) that parameters are fitted to
  held_out,  ///< reads of one queue that only test the fit
  threads,   ///< reads of several threads with a queue each: fit `contention`, nothing else
  writes,    ///< fit the write rates
  rejected,
};

struct JudgedRow {
  Row row;
  Use use = Use::fitted;
  std::string why = {};  ///< of a rejection
  double closed = 0.0;   ///< predicted requests per second; 0: not predicted
  double event = 0.0;
};

/// Why no device of blocks of `block_bytes` can be asked about the load of `row`; empty if it can: the row
/// has no fault of its own, sizes and alignments are multiples of a block, sizes at most 16 MiB (more takes
/// long to simulate and shows nothing new) and within the range.
std::string fault_of_load(const Row& row, std::int64_t block_bytes);

/// Says what each row is used for. Rejected are rows
///   that cannot be simulated (fault_of_load);
///   off Little's law: |rate * latency - outstanding| > 5 % of outstanding; synchronous threads may spend up
///   to 20 us between two requests, which no latency contains; with at least 16 outstanding and a disk that
///   is idle for more than 10 % of the time; of reads whose rate is more than 10 % below that of the same
///   reads at a smaller depth, since no model of ours falls with depth.
/// Every `holdout`-th of the reads of one queue is held out, in the order of size and depth, the depths to
/// and fro, so that not all rows of a size or a depth are, and with those rejected, so that no outcome
/// decides which; 0 holds none out.
std::vector<JudgedRow> judge(std::vector<Row> rows, std::int64_t block_bytes, std::int64_t holdout);

}  // namespace kvr::flash::fit
