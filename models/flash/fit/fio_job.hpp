#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "models/flash/fit/row.hpp"

namespace kvr::flash::fit {

/// One entry of fio's "jobs".
struct FioJob {
  Row row;
  std::string group;  ///< same for the jobs that one section of the job file started
};

/// What a job is read with besides itself.
struct FioContext {
  std::string file;
  nlohmann::json global_options;  ///< an object, or null
  double link_bytes_per_s = 0.0;
};

/// Reads entry number `index`. Empty if anything is wrong with it, which is then in `problems`.
std::optional<FioJob> read_fio_job(const FioContext& context, const nlohmann::json& job, std::size_t index,
                                   std::vector<std::string>& problems);

}  // namespace kvr::flash::fit
