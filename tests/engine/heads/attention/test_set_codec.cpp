// Rows through codecs with state: what comes back, what is referred to, and what is left as captured.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "sim/engine/heads/attention/set_codec.hpp"
#include "tests/engine/delta_codec.hpp"
#include "tests/engine/runs_codec.hpp"
#include "tests/engine/support.hpp"

namespace kvr {
namespace {

constexpr std::int64_t kDim = 6;
constexpr std::int64_t kEntries = 30;

/// Two heads with random rows of which `entries` have been captured.
struct Heads {
  explicit Heads(const StoreCodecs& codecs) {
    for (int member = 0; member < 2; ++member) {
      captured.emplace_back(kEntries, kDim);
    }
    for (CapturedHead& head : captured) {
      members.emplace_back(2, 0.5, codecs.store(head));
    }
  }
  void capture(std::int64_t entries) {
    for (CapturedHead& head : captured) {
      std::vector<Half> rows(static_cast<std::size_t>(2 * entries * kDim));
      for (Half& value : rows) {
        value = to_half(static_cast<float>(rng.normal()));
      }
      const std::span<const Half> all(rows);
      head.append(all.first(rows.size() / 2), all.last(rows.size() / 2));
    }
    for (MemberHead& member : members) {
      member.store().catch_up();
    }
  }
  /// Of one element, how far it is off.
  float off(std::size_t member, EntryIndex entry, std::size_t d, bool key) const {
    const HeadView was = captured[member].view(entry + 1);
    const HeadView is = members[member].store().view(entry + 1);
    return std::abs(to_float((key ? was.keys : was.values).row(entry)[d]) -
                    to_float((key ? is.keys : is.values).row(entry)[d]));
  }
  float most_off(EntryIndex entry) const {
    float most = 0.0F;
    for (std::size_t member = 0; member < members.size(); ++member) {
      for (std::size_t d = 0; d < static_cast<std::size_t>(kDim); ++d) {
        most = std::max({most, off(member, entry, d, true), off(member, entry, d, false)});
      }
    }
    return most;
  }

