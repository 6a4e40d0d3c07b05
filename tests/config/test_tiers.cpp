// What a list of tiers means.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

#include "tests/config/fixture.hpp"

namespace kvr::test {
namespace {

RunConfig with_tiers(std::string_view tiers, std::string_view from = "", std::string_view to = "") {
  const Folder folder;
  std::string text = good_with("  layout:", fmt::format("  tiers: {}\n  layout:", tiers));
  if (!from.empty()) {
    text.replace(text.find(from), from.size(), to);
  }
  folder.write("c.yaml", text);
  return load("c.yaml").front();
}

TEST_CASE("memory over flash where nothing is said, in whichever names") {
  for (const char* tiers : {"[]", "[{name: dram}, {name: flash}]", "[{name: hbm}, {name: nvme}]"}) {
    CAPTURE(tiers);
    const SystemConfig system = with_tiers(tiers).system;
    CHECK(system.on_flash);
    CHECK(system.has_lower_tier());
    CHECK(system.tiers.empty());
  }
}

TEST_CASE("a tier alone needs neither layout nor replacement") {
  for (const char* tiers : {"[{name: dram}]", "[{name: hbm}]"}) {
    CAPTURE(tiers);
    const SystemConfig system = with_tiers(tiers, "  layout: token_order\n  replacement: lru\n", "").system;
    CHECK_FALSE(system.on_flash);
    CHECK_FALSE(system.has_lower_tier());
  }
}

TEST_CASE("tiers between the first and the flash have a capacity") {
  const SystemConfig system =
      with_tiers(
          "[{name: hbm}, {name: dram, bandwidth: 60GB/s, latency: 2us, capacity: 1GiB, copies: "
          "exclusive}, {name: cxl, bandwidth: 20GB/s, capacity: 2GiB, replacement: none}, {name: flash}]")
          .system;
  CHECK(system.on_flash);
  REQUIRE(system.tiers.size() == 2);
  const TierConfig& dram = system.tiers[0];
  CHECK(dram.name == "dram");
  CHECK(dram.place == 1);
  CHECK(dram.bandwidth_bytes_per_s == 60e9);
  CHECK(dram.latency_s == 2e-6);
  CHECK(dram.capacity_bytes == std::int64_t{1} << 30);
  CHECK(dram.replacement.type == "lru");
  CHECK(dram.exclusive);
  const TierConfig& cxl = system.tiers[1];
  CHECK(cxl.latency_s == 0.0);
  CHECK(cxl.replacement.type == "none");
  CHECK_FALSE(cxl.exclusive);
}

TEST_CASE("a last tier with a bandwidth is memory that holds everything, and needs no layout") {
  const SystemConfig system = with_tiers("[{name: hbm}, {name: dram, bandwidth: 60GB/s, latency: 1us}]",
                                         "  layout: token_order\n", "")
                                  .system;
  CHECK_FALSE(system.on_flash);
  CHECK(system.has_lower_tier());
  REQUIRE(system.tiers.size() == 1);
  CHECK(system.tiers[0].capacity_bytes == 0);
}

TEST_CASE(
    "what is on flash while other layers compute is said of the cache, and of representatives by tier") {
  const auto of = [](std::string_view tiers, std::string_view representatives, std::string_view cache) {
    return with_tiers(tiers, "  cache: {capacity: 64MiB}\n",
                      fmt::format("  cache: {}\n  representatives: {}\n", cache, representatives))
        .system.virtual_memory;
  };
  CHECK_FALSE(with_tiers("[]").system.virtual_memory.representatives);
  CHECK(with_tiers("[]").system.virtual_memory.cache == CacheSwap::none);
  for (const char* tiers : {"[]", "[{name: dram}, {name: flash}]"}) {
    CHECK(of(tiers, "flash", "{holds: layer}").representatives);
    CHECK_FALSE(of(tiers, "dram", "{holds: layer}").representatives);
    CHECK(of(tiers, "''", "{holds: layer}").cache == CacheSwap::area);
    CHECK(of(tiers, "''", "{holds: layer, swap: in_place}").cache == CacheSwap::in_place);
    CHECK(of(tiers, "''", "{holds: all, swap: in_place}").cache == CacheSwap::none);
  }
  CHECK(of("[{name: hbm}, {name: nvme}]", "nvme", "{}").representatives);
  CHECK_FALSE(of("[{name: hbm}, {name: nvme}]", "hbm", "{}").representatives);
  CHECK(of("[{name: dram}]", "dram", "{holds: layer}").cache == CacheSwap::none);
}

TEST_CASE("the resolved dump of tiers is a configuration that resolves to itself") {
  const Folder folder;
  const RunConfig run = with_tiers(
      "[{name: hbm}, {name: dram, bandwidth: 60GB/s, capacity: 1GiB}, {name: far, bandwidth: 1GB/s}]");
  CHECK(run.resolved_yaml.find(
            "    - name: hbm\n    - name: dram\n      bandwidth: 60GB/s\n      latency: 0s\n"
            "      capacity: 1GiB\n      replacement:\n        type: lru\n"
            "      copies: inclusive\n      access: copied\n    - name: far\n"
            "      bandwidth: 1GB/s\n      latency: 0s\n      access: copied\n") != std::string::npos);
  folder.write("again.yaml", run.resolved_yaml);
  CHECK(load("again.yaml").front().resolved_yaml == run.resolved_yaml);
}

}  // namespace
}  // namespace kvr::test
