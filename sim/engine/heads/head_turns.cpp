// What heads do in turns that are no decoding of theirs.
#include <vector>

#include "sim/engine/heads/head_policies.hpp"

namespace kvr {

void HeadPolicies::rest() {
  resting_ = true;
  demanded_.clear();
  guessed_.clear();
  entries_read_ = {};
  begin_account();
}

void HeadPolicies::end() {
  std::vector<EntryIndex> entries;
  live_.for_each([&entries](EntryIndex entry) { entries.push_back(entry); });
  rest();
  see_all();
  remove(entries);
  ended_ = true;
}

void HeadPolicies::read_in() {
  reads_in_ = true;
  --steps_;  // it decodes nothing
  demand_all();
  all_.front().units.clear();  // pins, which are attended to anyway, are taken out of them
  std::erase_if(all_.front().entries, [this](EntryIndex entry) { return !range().contains(entry); });
  demanded_.clear();
  guessed_.clear();
  entries_read_ = {};
}

}  // namespace kvr
