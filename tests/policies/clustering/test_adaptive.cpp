#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "sim/base/error.hpp"
#include "tests/policies/clustering/adaptive_support.hpp"

namespace kvr {
namespace {

using namespace test::adaptive;
using test::Sequence;

/// Two heaps of variance 1 on a line: keys 0 and 2 in the left unit, 10 and 12 in the right one; then more.
class Line {
 public:
  Line(const std::vector<float>& more, ParamValues values) : sequence_(with_heaps(more), 1) {
    values.insert({"clusters", std::int64_t{2}});
    clustering_ = make(values, 1);
    ChangeList changes;
    clustering_->build(sequence_.view(4), changes, work_);
    REQUIRE(changes.size() == 2);
    REQUIRE(clustering_->unit_count() == 2);
    left = clustering_->members(0).front() == 0 ? 0 : 1;
    right = 1 - left;
  }

  ChangeList append(const std::set<UnitId>& resident = {}) {
    ChangeList changes;
    clustering_->append(next_, sequence_.view(next_ + 1), Resident(resident), changes, work_);
    ++next_;
    return changes;
  }
  ChangeList load(std::vector<UnitId> units) {
    ChangeList changes;
    clustering_->loaded(units, sequence_.view(next_), changes, work_);
    return changes;
  }
  std::vector<EntryIndex> members(UnitId unit) const { return test::copy(clustering_->members(unit)); }
  std::vector<EntryIndex> pending(UnitId unit) const { return test::copy(clustering_->pending(unit)); }
  /// As if the keys were `times` what they are.
  void check(float times = 1.0F) const {
    std::vector<float> keys;
    for (EntryIndex entry = 0; entry < next_; ++entry) {
      keys.push_back(times * sequence_.key(entry).front());
    }
    clustering_->check(Sequence(keys, 1).view(next_));
  }
  std::int64_t units() const { return clustering_->unit_count(); }

  UnitId left = 0;
  UnitId right = 0;

 private:
  static std::vector<float> with_heaps(const std::vector<float>& more) {
    std::vector<float> keys = {0, 2, 10, 12};
    keys.insert(keys.end(), more.begin(), more.end());
    return keys;
  }

