// Stages that read ahead: what is guessed rightly moves from demand to prefetch and changes nothing else;
// what is guessed by the layer below is held against a plain reference.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "sim/base/convert.hpp"
#include "tests/engine/replay_fixture.hpp"

namespace kvr {
namespace {

using test::largest;
using test::Setup;
using test::total;
using test::values;

constexpr std::int64_t kPrompt = 65;
constexpr std::int64_t kBudget = 10;
constexpr std::int64_t kSinks = 2;
constexpr std::int64_t kRecent = 5;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made;
  return made;
}

const std::string kRanksItself = "scorer: exact, budget: {type: fixed, entries: 10}";
const std::string kPins = "pins: {sinks: 2, recent: 5}";

/// Layer 0 selects; layer 1 reads ahead what `queries` rank best, and selects by `select`.
Setup guessing(const std::string& queries, const std::string& select) {
  Setup setup;
  setup.selects = false;
  setup.stages_before = fmt::format(
      "{{layers: 0, {0}, {1}}}, {{name: guess, layers: 1, effect: prefetch, queries: {2}, {0}}}, {{layers: "
      "1, "
      "{3}, {1}}}",
      kRanksItself, kPins, queries, select);
  setup.schedule = "look_ahead";
  setup.check = "every_step";
  return setup;
}

/// The same without a guess.
Setup on_demand(Setup setup) {
  setup.selects = true;
  setup.stages_before = "";
  return setup;
}

TEST_CASE("what an oracle guesses is what is demanded: the same reads, earlier") {
  for (const char* clustering :
       {"token", "{type: page, page_tokens: 8}", "{type: kmeans, entries_per_cluster: 7}",
        "{type: adaptive, entries_per_cluster: 7, buffer_entries: 3}"}) {
    for (const char* replacement : {"none", "lru"}) {
      for (const std::string& select : {kRanksItself, std::string("take: guess")}) {
        CAPTURE(clustering);
        CAPTURE(replacement);
        CAPTURE(select);
        Setup setup = guessing("oracle", select);
        setup.clustering = clustering;
        setup.replacement = replacement;
        setup.cache_bytes = 60 * test::kEntryBytes;
        const PointResult ahead = fixture().run(setup);
        const PointResult demanded = fixture().run(on_demand(setup));
        for (const Metric metric : {Metric::recall, Metric::mass, Metric::output_error, Metric::hit_units,
                                    Metric::useful_read_bytes, Metric::read_bytes, Metric::read_requests,
                                    Metric::contiguous_mean_entries, Metric::cache_bytes}) {
          CHECK(test::same_bits(ahead, demanded, metric));
        }
        CHECK(total(demanded, Metric::guessed_bytes) == 0.0);
        for (std::int64_t step = 0; step < ahead.data.steps(); ++step) {
          CHECK(ahead.data.at(Metric::prefetch_read_bytes, step, 0) == 0.0);
          CHECK(ahead.data.at(Metric::prefetch_read_bytes, step, 1) ==
                ahead.data.at(Metric::read_bytes, step, 1) -
                    ahead.data.at(Metric::update_read_bytes, step, 1));
          CHECK(ahead.data.at(Metric::guessed_bytes, step, 1, 0) ==
                ahead.data.at(Metric::rightly_guessed_bytes, step, 1, 0));
        }
        CHECK(total(ahead, Metric::latency_s) < total(demanded, Metric::latency_s));
      }
    }
  }
}

/// One head of layer 1 of the trace, ranked plainly.
class PlainHead {
 public:
  explicit PlainHead(std::int64_t head) : reader_(fixture().trace_path()), head_(head) {
    keys_.resize(static_cast<std::size_t>(reader_.header().seq_len * d()));
    reader_.read(trace::Field::keys, 1, head, 0, reader_.header().seq_len, keys_);
  }

