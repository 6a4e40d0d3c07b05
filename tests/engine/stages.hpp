#pragma once

namespace kvr::test {

// Stages and tiers that several tests lay under what they try, as flow maps and lists of a configuration.

/// Two sinks and a window of the last entries stay, in every step.
inline constexpr const char* kWindow =
    "{when: [prefill_end, step], effect: evict, units: token, scorer: position, budget: {type: fixed, "
    "entries: 0}, pins: {sinks: 2, recent: 30}}";
/// The half of the units that the current query likes best stays, every third step.
inline constexpr const char* kUnits =
    "{when: [prefill_end, step], every: 3, effect: evict, scorer: exact, budget: {type: fraction, share: "
    "0.5}, pins: {sinks: 1, recent: 4}}";
/// What the last step's query likes best is read ahead.
inline constexpr const char* kGuess =
    "{name: guess, effect: prefetch, queries: last_step, scorer: exact, budget: {type: fixed, entries: 8}, "
    "pins: {sinks: 2, recent: 5}}";

inline constexpr const char* kTwoMemories = "[{name: hbm}, {name: dram, bandwidth: 10GB/s, latency: 1us}]";
inline constexpr const char* kThreeTiers =
    "[{name: dram}, {name: middle, capacity: 8KiB, bandwidth: 10GB/s, latency: 1us, copies: exclusive}, "
    "{name: flash}]";

}  // namespace kvr::test
