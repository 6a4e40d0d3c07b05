// Codecs with state: those that keep rows as they are change nothing; what references and a tail cost, to the
// byte against a plain recount; and what such a codec may not do.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "sim/base/error.hpp"
#include "tests/engine/delta_codec.hpp"
#include "tests/engine/replay_fixture.hpp"
#include "tests/engine/splitting_clustering.hpp"
#include "tests/engine/stages.hpp"

namespace kvr {
namespace {

using test::kGuess;
using test::kThreeTiers;
using test::kUnits;
using test::kWindow;
using test::largest;
using test::Setup;
using test::smallest;
using test::total;
using test::values;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made;
  return made;
}

constexpr std::int64_t kPrompt = 65;
constexpr double kDeltaBytes = 2.0 * (4 + 16);  ///< K and V of an entry

std::string delta(std::int64_t stride, std::int64_t depth, std::int64_t tail) {
  return fmt::format("{{type: {}, stride: {}, depth: {}, tail: {}}}", test::kDelta, stride, depth, tail);
}

std::vector<Setup> varied_setups() {
  std::vector<Setup> setups;
  const std::vector<std::string> clusterings = {
      "token", "{type: page, page_tokens: 8}", "{type: kmeans, entries_per_cluster: 7, refit_every: 9}",
      "{type: adaptive, entries_per_cluster: 7, buffer_entries: 3}"};
  const std::vector<std::string> layouts = {
      "token_order",        "{type: token_order, interleave_heads: true, page_buffer: 4KiB}",
      "cluster_contiguous", "{type: cluster_contiguous, page_buffer: 4KiB, wait_steps: 5}",
      "cluster_by_cluster", "{type: cluster_by_cluster, on_growth: shift}",
      "dual_head",          "{type: dual_head, page_buffer: 4KiB}"};
  const std::vector<std::string> replacements = {"none", "lru", "cluster_aligned"};
  const std::vector<std::string> before = {"", kWindow, kUnits, kGuess};
  for (std::size_t i = 0; i < clusterings.size() * layouts.size(); ++i) {
    Setup setup;
    setup.clustering = clusterings[i % clusterings.size()];
    setup.layout = layouts[i / clusterings.size()];
    setup.replacement = replacements[i % replacements.size()];
    setup.stages_before = before[(i + i / 4) % before.size()];
    setup.schedule = setup.stages_before == kGuess ? "look_ahead" : i % 5 == 1 ? "dynakv" : "serial";
    setup.tiers = setup.schedule == "serial" && i % 3 == 0 ? kThreeTiers : "[]";
    setup.heads_together = i % 4 == 2;
    setup.cache_bytes = 80 * test::kEntryBytes;
    setup.check = "every_step";
    setups.push_back(setup);
  }
  return setups;
}

TEST_CASE("a codec that keeps rows as they are changes no bit, apart or joint, whatever it might refer to") {
  for (Setup setup : varied_setups()) {
    CAPTURE(setup.describe());
    CAPTURE(setup.stages_before);
    const PointResult plain = fixture().run(setup);
    setup.codec = test::kKept;
    CHECK(test::same_bits(plain, fixture().run(setup)));
    setup.joint_codec = true;
    CHECK(test::same_bits(plain, fixture().run(setup)));
    setup.codec = fmt::format("{{type: {}, depth: 2}}", test::kKept);
    PointResult might = fixture().run(setup);
    for (const MetricInfo& metric : metric_table()) {
      const bool own = metric.id == Metric::reference_read_bytes || metric.id == Metric::referenced_bytes;
      CHECK((metric.origin == Origin::host || own || test::same_bits(plain, might, metric.id)));
    }
    CHECK(total(might, Metric::reference_read_bytes) + total(might, Metric::referenced_bytes) == 0.0);
  }
}

TEST_CASE("references hold in every step, on any number of threads, under all that moves entries") {
  std::int64_t held = 0;
  for (Setup setup : varied_setups()) {
    CAPTURE(setup.describe());
    CAPTURE(setup.stages_before);
    for (const std::int64_t tail : {0, 9}) {
      CAPTURE(tail);
      setup.codec = delta(5, 3, tail);
      setup.threads = 1;
      const PointResult result = fixture().run(setup);
      CHECK(total(result, Metric::reference_read_bytes) >= 0.0);
      held += total(result, Metric::referenced_bytes) > 0.0 ? 1 : 0;
      setup.threads = 3;
      CHECK(test::same_bits(result, fixture().run(setup)));
    }
  }
  CHECK(held >= 10);
}

TEST_CASE("units that are split and buffered at odd moments keep their references") {
  Setup setup;
  setup.clustering = fmt::format("{{type: {}}}", test::kSplitting);
  setup.scorer = "centroid";
  setup.replacement = "lru";
  setup.cache_bytes = 60 * test::kEntryBytes;
  setup.check = "every_step";
  for (const char* const layout : {"token_order", "cluster_contiguous", "cluster_by_cluster", "dual_head"}) {
    for (const std::int64_t tail : {0, 1, 6, 70}) {
      CAPTURE(layout);
      CAPTURE(tail);
      setup.layout = layout;
      setup.codec = delta(4, 2, tail);
      CHECK(total(fixture().run(setup), Metric::attended_entries) > 0.0);
    }
  }
}

/// The 10 latest candidates are chosen, behind two sinks and before the five recent entries: of them and of
/// what they refer to, in a plain list of what is in DRAM.
struct LatestTen {
  explicit LatestTen(std::int64_t whole_every) : stride(whole_every) {}

