// What a point does between the steps: its sequences begin, read in, fork and end.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "sim/engine/dated.hpp"
#include "sim/engine/point_replay.hpp"

namespace kvr {

void PointReplay::begin_prompts(std::span<const std::int64_t> sequences) {
  set_running(sequences);
  machine_.set_decoding(std::ssize(running_) * config_.copies);
  std::vector<std::int64_t> tokens;
  for (std::int64_t sequence = 0; sequence < walk_.sequences(); ++sequence) {
    tokens.push_back(walk_.sequence(sequence).steps().first_position);
  }
  begin_prefill(tokens);
  load_prompt(sequences);
  charge_prefill();
  dated("when the prompt has been read", [this] { figures_.begin(); });
}

void PointReplay::begin_prefill(std::span<const std::int64_t> tokens) {
  if (config_.charges_prefill) {
    prefill_.emplace();
    prefill_->begin(heads_, memories_, tokens);
  }
}

void PointReplay::charge_prefill() {
  if (!prefill_) {
    return;
  }
  const std::int64_t tokens = prefill_->tokens() * config_.copies;
  const Prefill cost = machine_.read_in(prefill_->finish(machine_.block_bytes()), tokens, memories_);
  prefill_.reset();
  const auto set = [&](Metric metric, double value) { data_.set_of_prefill(metric, prefills_, value); };
  set(Metric::prefill_tokens, static_cast<double>(tokens));
  set(Metric::prefill_s, cost.times.latency_s());
  set(Metric::prefill_compute_s, cost.times.compute_s);
  set(Metric::prefill_io_s, cost.times.io_s);
  set(Metric::prefill_read_bytes, static_cast<double>(cost.read_bytes));
  set(Metric::prefill_write_bytes, static_cast<double>(cost.write_bytes));
  set(Metric::prefill_energy_j, cost.energy.total_j());
  ++prefills_;
}

void PointReplay::begin_turn(const Turn& turn) {
  ++turn_;
  set_running(turn.sequences);
  machine_.set_decoding(std::ssize(running_) * config_.copies);
  if (turn.act == TurnAct::prefill) {
    begin_prefill(std::vector(static_cast<std::size_t>(walk_.sequences()), turn.tokens));
  }
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
    charge_prefill();
  } else if (turn.act == TurnAct::fork) {
    share_prefix(turn);
  }
  if (turn.act != TurnAct::decode) {  // what was counted meanwhile is no step's
    dated(fmt::format("turn {}", turn_), [this] { figures_.begin(); });
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
      memory.share(turn.from * of_sequence, child * of_sequence);
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
    keep_to_dram(buffered_bytes_);
    if (prefill_) {
      prefill_->add(heads_, memories_);
    }
  });
}

}  // namespace kvr
