// A pool that layers share while the prompt is read: a table by hand in each mode, DynamicKV's invariants on
// random score maps, and a plain reference.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "sim/interfaces/budget.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

using Map = std::vector<float>;             // of a head, the window left out
using Entries = std::vector<std::int64_t>;  // by layer

struct Prompt {
  std::vector<std::vector<Map>> layers;  // [layers][heads]
  std::int64_t window = 2;
  std::int64_t every = 4;
};

struct Settings {
  std::int64_t entries = 3;
  double radio_max = 2.0;
  std::string mode = "fixed";
};

/// After a call.
struct Firing {
  Entries kept;
  Entries quota;
  Entries missing;
  Entries duplicates;
  double peak = 0.0;
};

Entries figure_of(const Budget& budget, std::string_view name) {
  Report report;
  budget.report(report);
  Entries values;
  for (const Report::Value& value : report.values()) {
    if (value.figure == name) {
      values.push_back(std::llround(value.value));
    }
  }
  return values;
}

std::unique_ptr<Budget> make(const Settings& settings, std::int64_t layers) {
  return test::make<Budget>(
      "dynamickv",
      {{"entries", settings.entries}, {"radio_max", settings.radio_max}, {"mode", settings.mode}},
      {.layers = layers, .kv_heads = 1, .prompt_entries = 8, .model_layers = layers, .stage_layers = layers});
}

/// A head as the engine shows it: what was removed has neither score nor size, the window a score of 0.
struct Head {
  std::int64_t layer;
  Map scores;
  std::vector<std::int32_t> sizes;
  std::int64_t window;

  Head(std::int64_t its_layer, const Map& map, std::int64_t its_window)
      : layer(its_layer), scores(map), sizes(map.size(), 1), window(its_window) {
    scores.resize(map.size() + static_cast<std::size_t>(window), 0.0F);
    sizes.resize(scores.size(), 0);
  }
  std::int64_t entries() const { return std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0}); }
  HeadCandidates view() const {
    return {.layer = layer,
            .layer_number = layer,
            .head = 0,
            .visible = entries() + window,
            .candidates = entries(),
            .scores = scores,
            .sizes = sizes};
  }
  void keep(std::int64_t count) {
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, std::ranges::greater{}, [this](std::size_t unit) {
      return sizes[unit] > 0 ? scores[unit] : -std::numeric_limits<float>::infinity();
    });
    for (const std::size_t unit : order) {
      if (sizes[unit] > 0 && --count < 0) {
        sizes[unit] = 0;
        scores[unit] = -std::numeric_limits<float>::infinity();
      }
    }
  }
};

/// Reads the prompt: a call after every so many layers and after the last.
std::vector<Firing> read(Budget& budget, const Prompt& prompt) {
  std::vector<Firing> firings;
  std::vector<Head> heads;
  const std::int64_t layers = std::ssize(prompt.layers);
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    for (const Map& map : prompt.layers[static_cast<std::size_t>(layer)]) {
      heads.emplace_back(layer, map, prompt.window);
    }
    if ((layer + 1) % prompt.every != 0 && layer + 1 < layers) {
      continue;
    }
    std::vector<HeadCandidates> views;
    std::ranges::transform(heads, std::back_inserter(views), &Head::view);
    Entries entries(heads.size(), -1);
    budget.allot(views, entries);
    Firing firing;
    for (std::size_t i = 0; i < heads.size(); ++i) {
      heads[i].keep(entries[i]);
      CHECK(heads[i].entries() == entries[i]);  // never more than there is
      if (i == 0 || heads[i].layer != heads[i - 1].layer) {
        firing.kept.push_back(entries[i]);
      }
      CHECK(entries[i] == firing.kept.back());  // heads of a layer get the same
    }
    firing.quota = figure_of(budget, "quota");
    firing.missing = figure_of(budget, "missing");
    firing.duplicates = figure_of(budget, "duplicates");
    firing.peak = static_cast<double>(figure_of(budget, "peak").at(0));
    firings.push_back(firing);
  }
  return firings;
}

