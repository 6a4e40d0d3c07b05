#include "sim/cli/result/open_results.hpp"

#include "traces/checks/rehearsal.hpp"

namespace kvr::cli {

ResultFile open_results(const std::filesystem::path& path) {
  trace::rehearse(path, trace::limits_for(path), [&] {
    ResultFile(path).check();
    return trace::Lines{};
  });
  return ResultFile(path);
}

}  // namespace kvr::cli