  /// The kBudget best candidates of the step at `position`, ascending, by the mean logit of both query heads.
  std::set<std::int64_t> best(trace::Field field, std::int64_t position) const {
    return best(field, position, position);
  }
  /// The same for the queries at another position.
  std::set<std::int64_t> best(trace::Field field, std::int64_t position, std::int64_t queries_at) const {
    std::vector<std::pair<double, std::int64_t>> ranked;
    for (std::int64_t entry = kSinks; entry < position - kRecent; ++entry) {
      ranked.emplace_back(-(logit(field, 0, queries_at, entry) + logit(field, 1, queries_at, entry)), entry);
    }
    std::ranges::sort(ranked);
    std::set<std::int64_t> best;
    for (std::size_t i = 0; i < static_cast<std::size_t>(kBudget); ++i) {
      best.insert(ranked[i].second);
    }
    return best;
  }

  /// Of the queries at `position` to those before, mean over both query heads.
  double cosine(std::int64_t position) const {
    double sum = 0.0;
    for (std::int64_t g = 0; g < 2; ++g) {
      const std::vector<Half> a = query(trace::Field::queries, g, position);
      const std::vector<Half> b = query(trace::Field::queries, g, position - 1);
      sum += product(a, b) / std::sqrt(product(a, a) * product(b, b));
    }
    return sum / 2.0;
  }

 private:
  std::int64_t d() const { return reader_.header().geometry.head_dim; }

  static double product(std::span<const Half> a, std::span<const Half> b) {
    double sum = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      sum += static_cast<double>(to_float(a[i])) * static_cast<double>(to_float(b[i]));
    }
    return sum;
  }

  std::vector<Half> query(trace::Field field, std::int64_t g, std::int64_t position) const {
    std::vector<Half> row(static_cast<std::size_t>(d()));
    const std::int64_t at = reader_.query_row(position);
    reader_.read(field, 1, head_ * 2 + g, at, at + 1, row);
    return row;
  }

  double logit(trace::Field field, std::int64_t g, std::int64_t position, std::int64_t entry) const {
    const std::span<const Half> key =
        std::span(keys_).subspan(static_cast<std::size_t>(entry * d()), static_cast<std::size_t>(d()));
    return product(query(field, g, position), key);
  }

  trace::Reader reader_;
  std::int64_t head_;
  std::vector<Half> keys_;
};

double bytes(std::size_t entries) {
  return static_cast<double>(entries) * static_cast<double>(test::kEntryBytes);
}

/// `guess_of(head, position)`: what the queries of a guess rank best; `guessed`: a run in which layer 1
/// guesses so.
template <class GuessOf>
void check_guesses(const PointResult& guessed, GuessOf guess_of) {
  std::size_t wrong = 0;
  for (std::int64_t head = 0; head < 2; ++head) {
    const PlainHead plain(head);
    for (std::int64_t step = 0; step < guessed.data.steps(); ++step) {
      const auto needed = plain.best(trace::Field::queries, kPrompt + step);
      const auto guess = guess_of(plain, kPrompt + step);
      std::vector<std::int64_t> right;
      std::ranges::set_intersection(needed, guess, std::back_inserter(right));
      wrong += guess.size() - right.size();
      CHECK(guessed.data.at(Metric::guessed_bytes, step, 1, head) == bytes(guess.size()));
      CHECK(guessed.data.at(Metric::rightly_guessed_bytes, step, 1, head) == bytes(right.size()));
      CHECK(guessed.data.at(Metric::useful_read_bytes, step, 1, head) == bytes(needed.size()));
    }
  }
  CHECK(wrong > 0);
}

TEST_CASE("guesses by the layer below, right and wrong, as a plain ranking has them") {
  check_guesses(fixture().run(guessing("previous_layer", kRanksItself)),
                [](const PlainHead& plain, std::int64_t position) {
                  return plain.best(trace::Field::speculated_queries, position);
                });
}

TEST_CASE("guesses by the step before, the first of them by the prompt's last query") {
  check_guesses(fixture().run(guessing("last_step", kRanksItself)),
                [](const PlainHead& plain, std::int64_t position) {
                  return plain.best(trace::Field::queries, position, position - 1);
                });
}