  Sequence sequence_;
  std::unique_ptr<Clustering> clustering_;
  Work work_;
  EntryIndex next_ = 4;
};

void check_change(const Change& change, ChangeKind kind, UnitId unit, UnitId other, EntryIndex entry) {
  CHECK(change.kind == kind);
  CHECK(change.unit == unit);
  CHECK(change.other == other);
  CHECK(change.entry == entry);
}

TEST_CASE("adaptive: a key joins while the variance it makes is at most the threshold, to the last bit") {
  // 0, 2, 1: variance 2/3. With 3 it is (2.25 + 0.25 + 0.25 + 2.25) / 4 = 1.25, exactly.
  for (const double multiple : {1.25, std::nextafter(1.25, 0.0)}) {
    CAPTURE(multiple);
    Line line({1, 3}, {{"multiple", multiple}});
    check_change(line.append().front(), ChangeKind::appended, line.left, -1, 4);
    const ChangeList changes = line.append();
    REQUIRE(changes.size() == 1);
    check_change(changes[0], multiple == 1.25 ? ChangeKind::appended : ChangeKind::buffered, line.left, -1,
                 5);
  }
}

TEST_CASE("adaptive: a cluster in DRAM is split at once, the new key included") {
  // Of 0, 2, 1, 3 (mean 1.5) keys 0 and 3 are the farthest: {0, 1} and {2, 3}.
  Line line({1, 3}, {});
  line.append();
  const ChangeList changes = line.append({line.left});
  REQUIRE(changes.size() == 2);
  check_change(changes[0], ChangeKind::appended, line.left, -1, 5);
  check_change(changes[1], ChangeKind::split, line.left, 2, -1);
  CHECK(line.members(line.left) == std::vector<EntryIndex>{0, 4});
  CHECK(line.members(2) == std::vector<EntryIndex>{1, 5});
  CHECK(line.members(line.right) == std::vector<EntryIndex>{2, 3});
}

TEST_CASE("adaptive: the larger half keeps the unit and its place") {
  // 0, 2, 1.5, 6: the farthest from the mean 2.375 is 6, from 6 it is 0: {6} and {0, 2, 1.5}.
  Line line({1.5F, 5.75F}, {});
  line.append();
  line.append({line.left});
  CHECK(line.members(line.left) == std::vector<EntryIndex>{0, 1, 4});
  CHECK(line.members(2) == std::vector<EntryIndex>{5});
}

TEST_CASE("adaptive: a cluster that is not in DRAM keeps the key waiting until it is loaded") {
  Line line({1, 3, 11, 3}, {});
  line.append();
  const ChangeList waits = line.append({line.right});
  REQUIRE(waits.size() == 1);
  check_change(waits[0], ChangeKind::buffered, line.left, -1, 5);
  CHECK(line.pending(line.left) == std::vector<EntryIndex>{5});
  CHECK(line.members(line.left) == std::vector<EntryIndex>{0, 1, 4});

  check_change(line.append().front(), ChangeKind::appended, line.right, -1, 6);
  CHECK(line.load({line.right}).empty());
  check_change(line.append().front(), ChangeKind::buffered, line.left, -1,
               7);  // n, r, s2 are those without 5
  const ChangeList split = line.load({line.right, line.left});
  REQUIRE(split.size() == 1);
  check_change(split[0], ChangeKind::split, line.left, 2, -1);
  CHECK(line.pending(line.left).empty());
  CHECK(line.pending(2).empty());
  CHECK(line.members(line.left) == std::vector<EntryIndex>{1, 5, 7});  // 2, 3, 3: the larger half
  CHECK(line.members(2) == std::vector<EntryIndex>{0, 4});             // 0, 1
  CHECK(line.load({line.left, 2}).empty());
}

TEST_CASE("adaptive: what waits in a cluster takes part when a key splits it in DRAM") {
  Line line({3.5F, 3.5F}, {});
  check_change(line.append().front(), ChangeKind::buffered, line.left, -1, 4);
  const ChangeList changes = line.append({line.left});
  REQUIRE(changes.size() == 2);
  check_change(changes[1], ChangeKind::split, line.left, 2, -1);
  CHECK(line.pending(line.left).empty());
  CHECK(line.members(line.left) == std::vector<EntryIndex>{1, 5, 4});  // 2, 3.5, 3.5
  CHECK(line.members(2) == std::vector<EntryIndex>{0});
}

TEST_CASE("adaptive: halves that still exceed the threshold are split again while they are in DRAM") {
  // Of 0, 2 and the waiting -4, 5.5: {0, -4} of variance 4 and {2, 5.5} of 3.06, hence four single keys.
  Line line({-4, 5.5F}, {});
  line.append();
  line.append();
  const ChangeList changes = line.load({line.left});
  REQUIRE(changes.size() == 3);
  check_change(changes[0], ChangeKind::split, line.left, 2, -1);
  check_change(changes[1], ChangeKind::split, 2, 3, -1);
  check_change(changes[2], ChangeKind::split, line.left, 4, -1);
  CHECK(line.members(line.left) == std::vector<EntryIndex>{0});
  CHECK(line.members(2) == std::vector<EntryIndex>{1});
  CHECK(line.members(3) == std::vector<EntryIndex>{5});
  CHECK(line.members(4) == std::vector<EntryIndex>{4});
}

TEST_CASE("adaptive: when buffer_entries wait, the fullest cluster is loaded, the older one of two as full") {
  Line line({3.5F, 8.5F, 8.5F, 3.5F, 3.5F}, {{"buffer_entries", std::int64_t{3}}});
  CHECK(line.append().size() == 1);
  CHECK(line.append().size() == 1);
  const ChangeList full = line.append();
  REQUIRE(full.size() == 2);
  check_change(full[0], ChangeKind::buffered, line.right, -1, 6);
  check_change(full[1], ChangeKind::wants_load, line.right, -1, -1);
  CHECK(line.load({line.right}).size() == 1);
  CHECK(line.append().size() == 1);  // two wait on the left
  const ChangeList again = line.append();
  REQUIRE(again.size() == 2);
  check_change(again[1], ChangeKind::wants_load, line.left, -1, -1);

  Line tie({3.5F, 8.5F}, {{"buffer_entries", std::int64_t{2}}});
  tie.append();
  check_change(tie.append()[1], ChangeKind::wants_load, 0, -1, -1);
}

TEST_CASE("adaptive: split now loads at once, a huge buffer never loads, split off never splits") {
  for (const ParamValues& values :
       {ParamValues{{"split", std::string("now")}}, ParamValues{{"buffer_entries", std::int64_t{0}}},
        ParamValues{{"buffer_entries", std::int64_t{1}}}}) {
    Line line({3.5F}, values);
    const ChangeList changes = line.append();
    REQUIRE(changes.size() == 2);
    check_change(changes[1], ChangeKind::wants_load, line.left, -1, -1);
    CHECK(line.load({line.left}).size() == 1);
  }
  const std::vector<float> many(200, 3.5F);
  Line buffered(many, {{"buffer_entries", std::int64_t{1000}}});
  Line off(many, {{"split", std::string("off")}});
  for (std::size_t i = 0; i < many.size(); ++i) {
    CHECK(buffered.append().size() == 1);
    const ChangeList changes = off.append({off.left});
    REQUIRE(changes.size() == 1);
    CHECK(changes[0].kind == ChangeKind::appended);
    CHECK(off.load({0, 1}).empty());
  }
  CHECK(buffered.pending(buffered.left).size() == 200);
  CHECK(off.units() == 2);
}

TEST_CASE("adaptive: split off follows moving means, unlike kmeans") {
  // 5 and 5.9 pull the left mean from 1 to 3.2: the border moves from 6 to 7.1, and 6.2 goes left.
  Line line({5, 5.9F, 6.2F}, {{"split", std::string("off")}});
  for (int i = 0; i < 3; ++i) {
    CHECK(line.append().front().unit == line.left);
  }
}

TEST_CASE("adaptive: the threshold is a multiple of the mean or of a quantile of the prompt's variances") {
  // Heaps of variance 1 and 4: the mean is 2.5, the quantiles 0, 0.5 and 1 are 1, 2.5 and 4. With the key x
  // the left heap's variance is (2 + (x - 1)^2 * 2 / 3) / 3: 2.48 for 3.85, 2.54 for 3.9; 1.5 is (1.0, 1.5).
  struct Case {
    ParamValues values;
    float fits;
    float exceeds;
  };
  const Case cases[] = {{{{"threshold", std::string("mean")}}, 3.85F, 3.9F},
                        {{{"quantile", 0.5}}, 3.85F, 3.9F},
                        {{{"quantile", 0.0}}, 2.2F, 2.3F},                       // to 1
                        {{{"quantile", 1.0}}, 4.8F, 4.9F},                       // to 4
                        {{{"quantile", 1.0}, {"multiple", 0.25}}, 2.2F, 2.3F}};  // to 1
  for (const Case& one : cases) {
    for (const float key : {one.fits, one.exceeds}) {
      CAPTURE(key);
      const Sequence sequence({0, 2, 20, 24, key}, 1);
      ParamValues values = one.values;
      values.insert({"clusters", std::int64_t{2}});
      const auto clustering = make(values, 1);
      ChangeList changes;
      Work work;
      clustering->build(sequence.view(4), changes, work);
      changes.clear();
      clustering->append(4, sequence.view(5), test::NothingResident{}, changes, work);
      REQUIRE(changes.size() == 1);
      CHECK(changes[0].kind == (key == one.fits ? ChangeKind::appended : ChangeKind::buffered));
    }
  }
}

/// What a clustering of `values` that begins with `prompt` does with one more key, of which no unit is in
/// DRAM.
ChangeKind change_of(ParamValues values, std::vector<float> prompt, float key) {
  prompt.push_back(key);
  const Sequence sequence(prompt, 1);
  const auto entries = static_cast<EntryIndex>(prompt.size());
  const auto clustering = make(std::move(values), 1);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(entries - 1), changes, work);
  changes.clear();
  clustering->append(entries - 1, sequence.view(entries), test::NothingResident{}, changes, work);
  REQUIRE(changes.size() == 1);
  return changes[0].kind;
}

TEST_CASE("adaptive: the matched threshold, a worked example") {
  // Four units are wanted of eight entries, whose variance is 131.69. The first threshold tried is 2^-5 of
  // it, 4.115: from {0, 2}, the first quarter, it leads to {0, 2}, {10, 12}, {20, 23} and {30, 33}, which is
  // right. With -2.9, {0, 2} has a variance of 4.05, with -3 one of 4.22.
  const std::vector<float> prompt = {0, 2, 10, 12, 20, 23, 30, 33};
  const ParamValues matched = {{"threshold", std::string("matched")},
                               {"entries_per_cluster", std::int64_t{2}}};
  CHECK(change_of(matched, prompt, -2.9F) == ChangeKind::appended);
  CHECK(change_of(matched, prompt, -3.0F) == ChangeKind::buffered);
  // Twice that: 8.23. With -4.8 the variance is 8.14, with -4.9 it is 8.40.
  ParamValues twice = matched;
  twice.insert({"multiple", 2.0});
  CHECK(change_of(twice, prompt, -4.8F) == ChangeKind::appended);
  CHECK(change_of(twice, prompt, -4.9F) == ChangeKind::buffered);
}

TEST_CASE("adaptive: a prompt of fewer than four units takes the median variance") {
  // Heaps of variance 1 and 4, the median is 2.5: as in the test above.
  const ParamValues matched = {{"threshold", std::string("matched")},
                               {"clusters", std::int64_t{2}},
                               {"entries_per_unit", std::int64_t{2}}};
  CHECK(change_of(matched, {0, 2, 20, 24}, 3.85F) == ChangeKind::appended);
  CHECK(change_of(matched, {0, 2, 20, 24}, 3.9F) == ChangeKind::buffered);
}

TEST_CASE("adaptive: by size, a cluster is split when a key would be one too many") {
  const ParamValues by_size = {{"trigger", std::string("size")}, {"max_entries", std::int64_t{3}}};
  Line line({1, 3, 11, 3}, by_size);
  check_change(line.append().front(), ChangeKind::appended, line.left, -1, 4);
  const ChangeList split = line.append({line.left});  // 0, 2, 1, 3 into {0, 1} and {2, 3}
  REQUIRE(split.size() == 2);
  check_change(split[0], ChangeKind::appended, line.left, -1, 5);
  check_change(split[1], ChangeKind::split, line.left, 2, -1);
  CHECK(line.members(line.left) == std::vector<EntryIndex>{0, 4});
  CHECK(line.members(2) == std::vector<EntryIndex>{1, 5});
  check_change(line.append().front(), ChangeKind::appended, line.right, -1, 6);
  line.check();
}

TEST_CASE("adaptive: by size, what is one too many waits; by default twice entries_per_cluster are not") {
  Line line({1, 1, 1, 1, 1}, {{"trigger", std::string("size")}, {"entries_per_cluster", std::int64_t{2}}});
  line.append();
  check_change(line.append().front(), ChangeKind::appended, line.left, -1, 5);  // the fourth
  check_change(line.append().front(), ChangeKind::buffered, line.left, -1, 6);
  check_change(line.append().front(), ChangeKind::buffered, line.left, -1, 7);
  const ChangeList split = line.load({line.left, line.right});
  REQUIRE(split.size() == 2);  // {2} and {0, 1, 1, 1, 1}, which is one too many still
  CHECK(line.members(line.left) == std::vector<EntryIndex>{4, 5, 6, 7});
  CHECK(line.members(2) == std::vector<EntryIndex>{1});
  CHECK(line.members(3) == std::vector<EntryIndex>{0});
  line.check();
}

TEST_CASE(
    "adaptive: by size, prompt clusters that are too large are split as they are loaded, equal keys too") {
  const Sequence sequence(std::vector<float>(20, 0.5F), 1);
  const auto clustering = make(
      {{"clusters", std::int64_t{1}}, {"trigger", std::string("size")}, {"max_entries", std::int64_t{3}}}, 1);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(20), changes, work);
  clustering->check(sequence.view(20));
  clustering->loaded(std::vector<UnitId>{0}, sequence.view(20), changes, work);
  clustering->check(sequence.view(20));
  CHECK(clustering->unit_count() >= 7);
  CHECK(test::all_entries(*clustering) == test::first_entries(20));
  for (UnitId unit = 0; unit < clustering->unit_count(); ++unit) {
    CHECK(clustering->members(unit).size() <= 3);
  }
}

