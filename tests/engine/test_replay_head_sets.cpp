// Heads that decide together: one choice for all KV heads of a layer, held against a plain ranking; what is
// read and kept is what the heads alone would have, in wider entries.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "sim/base/convert.hpp"
#include "tests/engine/replay_fixture.hpp"

namespace kvr {
namespace {

using test::largest;
using test::Setup;
using test::smallest;
using test::total;
using test::values;

constexpr std::int64_t kPrompt = 65;
constexpr std::int64_t kHeadsOfLayer = 2;
constexpr std::size_t kBudget = 10;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made;
  return made;
}

Setup together(Setup setup = {}) {
  setup.heads_together = true;
  setup.check = "every_step";
  return setup;
}

TEST_CASE("one KV head together is that head") {
  trace::SynthOptions options = test::small_trace();
  options.kv_heads = 1;
  const test::ReplayFixture narrow(options);
  for (const char* clustering : {"token", "{type: adaptive, entries_per_cluster: 7, buffer_entries: 3}"}) {
    Setup setup;
    setup.clustering = clustering;
    setup.replacement = "lru";
    setup.cache_bytes = 40 * test::kEntryBytes;
    CHECK(test::same_bits(narrow.run(setup), narrow.run(together(setup))));
  }
}

/// The candidates of layer `layer` that all query heads of all KV heads rank best by their mean logit.
std::vector<std::int64_t> best_of_layer(const trace::Reader& reader, std::int64_t layer,
                                        std::int64_t position) {
  const std::int64_t d = reader.header().geometry.head_dim;
  const std::int64_t end = position - 5;
  std::vector<std::pair<double, std::int64_t>> ranked;
  for (std::int64_t entry = 2; entry < end; ++entry) {
    ranked.emplace_back(0.0, entry);
  }
  std::vector<Half> keys(static_cast<std::size_t>(end * d));
  std::vector<Half> query(static_cast<std::size_t>(d));
  const std::int64_t row = reader.query_row(position);
  for (std::int64_t head = 0; head < kHeadsOfLayer; ++head) {
    reader.read(trace::Field::keys, layer, head, 0, end, keys);
    for (std::int64_t g = 0; g < 2; ++g) {
      reader.read(trace::Field::queries, layer, head * 2 + g, row, row + 1, query);
      for (auto& [minus_logits, entry] : ranked) {
        for (std::size_t i = 0; i < query.size(); ++i) {
          const std::size_t k = static_cast<std::size_t>(entry * d) + i;
          minus_logits -= static_cast<double>(to_float(query[i])) * static_cast<double>(to_float(keys[k]));
        }
      }
    }
  }
  std::ranges::sort(ranked);
  std::vector<std::int64_t> best;
  for (std::size_t i = 0; i < kBudget; ++i) {
    best.push_back(ranked[i].second);
  }
  return best;
}

/// Share of each query head's truly best candidates that are in `chosen`, mean of the group.
double recall_of(const trace::Reader& reader, std::int64_t layer, std::int64_t head, std::int64_t position,
                 const std::vector<std::int64_t>& chosen) {
  const std::int64_t d = reader.header().geometry.head_dim;
  std::vector<Half> keys(static_cast<std::size_t>(position * d));
  reader.read(trace::Field::keys, layer, head, 0, position, keys);
  std::vector<Half> query(static_cast<std::size_t>(d));
  const std::int64_t row = reader.query_row(position);
  double found = 0.0;
  for (std::int64_t g = 0; g < 2; ++g) {
    reader.read(trace::Field::queries, layer, head * 2 + g, row, row + 1, query);
    std::vector<std::pair<double, std::int64_t>> ranked;
    for (std::int64_t entry = 2; entry < position - 5; ++entry) {
      double logit = 0.0;
      for (std::size_t i = 0; i < query.size(); ++i) {
        const std::size_t k = static_cast<std::size_t>(entry * d) + i;
        logit += static_cast<double>(to_float(query[i])) * static_cast<double>(to_float(keys[k]));
      }
      ranked.emplace_back(-logit, entry);
    }
    std::ranges::sort(ranked);
    for (std::size_t i = 0; i < kBudget; ++i) {
      found += std::ranges::find(chosen, ranked[i].second) != chosen.end() ? 1.0 : 0.0;
    }
  }
  return found / 2.0 / static_cast<double>(kBudget);
}

TEST_CASE("together the heads choose what all their query heads rank best, as a plain ranking does") {
  const PointResult result = fixture().run(together());
  const trace::Reader reader(fixture().trace_path());
  for (std::int64_t step = 0; step < result.data.steps(); ++step) {
    for (std::int64_t layer = 0; layer < 2; ++layer) {
      const auto chosen = best_of_layer(reader, layer, kPrompt + step);
      for (std::int64_t head = 0; head < kHeadsOfLayer; ++head) {
        const auto at = [&](Metric metric) { return result.data.at(metric, step, layer, head); };
        CHECK(at(Metric::selected_entries) == static_cast<double>(kBudget));
        CHECK(at(Metric::useful_read_bytes) == static_cast<double>(kBudget) * test::kEntryBytes);
        CHECK(at(Metric::recall) ==
              doctest::Approx(recall_of(reader, layer, head, kPrompt + step, chosen)).epsilon(1e-12));
      }
      // Side by side on flash: a run of neighbouring entries is one request for all heads.
      auto runs = std::ranges::count_if(
          chosen, [&](std::int64_t e) { return std::ranges::find(chosen, e - 1) == chosen.end(); });
      CHECK(result.data.at(Metric::read_requests, step, layer) <= static_cast<double>(runs));
      CHECK(result.data.at(Metric::contiguous_mean_entries, step, layer) ==
            static_cast<double>(kBudget) / static_cast<double>(runs));
    }
  }
}

TEST_CASE("what attends to everything is the same together, and takes the same flash and DRAM") {
  for (const char* model : {"{type: decoder}",
                            "{type: decoder, layers: 3, query_heads: 8, kv_heads: 4, head_dim: "
                            "32, hidden: 256, ffn: 512, vocab: 1000}"}) {
    CAPTURE(model);
    Setup setup;
    setup.model = model;
    setup.selects = false;
    const PointResult each = fixture().run(setup);
    const PointResult all = fixture().run(together(setup));
    for (const Metric metric :
         {Metric::mass, Metric::output_error, Metric::attended_entries, Metric::useful_read_bytes,
          Metric::demanded_bytes, Metric::appended_bytes, Metric::pinned_bytes, Metric::working_buffer_bytes,
          Metric::flash_space_bytes, Metric::compute_s}) {
      CAPTURE(info(metric).name);
      const auto a = values(each, metric);
      const auto b = values(all, metric);
      CHECK(
          std::ranges::equal(a, b, [](double x, double y) { return x == doctest::Approx(y).epsilon(1e-9); }));
    }
  }
}

TEST_CASE("each head of a set attends for itself: fold none gives every query head its own choice") {
  Setup setup;
  setup.fold = "none";
  const PointResult each = fixture().run(setup);
  const PointResult all = fixture().run(together(setup));
  // A query head ranks by its own logits, whoever decides: the same choices, and the union of more is read.
  for (const Metric metric : {Metric::recall, Metric::mass, Metric::selected_entries, Metric::output_error}) {
    CAPTURE(info(metric).name);
    CHECK(std::ranges::equal(values(each, metric), values(all, metric),
                             [](double x, double y) { return x == doctest::Approx(y).epsilon(1e-6); }));
  }
  CHECK(total(all, Metric::demanded_bytes) > total(each, Metric::demanded_bytes));
}

/// Over every kind of unit, layout, cache and schedule, evicting and reading ahead.
std::vector<Setup> sets() {
  const std::vector<std::string> clusterings = {
      "token", "{type: page, page_tokens: 8}", "{type: kmeans, entries_per_cluster: 7, refit_every: 9}",
      "{type: kmeans_local, entries_per_cluster: 7, window: 6, window_clusters: 2}",
      "{type: adaptive, entries_per_cluster: 7, buffer_entries: 3}"};
  const std::vector<std::string> layouts = {"{type: token_order, page_buffer: 4KiB}",
                                            "{type: cluster_contiguous, page_buffer: 4KiB, wait_steps: 5}",
                                            "cluster_by_cluster", "dual_head"};
  const std::vector<std::string> replacements = {"none", "lru", "cluster_aligned", "arc"};
  const std::vector<std::string> schedules = {"look_ahead", "serial", "dynakv"};
  const std::vector<std::string> scorers = {"exact", "centroid", "box_bound",
                                            "{type: product_quantisation, subspaces: 4, bits: 3}"};
  std::vector<Setup> setups;
  for (std::size_t c = 0; c < clusterings.size(); ++c) {
    for (std::size_t l = 0; l < layouts.size(); ++l) {
      Setup setup;
      setup.clustering = clusterings[c];
      setup.layout = layouts[l];
      setup.replacement = replacements[(c + l) % replacements.size()];
      setup.schedule = schedules[(c + l) % schedules.size()];
      setup.scorer = scorers[(c + 2 * l) % scorers.size()];
      setup.fold = l % 2 == 0 ? "none" : "mean";
      setup.cache_bytes = 60 * test::kEntryBytes;
      setup.stages_before =
          "{layers: 1, effect: prefetch, queries: previous_layer, scorer: exact, budget: {type: fixed, "
          "entries: "
          "7}}, {when: [prefill_end, step], every: 3, effect: evict, units: token, scorer: "
          "exact, "
          "budget: {type: fixed, entries: 12}, pins: {sinks: 2, recent: 20}}";
      setups.push_back(together(setup.schedule == "dynakv" ? setup.layer_by_layer() : setup));
    }
  }
  return setups;
}

TEST_CASE("together units, places, caches and sums are consistent in every step, on any number of threads") {
  for (Setup setup : sets()) {
    CAPTURE(setup.describe());
    const PointResult result = fixture().run(setup);
    CHECK(largest(result, Metric::mass) <= 1.0 + 1e-6);
    CHECK(smallest(result, Metric::retained) < 0.99);
    for (std::int64_t step = 0; step < result.data.steps(); ++step) {
      for (const Metric shared : {Metric::demanded_bytes, Metric::units, Metric::retained}) {
        CHECK(result.data.at(shared, step, 1, 0) == result.data.at(shared, step, 1, 1));
      }
    }
    setup.threads = 3;
    CHECK(test::same_bits(result, fixture().run(setup)));
  }
}

}  // namespace
}  // namespace kvr