TEST_CASE(
    "what is taken is what the guess chose: nothing is read on demand, and recall says what that costs") {
  const PointResult taken = fixture().run(guessing("previous_layer", "take: guess"));
  for (std::int64_t step = 0; step < taken.data.steps(); ++step) {
    for (std::int64_t head = 0; head < 2; ++head) {
      const auto at = [&](Metric metric) { return taken.data.at(metric, step, 1, head); };
      CHECK(at(Metric::selected_entries) == static_cast<double>(kBudget));
      CHECK(at(Metric::guessed_bytes) == at(Metric::rightly_guessed_bytes));
    }
    CHECK(taken.data.at(Metric::prefetch_read_bytes, step, 1) == taken.data.at(Metric::read_bytes, step, 1));
  }
  const PointResult itself = fixture().run(guessing("previous_layer", kRanksItself));
  CHECK(total(taken, Metric::recall) < total(itself, Metric::recall));
}

TEST_CASE("a head whose queries have turned is ranked anew, and what was read ahead stays what was guessed") {
  const PointResult guess = fixture().run(guessing("last_step", "take: guess"));
  const PointResult never = fixture().run(guessing("last_step", "take: guess, recheck: 1e-9"));
  const PointResult always = fixture().run(guessing("last_step", "take: guess, recheck: 1"));
  const PointResult itself = fixture().run(guessing("last_step", kRanksItself));
  const PointResult some = fixture().run(guessing("last_step", "take: guess, recheck: 0.9"));
  for (const Metric metric : {Metric::recall, Metric::useful_read_bytes, Metric::rightly_guessed_bytes}) {
    CAPTURE(info(metric).name);
    CHECK(test::same_bits(guess, never, metric));
    CHECK(test::same_bits(always, itself, metric));
  }
  std::size_t anew = 0;
  for (std::int64_t head = 0; head < 2; ++head) {
    const PlainHead plain(head);
    for (std::int64_t step = 1; step < some.data.steps(); ++step) {
      const bool turned = plain.cosine(kPrompt + step) < 0.9;
      anew += turned ? 1 : 0;
      const auto at = [&](const PointResult& result, Metric metric) {
        return result.data.at(metric, step, 1, head);
      };
      for (const Metric metric : {Metric::recall, Metric::rightly_guessed_bytes}) {
        CHECK(at(some, metric) == at(turned ? always : guess, metric));
      }
      CHECK(at(some, Metric::guessed_bytes) == at(guess, Metric::guessed_bytes));
    }
  }
  CHECK(anew > 0);
  CHECK(anew < 2 * 39);
}

TEST_CASE("a layer takes what the nearest layer below chose, by its own units") {
  for (const char* clustering : {"token", "{type: kmeans, entries_per_cluster: 7}"}) {
    for (const char* layout : {"cluster_contiguous", "dual_head"}) {  // that asks for co-retrieval
      Setup setup;
      setup.clustering = clustering;
      setup.selects = false;
      setup.check = "every_step";
      setup.layout = layout;
      setup.stages_before = fmt::format("{{name: top, layers: 0, {0}, {1}}}, {{layers: 1, take: top, {1}}}",
                                        kRanksItself, kPins);
      const PointResult result = fixture().run(setup);
      for (std::int64_t step = 0; step < result.data.steps(); ++step) {
        for (std::int64_t head = 0; head < 2; ++head) {
          for (const Metric metric : {Metric::attended_entries, Metric::demanded_bytes}) {
            CHECK(result.data.at(metric, step, 0, head) == result.data.at(metric, step, 1, head));
          }
        }
      }
      CHECK(total(result, Metric::recall) > 0.0);
    }
  }
}

