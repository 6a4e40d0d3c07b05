// Keys moved to their place among the live entries.
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "sim/engine/heads/attention/slot_keys.hpp"

namespace kvr {
namespace {

trace::Geometry geometry(std::int64_t head_dim, const std::string& layout,
                         const std::string& scaling = "none") {
  trace::Geometry g;
  g.head_dim = head_dim;
  g.rope_theta = 100.0;
  g.rope_scaling = scaling;
  g.rope_layout = layout;
  return g;
}

std::vector<float> moved(const trace::Geometry& g, const std::vector<float>& key, std::int64_t by) {
  const Rotary rotary(g);
  std::vector<Half> half(key.size());
  to_half(key, half);
  rotary.move(half, rotary.turn(by), half);
  std::vector<float> result(key.size());
  to_float(half, result);
  return result;
}

void check_near(const std::vector<float>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(std::abs(static_cast<double>(a[i]) - b[i]) < 1e-3);
  }
}

TEST_CASE("two positions on, the first pair turns by 2 and the second, of theta 100, by 0.2") {
  check_near(moved(geometry(4, "half"), {1, 0, 0, 1}, 2),
             {std::cos(2.0), -std::sin(0.2), std::sin(2.0), std::cos(0.2)});
  check_near(moved(geometry(4, "interleaved"), {1, 0, 0, 1}, 2),
             {std::cos(2.0), std::sin(2.0), -std::sin(0.2), std::cos(0.2)});
  CHECK(moved(geometry(4, "half"), {1, -2, 3, 0.5}, 0) == std::vector<float>{1, -2, 3, 0.5});
}

TEST_CASE("a linear scaling turns less; llama3 leaves quick pairs, slows slow ones and lies between else") {
  check_near(moved(geometry(2, "half", R"({"rope_type": "linear", "factor": 4.0})"), {1, 0}, 2),
             {std::cos(0.5), std::sin(0.5)});
  // Pairs turn once in 2 pi, 20 pi and 200 pi positions: 100, 10 and 1 times in a context of 200 pi.
  trace::Geometry g = geometry(6, "half");
  g.rope_theta = 1000.0;
  g.rope_scaling =
      R"({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 19.0, )"
      R"("original_max_position_embeddings": 628.3185307179586})";
  const double between = 0.1 * (0.5 / 8.0 + 0.5);
  check_near(moved(g, {1, 1, 1, 0, 0, 0}, 5), {std::cos(5.0), std::cos(5.0 * between), std::cos(0.05 / 8.0),
                                               std::sin(5.0), std::sin(5.0 * between), std::sin(0.05 / 8.0)});
}

TEST_CASE("every live key is moved by the entries after it that are gone, anew from the stored one") {
  constexpr std::int64_t kDim = 8;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const trace::Geometry g = geometry(kDim, seed % 2 == 0 ? "half" : "interleaved");
    const Rotary rotary(g);
    SlotKeys slots(rotary);
    EntrySet live;
    std::vector<Half> stored;
    for (EntryIndex entry = 0; entry < 60; ++entry) {
      for (std::int64_t d = 0; d < kDim; ++d) {
        stored.push_back(to_half(static_cast<float>(rng.normal())));
      }
      live.add(entry);
      if (rng.below(3) == 0) {
        live.remove(static_cast<EntryIndex>(rng.below(static_cast<std::uint64_t>(entry) + 1)));
      }
      const auto rows = matrix_view<Half>(stored.data(), entry + 1, kDim);
      slots.follow(live, {rows, rows});
      const HeadView view = slots.view({rows, rows});
      live.for_each([&](EntryIndex one) {
        std::int64_t gone = 0;
        for (EntryIndex after = one + 1; after <= entry; ++after) {
          gone += live.contains(after) ? 0 : 1;
        }
        std::vector<Half> expected(static_cast<std::size_t>(kDim));
        rotary.move(rows.row(one), rotary.turn(gone), expected);
        for (std::size_t d = 0; d < expected.size(); ++d) {
          REQUIRE(to_float(view.keys.row(one)[d]) == to_float(expected[d]));
        }
      });
    }
  }
}

TEST_CASE("keys that cannot be moved are refused, and none are where positions are absolute") {
  RunConfig config;
  config.sequences.emplace_back();
  trace::Header header;
  header.captured_kv_heads = {0, 1};
  header.geometry = geometry(8, "half", R"({"rope_type": "yarn", "factor": 4.0})");
  CHECK_FALSE(rotary_of_slots(config, header).has_value());
  config.system.slot_positions = true;
  CHECK_THROWS_AS(rotary_of_slots(config, header), InputError);
  for (const char* scaling :
       {"{broken}", R"({"rope_type": "linear"})", R"({"rope_type": "longrope", "factor": 2.0})",
        R"({"rope_type": "linear", "factor": 2.0, "partial_rotary_factor": 0.5})"}) {
    CAPTURE(scaling);
    header.geometry.rope_scaling = scaling;
    CHECK_THROWS_AS(rotary_of_slots(config, header), InputError);
  }
  header.geometry.rope_scaling = "none";
  CHECK(rotary_of_slots(config, header).has_value());
  header.geometry.head_dim = 7;
  CHECK_THROWS_AS(rotary_of_slots(config, header), InputError);
  header.geometry.head_dim = 8;
  config.system.heads_together = true;
  CHECK_THROWS_AS(rotary_of_slots(config, header), InputError);
}

}  // namespace
}  // namespace kvr