  /// Reads for references at position p, in entries. `cached`: what is chosen stays in DRAM.
  std::int64_t step(EntryIndex p, bool cached) {
    std::set<EntryIndex> read;
    std::set<EntryIndex> along;
    const auto chosen_or_pinned = [&](EntryIndex entry) { return entry < 2 || entry >= p - 15; };
    for (EntryIndex entry = p - 15; entry < p - 5; ++entry) {
      if (!in_cache.contains(entry)) {
        read.insert(entry);
      }
    }
    for (const EntryIndex entry : read) {
      const auto whole = static_cast<EntryIndex>(entry / stride * stride);
      if (whole != entry && !chosen_or_pinned(whole) && !in_cache.contains(whole)) {
        along.insert(whole);
      }
    }
    chosen_reads = std::ssize(read);
    if (cached) {
      in_cache.insert(read.begin(), read.end());
    }
    return std::ssize(along);
  }

  std::int64_t stride;
  std::set<EntryIndex> in_cache;
  std::int64_t chosen_reads = 0;
};

TEST_CASE("reads for references are those of a plain recount, to the byte") {
  for (const std::int64_t stride : {3, 7, 16, 40}) {
    for (const bool cached : {false, true}) {
      CAPTURE(stride);
      CAPTURE(cached);
      Setup setup;
      setup.scorer = "position";
      setup.codec = delta(stride, 1, 0);
      setup.replacement = cached ? "lru" : "none";
      setup.cache_bytes = 1 << 20;
      const PointResult result = fixture().run(setup);
      LatestTen plain(stride);
      for (std::int64_t step = 0; step < result.data.steps(); ++step) {
        CAPTURE(step);
        const auto position = static_cast<EntryIndex>(kPrompt + step);
        const auto along = static_cast<double>(plain.step(position, cached));
        CHECK(result.data.at(Metric::reference_read_bytes, step, 1, 0) == along * kDeltaBytes);
        CHECK(result.data.at(Metric::useful_read_bytes, step, 1, 0) ==
              static_cast<double>(plain.chosen_reads) * kDeltaBytes);
        // All entries of a head lie in one run of 1024, at this size in a few blocks: each is read once.
        std::set<std::int64_t> blocks;
        if (!cached) {
          const auto add = [&](EntryIndex entry) {
            for (std::int64_t head = 0; head < 2; ++head) {
              const std::int64_t begin = (head * 1024 + entry) * 40;
              blocks.insert(begin / 4096);
              blocks.insert((begin + 39) / 4096);
            }
          };
          for (EntryIndex entry = position - 15; entry < position - 5; ++entry) {
            add(entry);
            add(entry / static_cast<EntryIndex>(stride) * static_cast<EntryIndex>(stride));
          }
          CHECK(result.data.at(Metric::read_bytes, step, 1) == 4096.0 * static_cast<double>(blocks.size()));
        }
      }
    }
  }
}

TEST_CASE("joint and together, an entry is read with what all of its heads refer to, once") {
  Setup setup;
  setup.scorer = "position";
  setup.codec = delta(16, 1, 0);
  setup.heads_together = true;
  for (const bool joint : {false, true}) {
    setup.joint_codec = joint;
    const PointResult result = fixture().run(setup);
    LatestTen plain(16);
    // One scale for each plane of each head, or one for all of them.
    const double entry_bytes = joint ? (4.0 + 64.0) / 2.0 : kDeltaBytes;
    for (std::int64_t step = 0; step < result.data.steps(); ++step) {
      const auto along = plain.step(static_cast<EntryIndex>(kPrompt + step), false);
      for (const std::int64_t head : {0, 1}) {
        CHECK(result.data.at(Metric::reference_read_bytes, step, 0, head) ==
              static_cast<double>(along) * entry_bytes);
      }
    }
  }
}

TEST_CASE("a removed record stays as long as a live one refers to it, in all that is on flash") {
  constexpr EntryIndex kStride = 8;
  for (const char* const layout : {"token_order", "cluster_contiguous", "cluster_by_cluster", "dual_head",
                                   "{type: cluster_contiguous, page_buffer: 4KiB, wait_steps: 5}"}) {
    CAPTURE(layout);
    Setup setup;
    setup.selects = false;
    setup.stages_before = kWindow;
    setup.layout = layout;
    setup.codec = delta(kStride, 1, 0);
    setup.check = "every_step";
    const PointResult result = fixture().run(setup);
    std::set<EntryIndex> live = {0, 1};  // of the prompt, when it is stored
    std::vector<EntryIndex> whole_of;
    const auto store = [&](EntryIndex entry) {
      whole_of.resize(static_cast<std::size_t>(entry) + 1, -1);
      for (EntryIndex to = entry; entry % kStride != 0 && to-- > 0;) {
        if (live.contains(to) && whole_of[static_cast<std::size_t>(to)] < 0) {
          whole_of[static_cast<std::size_t>(entry)] = to;
          break;
        }
      }
    };
    for (EntryIndex entry = 0; entry < kPrompt; ++entry) {
      if (entry < 2 || entry >= kPrompt - 30) {
        live.insert(entry);
        store(entry);
      }
    }
    bool any = false;
    for (std::int64_t step = 0; step < result.data.steps(); ++step) {
      CAPTURE(step);
      const auto position = static_cast<EntryIndex>(kPrompt + step);
      live.insert(position);
      store(position);
      std::erase_if(live, [&](EntryIndex entry) { return entry >= 2 && entry <= position - 30; });
      std::set<EntryIndex> held;
      for (const EntryIndex entry : live) {
        const EntryIndex to = whole_of[static_cast<std::size_t>(entry)];
        if (to >= 0 && !live.contains(to)) {
          held.insert(to);
        }
      }
      any = any || !held.empty();
      for (const std::int64_t head : {0, 1}) {
        CHECK(result.data.at(Metric::referenced_bytes, step, 1, head) ==
              static_cast<double>(held.size()) * kDeltaBytes);
      }
      CHECK(result.data.at(Metric::attended_entries, step, 1, 0) == 33.0);
    }
    CHECK(any);
  }
}

TEST_CASE("without a tier below, what is held stays in DRAM") {
  Setup setup;
  setup.selects = false;
  setup.stages_before = kWindow;
  setup.tiers = "[{name: dram}]";
  setup.codec = delta(8, 1, 0);
  setup.check = "every_step";
  const PointResult result = fixture().run(setup);
  CHECK(total(result, Metric::reference_read_bytes) == 0.0);
  for (std::int64_t step = 0; step < result.data.steps(); ++step) {
    double held = 0.0;
    for (std::int64_t head = 0; head < test::kHeads; ++head) {
      held += result.data.at(Metric::referenced_bytes, step, head / 2, head % 2);
    }
    CHECK(result.data.at(Metric::cache_bytes, step) + result.data.at(Metric::pinned_bytes, step) ==
          32.0 * kDeltaBytes * static_cast<double>(test::kHeads) + held);
  }
}

TEST_CASE("the tail is in DRAM at two bytes an element, is never read, and is written when it ends") {
  constexpr std::int64_t kTail = 20;
  Setup setup;
  setup.scorer = "position";
  setup.codec = delta(4, 1, kTail);
  setup.check = "every_step";
  const PointResult result = fixture().run(setup);
  // The chosen ten, the recent five and the current entry are all in the tail.
  CHECK(total(result, Metric::read_bytes) == 0.0);
  CHECK(total(result, Metric::hit_bytes) == total(result, Metric::demanded_bytes));
  for (std::int64_t step = 0; step < result.data.steps(); ++step) {
    CHECK(result.data.at(Metric::appended_bytes, step, 1) == 2.0 * kDeltaBytes);
    // Two sinks, the recent five and the current entry are pinned; fourteen more of the tail wait.
    const auto of_heads = [](double bytes) { return static_cast<double>(test::kHeads) * bytes; };
    const double more = static_cast<double>(kTail) * (static_cast<double>(test::kEntryBytes) - kDeltaBytes);
    CHECK(result.data.at(Metric::pinned_bytes, step) == of_heads(8.0 * kDeltaBytes));
    CHECK(result.data.at(Metric::write_buffer_bytes, step) == of_heads(14.0 * kDeltaBytes + more));
  }
  setup.codec = delta(4, 1, 1000);  // nothing is ever written
  const PointResult all = fixture().run(setup);
  CHECK(total(all, Metric::write_bytes) == 0.0);
  CHECK(total(all, Metric::flash_space_bytes) == 0.0);
  setup.codec = "fp16";
  const PointResult plain = fixture().run(setup);
  for (const Metric metric : {Metric::recall, Metric::mass, Metric::output_error}) {
    CHECK(test::same_bits(all, plain, metric));
  }
}

TEST_CASE("what codecs were fitted to is what stages have left, and what they keep of it is metadata") {
  Setup setup;
  setup.selects = false;
  setup.stages_before = kWindow;
  const PointResult plain = fixture().run(setup);
  setup.codec = delta(4, 1, 0);
  const PointResult fitted = fixture().run(setup);
  // Of keys and of values of each head, 8 bytes for each of the 32 entries left of the prompt.
  for (std::int64_t step = 0; step < fitted.data.steps(); ++step) {
    CHECK(fitted.data.at(Metric::metadata_bytes, step) - plain.data.at(Metric::metadata_bytes, step) ==
          static_cast<double>(test::kHeads) * 2.0 * 8.0 * 32.0);
  }
}

TEST_CASE("what decoding takes is charged, for what comes up and what comes with it") {
  Setup setup;
  setup.scorer = "position";
  setup.codec = delta(16, 1, 0);
  const PointResult without = fixture().run(setup);
  setup.codec = fmt::format("{{type: {}, stride: 16, flops: 1000000}}", test::kDelta);
  const PointResult charged = fixture().run(setup);
  for (std::int64_t step = 0; step < charged.data.steps(); ++step) {
    CHECK(charged.data.at(Metric::compute_s, step) > without.data.at(Metric::compute_s, step));
  }
  CHECK(test::same_bits(charged, without, Metric::read_bytes));
}

/// The fault of a run, or nothing.
std::string fault_of(const Setup& setup) {
  try {
    fixture().run(setup);
  } catch (const PolicyFault& fault) {
    return fault.what();
  }
  return "";
}

TEST_CASE("a codec that refers to what is not there is told so, by name, place and step") {
  struct Fault {
    const char* name;
    const char* message;
  };
  Setup setup;
  setup.stages_before = kWindow;
  for (const Fault& fault : {Fault{"itself", "it refers to entry 81, which is not stored before it"},
                             Fault{"never", "it refers to entry -3, which is not stored before it"},
                             Fault{"removed", "it refers to entry 3, which was removed"},
                             Fault{"twice", "it refers to entry 0 twice"},
                             Fault{"bytes", "it is stored in 19 bytes, a row has 20"}}) {
    CAPTURE(fault.name);
    setup.codec = fmt::format("{{type: {}, fault: {}}}", test::kDelta, fault.name);
    const std::string found = fault_of(setup);
    CAPTURE(found);
    CHECK(found.starts_with("codec 'test_delta': layer "));
    CHECK(found.find("entry 81: ") != std::string::npos);
    CHECK(found.find(fault.message) != std::string::npos);
    CHECK(found.ends_with("(step 16)"));
  }
  setup.codec = fmt::format("{{type: {}, fault: deep}}", test::kDelta);
  CHECK(fault_of(setup).find("decoding goes through 2 rows, the codec says 1 at most") != std::string::npos);
}

}  // namespace
}  // namespace kvr