std::vector<Firing> read(const Settings& settings, const Prompt& prompt) {
  return read(*make(settings, std::ssize(prompt.layers)), prompt);
}

std::int64_t sum_of(const Entries& entries) {
  return std::accumulate(entries.begin(), entries.end(), std::int64_t{0});
}

/// Some layers have a few high scores, others many; equal scores now and then.
Prompt random_prompt(Rng& rng, std::int64_t layers, std::int64_t heads, std::int64_t entries) {
  Prompt prompt{.layers = {}, .window = 1 + static_cast<std::int64_t>(rng.below(6)), .every = 4};
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    const double exponent = 0.3 + 6.0 * rng.uniform();
    std::vector<Map> maps(static_cast<std::size_t>(heads), Map(static_cast<std::size_t>(entries)));
    for (Map& map : maps) {
      std::ranges::generate(
          map, [&] { return std::round(static_cast<float>(std::pow(rng.uniform(), exponent)) * 500.0F); });
    }
    prompt.layers.push_back(std::move(maps));
  }
  return prompt;
}

// Four layers of one head, 8 entries before a window of 2, asked after layers 1 and 3; `entries` 3,
// `radio_max` 2, so cap = min(6, 8) = 6 and the pool is 3 * 4 = 12.
//
// After layer 1: the best 3 * 1 * 2 = 6 of both are 10, 9.5, 9, 8, 7, 6: layer 0 has won 5, layer 1 has 1.
//   w = floor(5 / 2), floor(1 / 2) = 2, 0;  f = floor(6 * 2 / 2), 0 = 6, 0;  sum / pool = 6 / 12
//   f = 6 / 0.5, 0 = 12, 0, which is the pool;  quota = min(f, 8) = 8, 0
//   layer 0 lists only 6: the original goes on with the 2 keys of its window, and then has them once more
// After layer 3: the best 12 of all are 10 ... 6 (layer 0: 5), 9.5, 5, 4.5, 4 (layer 1: 4), 3.5, 3.4 (layer
// 2: 2) and 3 (layer 3: 1), whatever was removed of layers 0 and 1 by now.
//   w = floor of 5, 4, 2, 1 by 4 = 1, 1, 0, 0, to the last 3 * 1 - 2 = 1:  1, 1, 0, 1
//   f = floor(6 * 1 / 3), 0 = 2, 2, 0, 2;  sum / pool = 6 / 12;  f = 4, 4, 0, 4, which is the pool
//   layer 1 has nothing left for its 4: two places are the window's keys; layer 0 still lists 4
const Prompt& by_hand() {
  static const Prompt prompt{.layers = {{{10.0F, 0.8F, 9.0F, 8.0F, 0.7F, 7.0F, 6.0F, 0.6F}},
                                        {{5.0F, 4.5F, 0.1F, 9.5F, 0.2F, 4.0F, 0.3F, 0.1F}},
                                        {{0.4F, 0.3F, 3.5F, 0.2F, 3.4F, 0.1F, 0.3F, 0.2F}},
                                        {{0.1F, 0.2F, 0.3F, 0.4F, 0.5F, 3.0F, 0.1F, 0.1F}}},
                             .window = 2,
                             .every = 2};
  return prompt;
}

TEST_CASE("dynamickv: faithful, four layers by hand") {
  const auto firings = read({.mode = "faithful"}, by_hand());
  REQUIRE(firings.size() == 2);
  CHECK(firings[0].quota == Entries{8, 0});
  CHECK(firings[0].kept == Entries{6, 0});
  CHECK(firings[0].missing == Entries{2, 0});
  CHECK(firings[0].duplicates == Entries{2, 0});
  CHECK(firings[0].peak == 12.0);
  CHECK(firings[1].quota == Entries{4, 4, 0, 4});
  CHECK(firings[1].kept == Entries{4, 0, 0, 4});
  CHECK(firings[1].missing == Entries{0, 4, 0, 0});
  CHECK(firings[1].duplicates == Entries{0, 2, 0, 0});
  CHECK(firings[1].peak == 18.0);  // 6, 0, 6, 6
}

