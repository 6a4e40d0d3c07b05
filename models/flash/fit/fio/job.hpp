#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "models/flash/fit/row.hpp"

namespace kvr::flash::fit {

/// When a section of a job file begins to run.
enum class FioStart {
  unknown,   ///< nothing is said of groups
  in_group,  ///< with those of its group that come before it
  beside,    ///< in a new group, but without waiting for the one before
  behind,    ///< when all before it are done
};

/// One entry of fio's "jobs".
struct FioJob {
  Row row;
  std::string section;  ///< same for the jobs that one section of the job file started
  std::string group;    ///< fio's groupid
  FioStart start = FioStart::unknown;
};

/// What a job is read with besides itself.
struct FioContext {
  std::string file;
  nlohmann::json global_options;  ///< an object, or null
  double link_bytes_per_s = 0.0;
  std::optional<std::int64_t> whole_bytes = std::nullopt;  ///< of the file or device that rows read
};

/// Reads entry number `index`. Empty if anything is wrong with it, which is then in `problems`.
std::optional<FioJob> read_fio_job(const FioContext& context, const nlohmann::json& job, std::size_t index,
                                   std::vector<std::string>& problems);

}  // namespace kvr::flash::fit
