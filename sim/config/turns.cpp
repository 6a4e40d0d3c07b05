#include "sim/config/turns.hpp"

#include <fmt/format.h>

#include <vector>

namespace kvr::config {

void check_turns(const Resolved& turns, std::string_view path, Problems& problems) {
  for (std::size_t i = 0; i < turns.children.size(); ++i) {
    const Resolved& turn = turns.children[i];
    if (turn.children.empty()) {  // no map, which has been told
      continue;
    }
    std::vector<std::string_view> acts;
    for (const std::string_view act : {"decode", "prefill"}) {
      if (std::get<std::int64_t>(turn.at(act).value) > 0) {
        acts.push_back(act);
      }
    }
    if (std::get<std::int64_t>(turn.at("fork").value) >= 0) {
      acts.push_back("fork");
    }
    if (std::get<bool>(turn.at("drop").value)) {
      acts.push_back("drop");
    }
    if (acts.size() != 1) {
      problems.add(
          turn.mark, fmt::format("{}.{}", path, i),
          fmt::format("does {}; allowed: one of decode and prefill, of at least 1 token, fork and drop",
                      acts.empty() ? "nothing" : fmt::format("{}", fmt::join(acts, " and "))));
    }
  }
}

}  // namespace kvr::config