TEST_CASE("dynamickv: fixed and one_shot, four layers by hand") {
  // Shares of 5, 4, 2, 1 in a pool of 12 are these numbers. Without layer 1 the 12 go by 5 / (2 q + 1), 2 /
  // .., 1 / ..: 5, 2, 1.67, 1, 1, 0.71, 0.67, 0.56, 0.45 (layer 0 has 6), 0.4, 0.33, 0.29.
  const auto fixed = read({.mode = "fixed"}, by_hand());
  CHECK(fixed[0].kept == Entries{6, 0});
  CHECK(fixed[1].quota == Entries{5, 4, 2, 1});
  CHECK(fixed[1].kept == Entries{6, 0, 4, 2});
  CHECK(fixed[1].missing == Entries{0, 4, 0, 0});
  CHECK(fixed[1].duplicates == Entries{0, 0, 0, 0});
  const auto once = read({.mode = "one_shot"}, by_hand());
  CHECK(once[0].kept == Entries{6, 6});  // the cap
  CHECK(once[1].kept == Entries{5, 4, 2, 1});
  CHECK(once[1].missing == Entries{0, 0, 0, 0});
  CHECK(once[1].peak == 24.0);
}

TEST_CASE("dynamickv: one_shot spends the pool exactly, fixed as far as its layers can hold it") {
  Rng rng(41);
  for (int repeat = 0; repeat < 100; ++repeat) {
    CAPTURE(repeat);
    const Prompt prompt = random_prompt(rng, 1 + static_cast<std::int64_t>(rng.below(13)), 2, 60);
    const std::int64_t layers = std::ssize(prompt.layers);
    const auto entries = static_cast<std::int64_t>(rng.below(61));
    for (const double radio_max : {1.0, 1.5, 10.0}) {
      const auto once = read({entries, radio_max, "one_shot"}, prompt);
      CHECK(sum_of(once.back().kept) == entries * layers);
      const auto fixed = read({entries, radio_max, "fixed"}, prompt);
      CHECK(sum_of(fixed.back().kept) <= entries * layers);
      const auto most =
          std::min<std::int64_t>(60, std::llround(std::floor(radio_max * static_cast<double>(entries))));
      CHECK(std::ranges::max(once.back().kept) <= most);
      CHECK(std::ranges::max(fixed.back().kept) <= most);
    }
  }
}

TEST_CASE("dynamickv: equal score maps share evenly, all scores equal included") {
  Rng rng(42);
  for (const bool flat : {false, true}) {
    Prompt prompt = random_prompt(rng, 8, 2, 60);
    std::ranges::fill(prompt.layers.front().front(), flat ? 1.0F : prompt.layers.front().front().front());
    if (!flat) {
      std::iota(prompt.layers.front().front().begin(), prompt.layers.front().front().end(), 1.0F);
    }
    for (auto& layer : prompt.layers) {
      std::ranges::fill(layer, prompt.layers.front().front());
    }
    for (const char* mode : {"faithful", "fixed", "one_shot"}) {
      CAPTURE(mode);
      // 16 * 2 by 8 layers leave nothing over, which the original gives to the last.
      CHECK(read({16, 4.0, mode}, prompt).back().kept == Entries(8, 16));
    }
    CHECK(read({13, 4.0, "fixed"}, prompt).back().kept == Entries(8, 13));
    CHECK(read({13, 4.0, "one_shot"}, prompt).back().kept == Entries(8, 13));
  }
}

TEST_CASE("dynamickv: later calls only shorten a layer's list, which stays the best of its map") {
  Rng rng(43);
  for (const char* mode : {"faithful", "fixed", "one_shot"}) {
    const Prompt prompt = random_prompt(rng, 12, 1, 60);
    const auto firings = read({12, 3.0, mode}, prompt);
    for (std::size_t call = 1; call < firings.size(); ++call) {
      for (std::size_t layer = 0; layer < firings[call - 1].kept.size(); ++layer) {
        CHECK(firings[call].kept[layer] <= firings[call - 1].kept[layer]);
      }
    }
    Head cut_thrice(0, prompt.layers[0][0], 2);
    Head cut_once = cut_thrice;
    for (const Firing& firing : firings) {
      cut_thrice.keep(firing.kept[0]);
    }
    cut_once.keep(firings.back().kept[0]);
    CHECK(cut_thrice.sizes == cut_once.sizes);
  }
}