TEST_CASE("adaptive: prompt clusters above the threshold are split as they are loaded, to the last") {
  const Sequence sequence({0, 2, 20, 24}, 1);
  const auto clustering = make({{"clusters", std::int64_t{2}}, {"quantile", 0.0}}, 1);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(4), changes, work);
  const UnitId wide = clustering->members(0).front() == 2 ? 0 : 1;
  changes.clear();
  const std::vector<UnitId> both = {0, 1};
  clustering->loaded(both, sequence.view(4), changes, work);
  REQUIRE(changes.size() == 1);
  check_change(changes[0], ChangeKind::split, wide, 2, -1);
}

TEST_CASE("adaptive: equal keys are never split, whatever the threshold, and need no end of loads") {
  std::vector<float> keys(300, 0.1F);
  keys[200] = 0.3F;
  const Sequence sequence(keys, 1);
  const auto clustering = make({{"clusters", std::int64_t{4}}, {"multiple", 0.0}}, 1);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(100), changes, work);
  std::vector<UnitId> all = {0, 1, 2, 3};
  for (EntryIndex entry = 100; entry < 300; ++entry) {
    changes.clear();
    clustering->loaded(all, sequence.view(entry), changes, work);
    CHECK(changes.empty());
    clustering->append(entry, sequence.view(entry + 1), Resident({0, 1, 2, 3, 4}), changes, work);
    CHECK(changes.size() == (entry == 200 ? 2 : 1));
    CHECK(test::all_entries(*clustering) == test::first_entries(entry + 1));
  }
  CHECK(clustering->unit_count() == 5);
}

TEST_CASE("adaptive: a key costs the distances and one running update; units keep float means") {
  const Sequence sequence({0, 2, 10, 12, 1}, 1);
  const auto clustering = make({{"clusters", std::int64_t{2}}}, 1);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(4), changes, work);
  CHECK(clustering->dram_bytes() == 4 * 4 + 2 * (4 + 4 + 4));
  work = {};
  clustering->append(4, sequence.view(5), test::NothingResident{}, changes, work);
  CHECK(work.flops == 3.0 * 2.0 + 6.0);
  CHECK(work.bytes == 2.0 * 2.0 + 2.0 + 8.0);
}

TEST_CASE("adaptive: its check finds a variance above the threshold and entries that wait too many") {
  Line line({1, 6}, {{"buffer_entries", std::int64_t{1}}});
  line.check();
  CHECK_THROWS_AS(line.check(1.5F), InternalError);  // variance 2.25, threshold 1
  line.append();
  line.check();
  line.append();                                 // 6 lies between the heaps and waits
  CHECK_THROWS_AS(line.check(), InternalError);  // until the unit that is asked for is loaded
  line.load({line.pending(line.left).empty() ? line.right : line.left});
  line.check();
}

}  // namespace
}  // namespace kvr