  Rng rng{7};
  std::vector<CapturedHead> captured;
  std::vector<MemberHead> members;
};

std::unique_ptr<Codec> delta(std::int64_t depth, std::int64_t tail) {
  return test::make<Codec>(test::kDelta, {.head_dim = kDim},
                           {{"stride", std::int64_t{4}}, {"depth", depth}, {"tail", tail}});
}

StoreCodecs apart(const Codec& codec) {
  return {.keys = {&codec, "delta"}, .values = {&codec, "delta"}};
}

std::vector<EntryIndex> references(const SetCodec& codec, EntryIndex entry) {
  const auto all = codec.references(entry);
  return {all.begin(), all.end()};
}

TEST_CASE("rows come back within half a step of the quantiser, whatever they refer to") {
  for (const bool joint : {false, true}) {
    const auto codec = delta(1, 0);
    StoreCodecs codecs = apart(*codec);
    if (joint) {
      codecs = {.keys = {}, .values = {}, .joint = {codec.get(), "delta"}};
    }
    Heads heads(codecs);
    SetCodec set(codecs, {0, 0}, 2, kDim, 1, codecs.entry_bytes(2, kDim));
    heads.capture(kEntries);
    Work work;
    set.fit(heads.members, EntrySet::first(kEntries), {}, work);
    const EntrySet::Interval changed = set.store(heads.members, kEntries, EntrySet::first(kEntries), work);
    CHECK(changed == EntrySet::Interval{0, kEntries});
    CHECK(work.flops == (joint ? 1 : 4) * 100.0 * kEntries);
    float all = 0.0F;
    for (EntryIndex entry = 0; entry < kEntries; ++entry) {
      CAPTURE(entry);
      // Differences of standard normal numbers stay below 10; fp16 adds its own rounding below 8.
      CHECK(heads.most_off(entry) <= 10.0F / 254.0F + 0.004F);
      all = std::max(all, heads.most_off(entry));
      const std::vector<EntryIndex> whole = {entry / 4 * 4};
      CHECK(references(set, entry) == (entry % 4 == 0 ? std::vector<EntryIndex>{} : whole));
    }
    CHECK(all > 0.0F);
  }
}

TEST_CASE("a chain refers to the row before, as deep as the codec says; removed entries are passed over") {
  const auto codec = delta(2, 0);
  Heads heads(apart(*codec));
  SetCodec set(apart(*codec), {0, 0}, 2, kDim, 1, apart(*codec).entry_bytes(2, kDim));
  heads.capture(12);
  EntrySet live = EntrySet::first(12);
  live.remove(8);
  live.remove(6);
  Work work;
  set.store(heads.members, 12, live, work);
  // 4 is whole, 5 takes one row and 7 two, so that 9 finds 7 too deep.
  CHECK(references(set, 5) == std::vector<EntryIndex>{4});
  CHECK(references(set, 6).empty());
  CHECK(references(set, 7) == std::vector<EntryIndex>{5});
  CHECK(references(set, 8).empty());
  CHECK(references(set, 9) == std::vector<EntryIndex>{5});
  CHECK(heads.most_off(8) == 0.0F);
  CHECK(heads.most_off(9) > 0.0F);
}

TEST_CASE("the tail stays as captured until newer entries come") {
  const auto codec = delta(1, 5);
  Heads heads(apart(*codec));
  SetCodec set(apart(*codec), {0, 0}, 2, kDim, 1, apart(*codec).entry_bytes(2, kDim));
  CHECK(set.tail() == 5);
  heads.capture(12);
  EntrySet live = EntrySet::first(kEntries);
  Work work;
  CHECK(set.store(heads.members, 12, live, work) == EntrySet::Interval{0, 12});
  for (EntryIndex entry = 0; entry < 12; ++entry) {
    CAPTURE(entry);
    CHECK((heads.most_off(entry) == 0.0F) == (entry >= 7));
  }
  heads.capture(2);
  CHECK(set.store(heads.members, 14, live, work) == EntrySet::Interval{7, 14});
  CHECK(heads.most_off(8) > 0.0F);
  CHECK(heads.most_off(9) == 0.0F);
}

TEST_CASE("a codec that stores each row for itself has no state, unless it is joint") {
  const auto codec = test::make<Codec>("int8", {.head_dim = kDim});
  CHECK_FALSE(codec->each_row() == nullptr);
  Heads apart_heads(apart(*codec));
  SetCodec none(apart(*codec), {0, 0}, 2, kDim, 1, apart(*codec).entry_bytes(2, kDim));
  apart_heads.capture(3);
  Work work;
  CHECK(none.store(apart_heads.members, 3, EntrySet::first(3), work) == EntrySet::Interval{3, 3});
  CHECK(apart_heads.most_off(1) > 0.0F);
  const StoreCodecs joint = {.keys = {}, .values = {}, .joint = {codec.get(), "int8"}};
  Heads joint_heads(joint);
  SetCodec one(joint, {0, 0}, 2, kDim, 1, joint.entry_bytes(2, kDim));
  joint_heads.capture(3);
  CHECK(joint_heads.most_off(1) == 0.0F);
  one.store(joint_heads.members, 3, EntrySet::first(3), work);
  CHECK(joint_heads.most_off(1) > 0.0F);
}

TEST_CASE("an entry takes what its blobs do, beside what planes of one size take, scaled to the model") {
  const auto runs = test::make<Codec>(test::kRuns, {.head_dim = kDim}, {});
  const auto kept = test::make<Codec>(test::kKept, {.head_dim = kDim}, {});
  const std::int64_t longest = 2 + 2 * kDim + 10;
  for (const NamedCodec& keys : {NamedCodec{kept.get(), "kept"}, NamedCodec{runs.get(), "runs"}}) {
    const StoreCodecs codecs = {.keys = keys, .values = {runs.get(), "runs"}};
    const std::int64_t largest = codecs.entry_bytes(2, kDim);
    CHECK(largest == 2 * (keys.codec->row_bytes(kDim) + longest));
    Heads heads(codecs);
    SetCodec set(codecs, {0, 0}, 2, kDim, 1, largest);
    SetCodec wider(codecs, {0, 0}, 2, kDim, 1, 3 * largest);
    heads.capture(kEntries);
    const EntrySet live = EntrySet::first(kEntries);
    Work work;
    for (SetCodec* const codec : {&set, &wider}) {
      codec->fit(heads.members, live, {}, work);
      codec->store(heads.members, kEntries, live, work);
    }
    REQUIRE(set.sizes().vary());
    // The first row is what all are told from: of it bits are left that say so.
    CHECK(set.sizes().of(0) == 2 * ((keys.codec == kept.get() ? 2 * kDim : 2) + 2));
    for (EntryIndex entry = 1; entry < kEntries; ++entry) {
      CHECK(set.sizes().of(entry) > set.sizes().of(0));
      CHECK(set.sizes().of(entry) <= largest);
      CHECK(wider.sizes().of(entry) == 3 * set.sizes().of(entry));
      CHECK(heads.most_off(entry) == 0.0F);
    }
  }
}

}  // namespace
}  // namespace kvr