TEST_CASE("dynamickv: fixed is one_shot where no cut on the way went below the final quota") {
  Rng rng(44);
  int same = 0;
  int cut_too_far = 0;
  for (int repeat = 0; repeat < 200; ++repeat) {
    CAPTURE(repeat);
    const Prompt prompt = random_prompt(rng, 2 + static_cast<std::int64_t>(rng.below(12)), 2, 60);
    const auto once = read({10, 4.0, "one_shot"}, prompt);
    const auto fixed = read({10, 4.0, "fixed"}, prompt);
    CHECK(fixed.back().quota == once.back().kept);
    bool below = false;
    for (std::size_t call = 0; call + 1 < fixed.size(); ++call) {
      for (std::size_t layer = 0; layer < fixed[call].kept.size(); ++layer) {
        below |= fixed[call].kept[layer] < once.back().kept[layer];
      }
    }
    CHECK((sum_of(fixed.back().missing) > 0) == below);
    if (!below) {
      CHECK(fixed.back().kept == once.back().kept);
      CHECK(fixed.back().duplicates == Entries(prompt.layers.size(), 0));
    }
    ++(below ? cut_too_far : same);
  }
  CHECK(same > 20);
  CHECK(cut_too_far > 20);
}

TEST_CASE("dynamickv: what radio_max is beyond the first cut cancels out but for rounding") {
  Rng rng(45);
  const Prompt prompt = random_prompt(rng, 8, 2, 4000);
  const auto ten = read({120, 10.0, "faithful"}, prompt).front().quota;
  const auto five = read({120, 5.0, "faithful"}, prompt).front().quota;
  for (std::size_t layer = 0; layer < ten.size(); ++layer) {
    CHECK(std::abs(ten[layer] - five[layer]) <= 8);
  }
}

// A plain reference: everything anew in every call, all maps whole, linear searches.
class Reference {
 public:
  Reference(Settings settings, const Prompt& prompt) : settings_(std::move(settings)), prompt_(prompt) {}

  std::vector<Firing> read() {
    std::vector<Firing> firings;
    for (std::size_t seen = 1; seen <= prompt_.layers.size(); ++seen) {
      stored_.push_back(cap());
      listed_.push_back(cap());
      if (seen % static_cast<std::size_t>(prompt_.every) == 0 || seen == prompt_.layers.size()) {
        firings.push_back(fire(static_cast<std::int64_t>(seen)));
      }
    }
    return firings;
  }

 private:
  std::int64_t whole() const { return std::ssize(prompt_.layers[0][0]); }
  std::int64_t heads() const { return std::ssize(prompt_.layers[0]); }
  std::int64_t layers() const { return std::ssize(prompt_.layers); }
  std::int64_t cap() const {
    return std::min(static_cast<std::int64_t>(settings_.radio_max * static_cast<double>(settings_.entries)),
                    whole());
  }

  Firing fire(std::int64_t seen) {
    Firing firing;
    const bool last = seen == layers();
    const Entries won = winners(seen);
    const bool integers = settings_.mode == "faithful" || (settings_.mode == "fixed" && !last);
    if (integers) {
      firing.quota = by_integers(won, last);
    } else {
      firing.quota = last ? shared(won, Entries(won.size(), cap())) : Entries(won.size(), whole());
    }
    Entries within = last && !integers ? shared(won, stored_) : firing.quota;
    for (std::size_t layer = 0; layer < won.size(); ++layer) {
      firing.missing.push_back(std::max<std::int64_t>(0, firing.quota[layer] - stored_[layer]));
      stored_[layer] = std::min(stored_[layer], within[layer]);
      // [entries | window] cut to the quota, then the window anew.
      listed_[layer] = std::min(listed_[layer] + prompt_.window, firing.quota[layer]);
      firing.kept.push_back(stored_[layer]);
      firing.duplicates.push_back(settings_.mode == "faithful" ? listed_[layer] - stored_[layer] : 0);
    }
    return firing;
  }