/// Over every kind of unit, layout, cache and schedule, with entries that are removed.
std::vector<Setup> guessing_setups() {
  const std::vector<std::string> clusterings = {
      "token", "{type: page, page_tokens: 8}", "{type: kmeans, entries_per_cluster: 7, refit_every: 9}",
      "{type: kmeans_local, entries_per_cluster: 7, window: 6, window_clusters: 2}",
      "{type: adaptive, entries_per_cluster: 7, buffer_entries: 3}"};
  const std::vector<std::string> layouts = {"{type: token_order, interleave_heads: true, page_buffer: 4KiB}",
                                            "{type: cluster_contiguous, page_buffer: 4KiB, wait_steps: 5}",
                                            "cluster_by_cluster", "dual_head"};
  const std::vector<std::string> replacements = {"none", "lru", "cluster_aligned", "arc"};
  const std::vector<std::string> schedules = {"look_ahead", "serial", "dynakv"};
  const std::string by_centroid = "scorer: centroid, fold: none, budget: {type: fixed, entries: 9}";
  std::vector<Setup> setups;
  for (std::size_t c = 0; c < clusterings.size(); ++c) {
    for (std::size_t l = 0; l < layouts.size(); ++l) {
      Setup setup = guessing(l % 2 == 0 ? "previous_layer" : "last_step",
                             (c + l) % 2 == 0 ? "take: guess" : by_centroid);
      setup.stages_before +=
          ", {when: [prefill_end, step], every: 3, effect: evict, units: token, scorer: position, budget: "
          "{type: fixed, entries: 0}, pins: {sinks: 2, recent: 30}}";
      setup.clustering = clusterings[c];
      setup.layout = layouts[l];
      setup.replacement = replacements[(c + l) % replacements.size()];
      setup.schedule = schedules[(c + l) % schedules.size()];
      setup.cache_bytes = 60 * test::kEntryBytes;
      setups.push_back(setup.schedule == "dynakv" ? setup.layer_by_layer() : setup);
    }
  }
  return setups;
}

TEST_CASE("guesses keep units, places, caches and sums consistent in every step, on any number of threads") {
  for (Setup setup : guessing_setups()) {
    CAPTURE(setup.describe());
    CAPTURE(setup.stages_before);
    const PointResult result = fixture().run(setup);
    for (std::size_t i = 0; i < values(result, Metric::guessed_bytes).size(); ++i) {
      const double right = values(result, Metric::rightly_guessed_bytes)[i];
      CHECK(right <= values(result, Metric::guessed_bytes)[i]);
      CHECK(right <= values(result, Metric::useful_read_bytes)[i]);
    }
    CHECK(total(result, Metric::prefetch_wait_s) <= total(result, Metric::io_s) * (1.0 + 1e-9));
    setup.threads = 3;
    CHECK(test::same_bits(result, fixture().run(setup)));
  }
}

TEST_CASE("single entries are not chosen where they are pending, which are attended to anyway") {
  Setup setup;
  setup.selects = false;
  setup.check = "every_step";
  for (const char* clustering :
       {"{type: kmeans_local, entries_per_cluster: 7, window: 16, window_clusters: 2}",
        "{type: adaptive, entries_per_cluster: 7, buffer_entries: 9}"}) {
    setup.clustering = clustering;
    for (const char* queries : {"previous_layer", "last_step"}) {
      setup.stages_before = fmt::format(
          "{{layers: 0, units: token, {0}, {1}}}, {{name: guess, layers: 1, units: token, effect: prefetch, "
          "queries: "
          "{2}, {0}}}, {{layers: 1, units: token, {0}, {1}}}",
          kRanksItself, kPins, queries);
      const PointResult result = fixture().run(setup);
      CHECK(largest(result, Metric::mass) <= 1.0 + 1e-6);
    }
  }
}

TEST_CASE("stages that leave a head nothing of its prompt are refused") {
  Setup setup;
  setup.selects = false;
  setup.stages_before =
      "{effect: evict, when: prefill_end, units: token, scorer: exact, budget: {type: fixed, entries: 0}, "
      "pins: "
      "{sinks: 0, recent: 0}}";
  CHECK(fixture().error_of(setup).find(
            "system.stages: layer 0, head 0: stages leave nothing of the prompt of 65 "
            "entries; allowed: budgets or pins that keep an entry of every head") != std::string::npos);
}

