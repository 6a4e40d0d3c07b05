// What the engine checks about policies, at the end or after every step, each with a policy that breaks it.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

#include "sim/base/error.hpp"
#include "tests/engine/broken_policies.hpp"
#include "tests/engine/replay_fixture.hpp"

namespace kvr {
namespace {

using test::Setup;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made;
  return made;
}

/// What is found wrong, or nothing.
std::string fault_of(Setup setup, const std::string& check) {
  setup.check = check;
  try {
    fixture().run(setup);
  } catch (const InternalError& error) {
    return error.what();
  }
  return "";
}

Setup with(const std::string& units_fault, const std::string& layout_fault) {
  Setup setup;
  setup.clustering = fmt::format("{{type: {}, fault: {}}}", test::kBrokenUnits, units_fault);
  setup.layout = fmt::format("{{type: {}, fault: {}}}", test::kBrokenLayout, layout_fault);
  return setup.with_budget(0);  // so that attention itself does not stumble over the fault
}

TEST_CASE("a fault that heals is found after every step and not at the end") {
  struct Fault {
    const char* units;
    const char* layout;
    const char* message;
  };
  for (const Fault& fault : {Fault{"lost", "none", "units hold 80 entries, 81 were handed over"},
                             Fault{"twice", "none", "entry 0 is in unit 1, expected in 0"},
                             Fault{"own", "none", "the units' own fault"},
                             Fault{"none", "overlap", "records of 10368 bytes cover 10240 bytes"},
                             Fault{"none", "outside", "records end at"},
                             Fault{"none", "silent", "records hold 10368 bytes, 10240 were written"},
                             Fault{"none", "own", "the layout's own fault"}}) {
    CAPTURE(std::string(fault.message));
    const Setup setup = with(fault.units, fault.layout);
    CHECK(fault_of(setup, "end") == "");
    const std::string found = fault_of(setup, "every_step");
    CHECK(found.find(fault.message) != std::string::npos);
    CHECK(found.ends_with("(step 15)"));
  }
  CHECK(fault_of(with("none", "none"), "every_step") == "");
}

TEST_CASE("work and DRAM that no phone could have are the fault of the policy that charges them") {
  for (const auto& [fault, message] :
       {std::pair{"endless_work", "charges nan operations and 0 bytes; allowed: finite numbers, 0 and more"},
        std::pair{"negative_work", "charges 0 operations and -1 bytes"},
        std::pair{"negative_dram", "takes -1 bytes of DRAM; allowed: 0 and more"}}) {
    CAPTURE(std::string(fault));
    const std::string found = fault_of(with(fault, "none"), "end");
    CHECK(found.find(fmt::format("clustering '{}': layer 0, head 0", test::kBrokenUnits)) !=
          std::string::npos);
    CHECK(found.find(message) != std::string::npos);
  }
}

TEST_CASE("a cache that exceeds its budget is found") {
  Setup setup;
  setup.clustering = "{type: kmeans, entries_per_cluster: 7}";
  setup.scorer = "centroid";
  setup.cache_bytes = 20 * test::kEntryBytes;
  for (const bool refuses : {false, true}) {
    setup.replacement = fmt::format("{{type: {}, refuses: {}}}", test::kBrokenReplacement, refuses);
    for (const char* const check : {"end", "every_step"}) {
      CAPTURE(check);
      CHECK((fault_of(setup, check).find("bytes of a cache of 1280") != std::string::npos) == refuses);
      CHECK(fault_of(setup, check).empty() != refuses);
    }
  }
}

TEST_CASE("checking every step changes no bit of the results") {
  for (const char* const clustering :
       {"{type: adaptive, entries_per_cluster: 7, threshold: quantile, quantile: 0.3, buffer_entries: 3}",
        "{type: kmeans, entries_per_cluster: 7, refit_every: 6}",
        "{type: kmeans_local, entries_per_cluster: 7, window: 9, window_clusters: 2}", "token"}) {
    for (const char* const layout : {"token_order", "cluster_contiguous", "cluster_by_cluster",
                                     "{type: dual_head, page_buffer: 512B, hot_steps: 6}"}) {
      for (const std::int64_t cached_entries : {0, 15, 1000}) {
        Setup setup;
        setup.clustering = clustering;
        setup.layout = layout;
        setup.scorer = "centroid";
        setup.replacement = cached_entries > 0 ? "lru" : "none";
        setup.cache_bytes = cached_entries * test::kEntryBytes;
        CAPTURE(setup.describe());
        const PointResult at_end = fixture().run(setup);
        setup.check = "every_step";
        CHECK(test::same_bits(at_end, fixture().run(setup)));
      }
    }
  }
}

}  // namespace
}  // namespace kvr