  Entries winners(std::int64_t seen) const {
    std::vector<std::tuple<float, std::int64_t, std::int64_t>> all;
    for (std::int64_t layer = 0; layer < seen; ++layer) {
      for (const Map& map : prompt_.layers[static_cast<std::size_t>(layer)]) {
        for (std::int64_t entry = 0; entry < whole(); ++entry) {
          all.emplace_back(-map[static_cast<std::size_t>(entry)], entry, layer);
        }
      }
    }
    std::ranges::sort(all);
    Entries won(static_cast<std::size_t>(seen), 0);
    for (std::int64_t i = 0; i < std::min(std::ssize(all), settings_.entries * heads() * seen); ++i) {
      ++won[static_cast<std::size_t>(std::get<2>(all[static_cast<std::size_t>(i)]))];
    }
    return won;
  }

  Entries by_integers(Entries counts, bool last) const {
    const std::int64_t pool = settings_.entries * layers();
    for (std::int64_t& count : counts) {
      count /= std::ssize(counts);
    }
    if (last && sum_of(counts) != heads() * whole()) {
      counts.back() += settings_.entries * heads() - sum_of(counts);
    }
    Entries fix;
    for (const std::int64_t count : counts) {
      const float share = static_cast<float>(count) / static_cast<float>(sum_of(counts));
      fix.push_back(
          sum_of(counts) == 0 ? 0 : static_cast<std::int64_t>(std::floor(static_cast<float>(cap()) * share)));
    }
    if (sum_of(fix) == 0) {
      return Entries(counts.size(), std::min(settings_.entries, whole()));
    }
    const double ratio = static_cast<double>(sum_of(fix)) / static_cast<double>(pool);
    for (std::int64_t& one : fix) {
      one = static_cast<std::int64_t>(
          std::floor(static_cast<long double>(one) / static_cast<long double>(ratio)));
    }
    fix.back() += pool - sum_of(fix);
    for (std::int64_t& one : fix) {
      one = std::min(one, whole());
    }
    return fix;
  }

  Entries shared(const Entries& weights, const Entries& limits) const {
    Entries given(weights.size(), 0);
    for (std::int64_t pool = settings_.entries * layers(); pool > 0; --pool) {
      std::size_t best = weights.size();
      for (std::size_t layer = 0; layer < weights.size(); ++layer) {
        const auto worth = [&](std::size_t at) {
          return std::tuple(static_cast<double>(weights[at]) / static_cast<double>(2 * given[at] + 1),
                            -given[at]);
        };
        if (given[layer] < limits[layer] && (best == weights.size() || worth(layer) > worth(best))) {
          best = layer;
        }
      }
      if (best < weights.size()) {
        ++given[best];
      }
    }
    return given;
  }

  Settings settings_;
  const Prompt& prompt_;
  Entries stored_;
  Entries listed_;
};

TEST_CASE("dynamickv: every call is that of a plain reference") {
  constexpr std::uint64_t kSeed = 46;
  MESSAGE("seed ", kSeed);
  Rng rng(kSeed);
  std::int64_t duplicates = 0;
  for (int repeat = 0; repeat < 300; ++repeat) {
    Prompt prompt = random_prompt(rng, 1 + static_cast<std::int64_t>(rng.below(11)),
                                  1 + static_cast<std::int64_t>(rng.below(3)),
                                  1 + static_cast<std::int64_t>(rng.below(80)));
    prompt.every = 1 + static_cast<std::int64_t>(rng.below(4));
    const std::array<const char*, 3> modes = {"faithful", "fixed", "one_shot"};
    const Settings settings{.entries = static_cast<std::int64_t>(rng.below(40)),
                            .radio_max = 1.0 + 3.0 * rng.uniform(),
                            .mode = modes[rng.below(3)]};
    CAPTURE(repeat);
    CAPTURE(settings.mode.c_str());
    const auto firings = read(settings, prompt);
    const auto expected = Reference(settings, prompt).read();
    REQUIRE(firings.size() == expected.size());
    for (std::size_t call = 0; call < firings.size(); ++call) {
      CHECK(firings[call].kept == expected[call].kept);
      CHECK(firings[call].quota == expected[call].quota);
      CHECK(firings[call].missing == expected[call].missing);
      CHECK(firings[call].duplicates == expected[call].duplicates);
    }
    duplicates += sum_of(expected.back().duplicates);
  }
  CHECK(duplicates > 0);
}

