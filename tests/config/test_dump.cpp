#include <doctest/doctest.h>

#include "sim/config/resolved.hpp"
#include "tests/config/fixture.hpp"

namespace kvr::test {

TEST_CASE("the resolved dump holds every key in fixed order, with units") {
  const Folder folder;
  folder.write("c.yaml", kGood);
  CHECK(load("c.yaml")[0].resolved_yaml ==
        "name: good\ndescription: \"\"\ntrace:\n  path: t.h5\n  sequences: 1\nmodel:\n  type: decoder\n  "
        "layers: 0\n"
        "phone:\n  type: soc\n  clock: 3.3GHz\n  npu: false\n"
        "device:\n  type: ufs\n  latency: 25us\n  bandwidth: 2.9GB/s\n  block: 4KiB\n  serial: A1\n"
        "system:\n  name: \"\"\n  about:\n    source: \"\"\n    year: 0\n    faithful: \"\"\n    chosen: "
        "\"\"\n    "
        "left_out: \"\"\n    held_to: \"\"\n  heads: each\n  positions: absolute\n  clustering:\n    type: "
        "page\n    "
        "page_tokens: 32\n    "
        "metric: l2\n"
        "  stages:\n    - name: \"\"\n      take: \"\"\n      recheck: 0.0\n      when: step\n      every: "
        "1\n      overflow:\n        entries: 0\n        tier: \"\"\n        bytes: 0B\n"
        "      effect: select\n      tier: \"\"\n"
        "      queries: own\n      lead:\n        layers: 1\n        steps: 0\n      layers: all\n"
        "      units: clustering\n      scorer:\n        type: exact\n"
        "      budget:\n        type: fraction\n        share: 0.25\n      estimate:\n        type: none\n   "
        "   scope: head\n      across: sequence\n"
        "      norm: none\n      fold: mean\n      last_unit: cut\n"
        "      pins:\n        sinks: 4\n        recent: 32\n        sinks_share: 0.0\n        recent_share: "
        "0.0\n        pending: counted\n"
        "  codec:\n    k:\n      type: fp16\n    v:\n      type: fp16\n"
        "  tiers: []\n  layout:\n    type: token_order\n  replacement:\n    type: lru\n"
        "  cache:\n    capacity: 64MiB\n    scope: model\n    holds: all\n    swap: area\n  dram: 0B\n"
        "  representatives: \"\"\n"
        "  schedule:\n    type: serial\n"
        "workload:\n  sequences: []\n  turns: []\n  prefill: free\n"
        "run:\n  seed: 7\n  threads: 1\n  first_step: 0\n  steps: 0\n  working_set: 0B\n  check: end\n"
        "record:\n  per_step: true\n  host_timing: true\n  span:\n    first: 0\n    tokens: 0\n");
}

TEST_CASE("a resolved dump is a configuration that resolves to itself, whatever its texts hold") {
  const Folder folder;
  folder.write("d/c.yaml", std::string(kGood) + "sweep: {run.steps: [1, 2]}\n");
  for (const char* name : {"plain", "'true'", "'12'", "'a: b # c'",
                           R"("quote \" slash \\ line \n tab \t end")", "ünï", "'- x'", "'~'", "\"\\x01\""}) {
    const auto runs = load("d/c.yaml", {std::string("name=") + name, "run.working_set=unlimited",
                                        "device.latency=0.1234567us", std::string("device.serial=") + name});
    REQUIRE(runs.size() == 2);
    for (const RunConfig& run : runs) {
      CAPTURE(run.resolved_yaml);
      folder.write("again.yaml", run.resolved_yaml);
      const auto again = load("again.yaml");
      REQUIRE(again.size() == 1);
      CHECK(again[0].resolved_yaml == run.resolved_yaml);
      CHECK(again[0].name == run.name);
      CHECK(again[0].sequences.front().trace_path == run.sequences.front().trace_path);
      CHECK(again[0].device.values == run.device.values);
    }
  }
}

TEST_CASE("a window of units stands in the dump where it is given, and there alone") {
  const Folder folder;
  folder.write("c.yaml", kGood);
  CHECK(load("c.yaml")[0].resolved_yaml.find("units:\n    steps") == std::string::npos);
  CHECK_FALSE(load("c.yaml")[0].recorded_units.has_value());
  for (const char* given : {"record.units=3..5", "record.units={steps: 3..5}"}) {
    const RunConfig run = load("c.yaml", {given})[0];
    CHECK(run.resolved_yaml.ends_with(
        "  units:\n    steps: \"3..5\"\n    layers: all\n    heads: all\n    sequences: all\n"));
    REQUIRE(run.recorded_units.has_value());
    CHECK(run.recorded_units->steps.ranges == std::vector<LayerSet::Range>{{3, 5}});
    CHECK(run.recorded_units->layers.ranges.empty());
    folder.write("again.yaml", run.resolved_yaml);
    CHECK(load("again.yaml")[0].resolved_yaml == run.resolved_yaml);
  }
}

TEST_CASE("every value knows who gave it") {
  const Folder folder;
  folder.write("base.yaml", kGood);
  folder.write("c.yaml",
               "include: base.yaml\nrun: {threads: 2}\nsweep: {system.cache.scope: [layer, head]}\n");
  const std::vector<std::string> sets = {"run.steps=3"};
  const auto points = config::resolve_points("c.yaml", sets, catalogue());
  REQUIRE(points.size() == 2);
  const auto place = [&](std::string_view key) { return config::to_string(points[1].root.at(key).mark); };
  CHECK(place("run.seed") == "base.yaml:15:3");
  CHECK(place("run.threads") == "c.yaml:2:7");
  CHECK(place("run.steps") == "--set run.steps");
  CHECK(place("run.first_step") == "default");
  CHECK(place("system.cache.scope") == "c.yaml:3:37");
  CHECK(place("system.stages.0.scorer.type") == "base.yaml:8:7");
  CHECK(place("system.stages.0.fold") == "default");
  CHECK(place("model.layers") == "default");
}

}  // namespace kvr::test