TEST_CASE(
    "over tiers of memory what an oracle guesses comes up earlier, and leaves every tier as it would be") {
  for (const char* copies : {"inclusive", "exclusive"}) {
    for (const char* last : {", {name: flash}", ", {name: far, bandwidth: 2GB/s, latency: 9us}"}) {
      CAPTURE(copies);
      CAPTURE(last);
      Setup setup = guessing("oracle", "take: guess");
      setup.replacement = "lru";
      setup.cache_bytes = 40 * test::kEntryBytes;
      setup.tiers = fmt::format(
          "[{{name: hbm}}, {{name: dram, bandwidth: 10GB/s, latency: 5us, capacity: 4KiB, copies: {}}}{}]",
          copies, last);
      const PointResult ahead = fixture().run(setup);
      const PointResult demanded = fixture().run(on_demand(setup));
      for (const Metric metric : {Metric::recall, Metric::hit_units, Metric::useful_read_bytes,
                                  Metric::read_bytes, Metric::tier_asked_bytes, Metric::tier_hit_bytes,
                                  Metric::tier_up_bytes, Metric::tier_down_bytes, Metric::tier_held_bytes}) {
        CAPTURE(info(metric).name);
        CHECK(test::same_bits(ahead, demanded, metric));
      }
      CHECK(total(ahead, Metric::latency_s) < total(demanded, Metric::latency_s));
      Setup below = guessing("last_step", kRanksItself);
      below.tiers = setup.tiers;
      below.replacement = "lru";
      below.cache_bytes = setup.cache_bytes;
      const PointResult one = fixture().run(below);
      below.threads = 3;
      CHECK(test::same_bits(one, fixture().run(below)));
      CHECK(total(one, Metric::rightly_guessed_bytes) < total(one, Metric::guessed_bytes));
    }
  }
}

TEST_CASE("in DRAM alone there is nothing to read ahead") {
  Setup setup = guessing("previous_layer", "take: guess");
  setup.tiers = "[{name: dram}]";
  const PointResult result = fixture().run(setup);
  CHECK(total(result, Metric::guessed_bytes) + total(result, Metric::read_bytes) == 0.0);
}

TEST_CASE("the working buffer has room for the layers that are read ahead") {
  const Setup setup = guessing("oracle", kRanksItself);
  const PointResult ahead = fixture().run(setup);
  const PointResult demanded = fixture().run(on_demand(setup));
  for (std::int64_t step = 0; step < ahead.data.steps(); ++step) {
    CHECK(ahead.data.at(Metric::working_buffer_bytes, step) ==
          2.0 * demanded.data.at(Metric::working_buffer_bytes, step));
  }
}

TEST_CASE("guesses that cannot be made are refused, all of them") {
  Setup setup;
  setup.selects = false;
  setup.stages_before =
      "{name: a, effect: prefetch, scorer: exact, budget: fixed}, {name: a, effect: prefetch, queries: "
      "previous_layer, when: prefill_end, lead: {layers: 2}, scorer: exact, budget: fixed}, {take: b}, "
      "{layers: 1, take: a, "
      "effect: evict}, {queries: oracle, scorer: exact, budget: fixed}, {effect: evict, queries: last_step, "
      "recheck: 0.5, scorer: exact, budget: fixed}";
  const std::string text = fixture().error_of(setup);
  for (const char* what :
       {"system.stages.0.queries: the layer's own are not known before it; allowed: previous_layer, "
        "last_step, "
        "oracle",
        "system.stages.1.name: 'a' is the name of an earlier stage; allowed: another",
        "system.stages.1.when: a stage that prefetches acts in steps alone; allowed: step",
        "system.stages.1.queries: no layer speculates on the queries of layer 0; allowed: layers from 1 on",
        "system.stages.1.lead.layers: the layer below speculates on these queries, none before it has them "
        "(2); "
        "allowed: 1",
        "system.stages.1.layers: stage 0 prefetches for layer 1 too; allowed: one stage a layer",
        "system.stages.2.take: no stage of that name before it chooses for itself ('b'); allowed: a",
        "system.stages.3.effect: a stage that takes what 'a' chose selects; allowed: select",
        "system.stages.4.queries: in the layer itself its own queries are known; allowed: own, "
        "previous_layer, "
        "last_step",
        "system.stages.5.queries: a stage that evicts asks with the layer's own; allowed: own"}) {
    CHECK_MESSAGE(text.find(what) != std::string::npos, what, " is not in ", text);
  }
  setup.stages_before =
      fmt::format("{{name: top, layers: 1, {0}, {1}}}, {{layers: 0, take: top}}", kRanksItself, kPins);
  CHECK(fixture().error_of(setup).find("'top' acts neither in layer 0 nor in a captured layer below it") !=
        std::string::npos);
}

}  // namespace
}  // namespace kvr