TEST_CASE("dynamickv: the next prompt begins anew") {
  Rng rng(47);
  const auto budget = make({10, 4.0, "fixed"}, 6);
  for (int prompt = 0; prompt < 3; ++prompt) {
    const Prompt one = random_prompt(rng, 6, 2, 50);
    CHECK(read(*budget, one).back().kept == read({10, 4.0, "fixed"}, one).back().kept);
  }
}

const Prompt& few_entries() {
  static const Prompt prompt{
      .layers = std::vector(5, std::vector(2, Map{3.0F, 2.0F, 1.0F})), .window = 3, .every = 4};
  return prompt;
}

TEST_CASE("dynamickv: prompts that are all window, or no longer than the budget, keep what they have") {
  for (const char* mode : {"faithful", "fixed", "one_shot"}) {
    CAPTURE(mode);
    const Prompt none{.layers = std::vector(5, std::vector(2, Map())), .window = 3, .every = 4};
    CHECK(read({10, 2.0, mode}, none).back().kept == Entries(5, 0));
    CHECK(read({0, 2.0, mode}, few_entries()).back().kept == Entries(5, 0));
  }
  CHECK(read({10, 2.0, "fixed"}, few_entries()).back().kept == Entries(5, 3));
  CHECK(read({10, 2.0, "one_shot"}, few_entries()).back().kept == Entries(5, 3));
}

// All 2 * 3 entries of each layer win; cap = 3.
// After layer 3: w = floor(6 / 4) = 1;  f = floor(3 * 1 / 4) = 0: the original divides by 0, here all get 10.
// After layer 4: w = floor(6 / 5) = 1, in all 5 and not the 6 of a map, so the last has 10 * 2 - 5 more: 16
//   f = floor(3 * 1 / 20) = 0, floor(3 * 16 / 20) = 2;  sum / pool = 2 / 50;  the last has 50, of which it
//   has 3
TEST_CASE("dynamickv: faithful empties layers of a prompt shorter than its budget, as the original does") {
  const auto firings = read({10, 2.0, "faithful"}, few_entries());
  CHECK(firings[0].kept == Entries(4, 3));
  CHECK(firings[1].kept == Entries{0, 0, 0, 0, 3});
}

TEST_CASE("dynamickv: of units of several entries the last is cut") {
  const auto budget = make({.entries = 4, .radio_max = 10.0, .mode = "one_shot"}, 2);
  const Map low = {0.9F, 0.1F};
  const Map high = {0.8F, 0.7F};
  const std::vector<std::int32_t> sizes = {5, 5};
  const std::vector<HeadCandidates> heads = {
      {.layer = 0, .head = 0, .visible = 10, .candidates = 10, .scores = low, .sizes = sizes},
      {.layer = 1, .head = 0, .visible = 10, .candidates = 10, .scores = high, .sizes = sizes}};
  Entries entries(2, -1);
  budget->allot(heads, entries);
  CHECK(entries == Entries{5, 3});
}

TEST_CASE("dynamickv: a budget of single layers or heads is refused") {
  const auto budget = make({}, 4);
  const Map map = {1.0F};
  const std::vector<std::int32_t> sizes = {1};
  std::vector<HeadCandidates> heads = {
      {.layer = 0, .head = 0, .visible = 1, .candidates = 1, .scores = map, .sizes = sizes}};
  Entries entries(1, -1);
  budget->allot(heads, entries);
  heads.front().layer = 1;
  CHECK_THROWS_WITH_AS(
      budget->allot(heads, entries),
      "scope: budget 'dynamickv' shares a pool among ever more layers; allowed: layers_seen, or "
      "model",
      InputError);
}

}  // namespace
}  // namespace kvr
