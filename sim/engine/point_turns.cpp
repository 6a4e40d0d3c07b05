// What a point does between the steps: its sequences begin, read in, fork and end.
#include <fmt/format.h>

#include <algorithm>

#include "sim/engine/dated.hpp"
#include "sim/engine/point_replay.hpp"

namespace kvr {

void PointReplay::begin_turn(const Turn& turn) {
  ++turn_;
  set_running(turn.sequences);
  machine_.set_decoding(std::ssize(running_) * config_.copies);
  if (turn.act == TurnAct::drop) {
    dated(fmt::format("turn {}", turn_), [&] { drop(turn); });
  }
}

void PointReplay::drop(const Turn& turn) {
  for (std::size_t i = 0; i < heads_.size(); ++i) {
    if (std::ranges::find(turn.sequences, heads_[i].id().sequence) != turn.sequences.end()) {
      const auto set = static_cast<std::int64_t>(i);
      heads_[i].end();
      memories_[static_cast<std::size_t>(set / sets())].drop(set % sets());
    }
  }
  forget();
}

void PointReplay::forget() {
  for (LayerMemory& memory : memories_) {
    memory.forget();
  }
  keep_to_dram(0);
}

void PointReplay::end_turn(const Turn& turn) {
  if (turn.act == TurnAct::prefill) {
    end_prefill();
  } else if (turn.act == TurnAct::fork) {
    share_prefix(turn);
  }
}

/// As at the end of the prompt, but that there are units already.
void PointReplay::end_prefill() {
  dated(fmt::format("turn {}", turn_), [this] {
    stages_.evict_prompt(StageUnits::token, heads_, walk_.workers());
    stages_.evict_prompt(StageUnits::clustering, heads_, walk_.workers());
    forget();
    place_prompt();
    keep_to_dram(0);
  });
}

void PointReplay::share_prefix(const Turn& turn) {
  const std::string place = config_.place(fmt::format("workload.turns.{}.fork", turn_));
  const std::int64_t of_sequence = walk_.kv_heads() / members_;
  for (const std::int64_t child : turn.sequences) {
    walk_.check_same(turn.from, child, place);
    for (LayerMemory& memory : memories_) {
      if (memory.on_flash()) {
        memory.share(turn.from * of_sequence, child * of_sequence);
      }
    }
  }
}

void PointReplay::read_in() {
  dated(fmt::format("turn {}", turn_), [this] {
    begin_step();
    for (HeadPolicies& head : heads_) {
      if (!head.resting()) {
        head.read_in();
      }
    }
    attend(false);
    move_entries();
    keep_to_dram(buffered_entries_);
  });
}

}  // namespace kvr
