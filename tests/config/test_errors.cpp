// Every message in full: place, key, what is wrong, what was given, what is allowed.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "tests/config/fixture.hpp"

namespace kvr::test {

namespace {

constexpr std::string_view kRootKeys =
    "name, description, trace, model, phone, device, system, workload, run, record";
constexpr std::string_view kByteUnits = "a whole number with a unit (B, kB, MB, GB, TB, KiB, MiB, GiB, TiB)";

struct Bad {
  std::string_view from;  ///< in the good configuration
  std::string_view to;
  std::string message;
};

void check_all(const std::vector<Bad>& bads) {
  for (const Bad& bad : bads) {
    CAPTURE(bad.to);
    CHECK(error_of_text(good_with(bad.from, bad.to)) == bad.message);
  }
}

}  // namespace

TEST_CASE("an unknown key is an error that suggests the nearest one") {
  check_all({
      {"name:", "nam:",
       fmt::format("c.yaml:1:1: nam: unknown key (nam); did you mean 'name'? allowed: {}", kRootKeys)},
      {"  seed: 7", "  sead: 7",
       "c.yaml:15:3: run.sead: unknown key (sead); did you mean 'seed'? allowed: seed, threads, first_step, "
       "steps, working_set, check"},
      {"page_tokens", "page_token",
       "c.yaml:6:28: system.clustering.page_token: unknown key (page_token); did you mean 'page_tokens'? "
       "allowed: type, page_tokens, metric"},
      {"page_tokens: 32", "colour: red",
       "c.yaml:6:28: system.clustering.colour: unknown key (colour); allowed: type, page_tokens, metric"},
      {"type: ufs", "include: x.yaml, type: ufs",
       "c.yaml:4:10: device.include: unknown key (include); allowed: type, latency, bandwidth, block, "
       "serial"},
  });
}

TEST_CASE("a number must be one in full, and of the right type") {
  check_all({
      {"seed: 7", "seed: 16x",
       "c.yaml:15:3: run.seed: is not an integer (16x); allowed: an integer, at least 0"},
      {"seed: 7", "seed: '7'",
       "c.yaml:15:3: run.seed: is not an integer (7); allowed: an integer, at least 0"},
      {"seed: 7", "seed: 7.5",
       "c.yaml:15:3: run.seed: is not a whole number (7.5); allowed: an integer, at least 0"},
      {"seed: 7", "seed: 1e17",
       "c.yaml:15:3: run.seed: is too large (1e17); allowed: an integer, 0 to 9007199254740992, or to "
       "9223372036854775807 in digits"},
      {"seed: 7", "seed: 9223372036854775808",
       "c.yaml:15:3: run.seed: is too large (9223372036854775808); allowed: an integer, 0 to "
       "9007199254740992, or to 9223372036854775807 in digits"},
      {"seed: 7", "seed: 1e999",
       "c.yaml:15:3: run.seed: is beyond what a double holds (1e999); allowed: an integer, at least 0"},
      {"seed: 7", "seed: [7]",
       "c.yaml:15:3: run.seed: is not a single value (a list); allowed: an integer, at least 0"},
      {"seed: 7", "seed:", "c.yaml:15:3: run.seed: has no value (nothing); allowed: an integer, at least 0"},
      {"share: 0.25", "share: much",
       "c.yaml:9:32: system.stages.0.budget.share: is not a number (much); allowed: a number, above 0, at "
       "most 1"},
      {"share: 0.25", "share: .inf",
       "c.yaml:9:32: system.stages.0.budget.share: is not a number (.inf); allowed: a number, above 0, at "
       "most 1"},
  });
}

TEST_CASE("whatever people write for a number is that number or an error") {
  struct Row {
    std::string_view written;
    std::string_view capacity;  ///< what `system.cache.capacity` makes of it
    std::string_view share;     ///< what `budget.share` makes of it, a number without a unit
    std::string_view seed;      ///< what `run.seed` makes of it, an integer
  };
  constexpr std::string_view kNo = "";
  const Row rows[] = {
      {".5", kNo, "0.5", kNo},       {"1.", kNo, "1.0", "1"},         {"+1", kNo, "1.0", "1"},
      {"+-1", kNo, kNo, kNo},        {"1e0", kNo, "1.0", "1"},        {"1E+0", kNo, "1.0", "1"},
      {"5e-1", kNo, "0.5", kNo},     {"1_000", kNo, kNo, kNo},        {"1,000", kNo, kNo, kNo},
      {"0x10", kNo, kNo, kNo},       {"0o10", kNo, kNo, kNo},         {"10%", kNo, kNo, kNo},
      {"2k", kNo, kNo, "2000"},      {"2 k", kNo, kNo, "2000"},       {"16 MiB", "16MiB", kNo, kNo},
      {"16MiB", "16MiB", kNo, kNo},  {"'16 MiB'", "16MiB", kNo, kNo}, {"'16MiB '", kNo, kNo, kNo},
      {".5MiB", "512KiB", kNo, kNo}, {"+1 kB", "1kB", kNo, kNo},      {"1e3MiB", "1000MiB", kNo, kNo},
      {"16mib", kNo, kNo, kNo},      {"16 Mi", kNo, kNo, kNo},        {"16M", kNo, kNo, "16000000"},
      {"'1'", kNo, kNo, kNo},        {".inf", kNo, kNo, kNo},         {"inf", kNo, kNo, kNo},
      {".nan", kNo, kNo, kNo},       {"NaN", kNo, kNo, kNo},          {"~", kNo, kNo, kNo},
      {"null", kNo, kNo, kNo},       {"true", kNo, kNo, kNo},         {"yes", kNo, kNo, kNo},
      {"on", kNo, kNo, kNo},         {"1:30", kNo, kNo, kNo},         {"2001-01-01", kNo, kNo, kNo},
      {"1e400", kNo, kNo, kNo},
  };
  const auto check_one = [](std::string_view from, std::string_view to, std::string_view key,
                            std::string_view wanted) {
    CAPTURE(to);
    const Folder folder;
    folder.write("c.yaml", good_with(from, to));
    if (wanted.empty()) {
      CHECK(error_of("c.yaml").find("; allowed: ") != std::string::npos);
    } else {
      CHECK(load("c.yaml").front().resolved_yaml.find(fmt::format("{}: {}\n", key, wanted)) !=
            std::string::npos);
    }
  };
  for (const Row& row : rows) {
    check_one("64MiB", row.written, "capacity", row.capacity);
    check_one("0.25", row.written, "share", row.share);
    check_one("seed: 7", fmt::format("seed: {}", row.written), "seed", row.seed);
  }
}

TEST_CASE("a quantity needs one of its units") {
  check_all({
      {"64MiB", "64",
       fmt::format("c.yaml:13:11: system.cache.capacity: has no unit (64); allowed: {}, at least 0B",
                   kByteUnits)},
      {"64MiB", "64K",
       fmt::format("c.yaml:13:11: system.cache.capacity: has an unknown unit (64K); allowed: {}, "
                   "at least 0B",
                   kByteUnits)},
      {"64MiB", "64 Mi B",
       fmt::format("c.yaml:13:11: system.cache.capacity: has an unknown unit (64 Mi B); "
                   "allowed: {}, at least 0B",
                   kByteUnits)},
      {"64MiB", "0.3B",
       fmt::format("c.yaml:13:11: system.cache.capacity: is not a whole number (0.3B); "
                   "allowed: {}, at least 0B",
                   kByteUnits)},
      {"serial: A1", "serial: A1, latency: 25",
       "c.yaml:4:33: device.latency: has no unit (25); allowed: a number with a unit (ns, us, ms, s), 1ns to "
       "1s"},
  });
}

TEST_CASE("a value outside its range is an error that names the range in the value's unit") {
  check_all({
      {"64MiB", "9000TiB",
       fmt::format("c.yaml:13:11: system.cache.capacity: is too large (9000TiB); allowed: {}, 0B to 8192TiB",
                   kByteUnits)},
      {"seed: 7", "seed: -7", "c.yaml:15:3: run.seed: is out of range (-7); allowed: an integer, at least 0"},
      {"seed: 7", "threads: 1k",
       "c.yaml:15:3: run.threads: is out of range (1k); allowed: an integer, 1 to 256"},
      {"serial: A1", "serial: A1, latency: 2s",
       "c.yaml:4:33: device.latency: is out of range (2s); allowed: a number with a unit (ns, us, ms, s), "
       "1ns to 1s"},
      {"serial: A1", "serial: A1, latency: unlimited",
       "c.yaml:4:33: device.latency: is not a number (unlimited); allowed: a number with a unit (ns, us, ms, "
       "s), "
       "1ns to 1s"},
      {"serial: A1", "serial: A1, block: 2MiB",
       fmt::format("c.yaml:4:33: device.block: is out of range (2MiB); allowed: {}, 512B to 1MiB",
                   kByteUnits)},
      {"serial: A1", "serial: A1, bandwidth: 0B/s",
       "c.yaml:4:33: device.bandwidth: is out of range (0B/s); allowed: a number with a unit (B/s, kB/s, "
       "MB/s, GB/s, "
       "KiB/s, MiB/s, GiB/s), above 0B/s, or unlimited"},
  });
}

TEST_CASE("texts and truth values are taken from their choices") {
  check_all({
      {"page_tokens: 32", "metric: cosin",
       "c.yaml:6:28: system.clustering.metric: is not a choice (cosin); did you mean 'cosine'? allowed: l2, "
       "cosine"},
      {"      budget:", "      fold: median\n      budget:",
       "c.yaml:9:7: system.stages.0.fold: is not a choice (median); did you mean 'mean'? allowed: none, "
       "mean, max, "
       "sum"},
      {"phone: soc", "phone: {type: soc, npu: yes}",
       "c.yaml:3:20: phone.npu: is not a truth value (yes); allowed: true or false"},
      {"path: t.h5", "path: ''", "c.yaml:2:9: trace.path: has no value (an empty text); allowed: a path"},
  });
}

TEST_CASE("what is required and missing is reported where it belongs") {
  check_all({
      {", serial: A1", "", "c.yaml:4:1: device.serial: is missing; required: a text"},
      {"type: ufs, ", "", "c.yaml:4:1: device.type: is missing; required: a device, one of ufs"},
      {"  layout: token_order\n", "",
       "c.yaml:5:1: system.layout: is missing; required: a layout, one of token_order"},
      {"{path: t.h5}", "{}", "c.yaml:2:1: trace.path: is missing; required: a text"},
      {kGood, "",
       "c.yaml:1:1: device: is missing; required: a device, one of ufs\n"
       "c.yaml:1:1: phone: is missing; required: a phone, one of soc\n"
       "c.yaml:1:1: system: is missing; required: a map with clustering, stages, layout, replacement\n"
       "c.yaml:1:1: trace: is missing; required: a map with path"},
  });
}

TEST_CASE("a component is a known name or a map with one") {
  check_all({
      {"scorer: exact", "scorer: exacct",
       "c.yaml:8:7: system.stages.0.scorer: no such scorer (exacct); did you mean 'exact'? allowed: "
       "centroid, exact, "
       "sketch"},
      {"scorer: exact", "scorer: [exact]",
       "c.yaml:8:7: system.stages.0.scorer: is not a component (a list); allowed: a scorer, one of centroid, "
       "exact, "
       "sketch"},
      {"type: ufs", "type: floppy", "c.yaml:4:10: device: no such device (floppy); allowed: ufs"},
  });
}

TEST_CASE("each place among the tiers has keys of its own") {
  const auto with_tiers = [](std::string_view tiers) {
    return error_of_text(good_with("  layout:", fmt::format("  tiers: {}\n  layout:", tiers)));
  };
  CHECK(
      with_tiers("[{name: hbm, bandwidth: 1GB/s, latency: 1us, capacity: 1MB, replacement: lru, copies: "
                 "inclusive}, {name: flash}]") ==
      "c.yaml:11:23: system.tiers.0.bandwidth: has no place here (1GB/s): attention reads the first tier, at "
      "the phone's bandwidth; allowed: no such key\n"
      "c.yaml:11:41: system.tiers.0.latency: has no place here (1us): attention reads the first tier, at the "
      "phone's bandwidth; allowed: no such key\n"
      "c.yaml:11:55: system.tiers.0.capacity: has no place here (1MB): system.cache.capacity and system.dram "
      "say it of the first tier; allowed: no such key\n"
      "c.yaml:11:70: system.tiers.0.replacement: has no place here (lru): system.replacement says it of the "
      "first tier; allowed: no such key\n"
      "c.yaml:11:88: system.tiers.0.copies: has no place here (inclusive): it is said of tiers between the "
      "first and the last; allowed: no such key");
  const std::string missing = fmt::format(
      "c.yaml:11:24: system.tiers.1.bandwidth: is missing; required of a tier between the first and the "
      "last: "
      "a number with a unit (B/s, kB/s, MB/s, GB/s, KiB/s, MiB/s, GiB/s), 1kB/s to 1000000GB/s\n"
      "c.yaml:11:24: system.tiers.1.capacity: is missing; required of a tier between the first and the last: "
      "{}, at least 1B\n",
      kByteUnits);
  CHECK(
      with_tiers("[{name: hbm}, {name: dram}, {name: hbm, latency: 1us, capacity: 1MB}]") ==
      missing +
          "c.yaml:11:39: system.tiers.2.name: names two tiers (hbm); allowed: a name of its own\n"
          "c.yaml:11:50: system.tiers.2.latency: has no place here (1us): a tier without a bandwidth is the "
          "flash device, which says it itself; allowed: no such key\n"
          "c.yaml:11:64: system.tiers.2.capacity: has no place here (1MB): the last tier holds everything; "
          "allowed: no such key");
  CHECK(with_tiers("[{name: hbm}, {name: dram, bandwidth: 1GB/s, copies: exclusive, replacement: none}]") ==
        "c.yaml:11:55: system.tiers.1.copies: has no place here (exclusive): the last tier holds everything; "
        "allowed: no such key\n"
        "c.yaml:11:74: system.tiers.1.replacement: has no place here (none): the last tier holds everything; "
        "allowed: no such key");
  CHECK(with_tiers("[{name: hbm}, {name: ''}, {bandwidth: 1}]") ==
        missing +
            "c.yaml:11:25: system.tiers.1.name: is no name (an empty text); allowed: a name of its own\n"
            "c.yaml:11:36: system.tiers.2.name: is missing; required: a text\n"
            "c.yaml:11:37: system.tiers.2.bandwidth: has no unit (1); allowed: a number with a unit (B/s, "
            "kB/s, "
            "MB/s, GB/s, KiB/s, MiB/s, GiB/s), 1kB/s to 1000000GB/s");
}

TEST_CASE("representatives live in the first tier or on flash") {
  const auto living_in = [](std::string_view home, std::string_view tiers) {
    return error_of_text(
        good_with("  layout:", fmt::format("  representatives: {}\n  tiers: {}\n  layout:", home, tiers)));
  };
  const std::string begin = "c.yaml:11:3: system.representatives: is no tier where representatives can live ";
  CHECK(living_in("hbm", "[]") == begin + "(hbm); allowed: dram, flash");
  CHECK(living_in("flash", "[{name: dram}]") == begin + "(flash); allowed: dram");
  CHECK(living_in("m", "[{name: a}, {name: m, bandwidth: 1GB/s, capacity: 1MB}, {name: f}]") ==
        begin + "(m); allowed: a, f");
  CHECK(living_in("m", "[{name: a}, {name: m, bandwidth: 1GB/s}]") == begin + "(m); allowed: a");
}

TEST_CASE("what is said of the cache and of representatives is no key of a schedule") {
  CHECK(error_of_text(
            good_with("  layout:",
                      "  schedule: {type: serial, representatives: flash, virtual_cache: true, swap: area, "
                      "swop: 1}\n  layout:")) ==
        "c.yaml:11:28: system.schedule.representatives: is no key of a schedule; say it as "
        "system.representatives, the name of a tier\n"
        "c.yaml:11:52: system.schedule.virtual_cache: is no key of a schedule; say it as system.cache.holds: "
        "layer (for true) or all (for false)\n"
        "c.yaml:11:73: system.schedule.swap: is no key of a schedule; say it as system.cache.swap, beside "
        "system.cache.holds: layer\n"
        "c.yaml:11:85: system.schedule.swop: unknown key (swop); allowed: type");
}

TEST_CASE("the structure of a file is checked") {
  check_all({
      {"{path: t.h5}", "t.h5", "c.yaml:2:1: trace: is not a map (t.h5); allowed: path, sequences"},
      {"  layout:", "  tiers: [{}, {}, {}, {}, {}, {}, {}, {}, {}]\n  layout:",
       "c.yaml:11:3: system.tiers: is not a list of that length (9 elements); allowed: 0 to 8"},
      {kGood, "- a\n", "c.yaml:1:1: is not a map (a list); allowed: keys and values"},
      {"  seed: 7\n", "  seed: 7\n  threads: 2\n  seed: 8\n",
       "c.yaml:17:3: run.seed: given twice (first at c.yaml:15:3); allowed: once"},
      {"  seed: 7\n", "  <<: {seed: 7}\n",
       "c.yaml:15:3: run.<<: merge keys are not applied (<<); allowed: 'include'"},
      {"seed: 7", "seed: !!int 7",
       "c.yaml:15:3: run.seed: a YAML tag has no meaning here (tag:yaml.org,2002:int); allowed: none"},
      {"  seed: 7\n", "  seed: 7\n---\nname: b\n", "c.yaml:17:1: a second document begins; allowed: one"},
      {"{path: t.h5}", "{path: t.h5", "c.yaml:3:6: not valid YAML (end of map flow not found)"},
      {"  seed: 7", "\tseed: 7", "c.yaml:15:6: not valid YAML (illegal map value)"},
      {kGood, "a: &a [*a]\n", "c.yaml:1:4: the document is too large; allowed: 100000 nodes, 64 levels"},
  });
}

TEST_CASE("all errors are reported at once, by file, line and column, each once") {
  const Folder folder;
  folder.write("b.yaml", "device: {typ: ufs}\nrun: {threads: 0}\n");
  folder.write("a.yaml", "include: b.yaml\n" + good_with("seed: 7", "seed: x") +
                             "points: {one: {}, two: {run: {steps: -1}}}\n");
  CHECK(error_of("a.yaml", {"run.first_step=-2"}) ==
        "--set run.first_step: run.first_step: is out of range (-2); allowed: an integer, at least 0\n"
        "a.yaml:16:3: run.seed: is not an integer (x); allowed: an integer, at least 0\n"
        "a.yaml:17:31: run.steps: is out of range (-1); allowed: an integer, at least 0\n"
        "b.yaml:1:10: device.typ: unknown key (typ); did you mean 'type'? allowed: type, latency, bandwidth, "
        "block, "
        "serial\n"
        "b.yaml:2:7: run.threads: is out of range (0); allowed: an integer, 1 to 256");
}

TEST_CASE("bad settings say so under their own name") {
  CHECK(error_of_text(kGood, {"run.seed"}) == "--set: is not KEY=VALUE (run.seed); allowed: run.seed=2");
  CHECK(error_of_text(kGood, {"run.seed=[1"}) ==
        "--set run.seed:1:1: not valid YAML (end of sequence flow not found)");
  CHECK(error_of_text(kGood, {"name.x=1", "runn.x=1", "system.stages.1.scorer=exact"}) ==
        fmt::format(
            "--set name.x: name.x: cannot set 'x' in a scalar (good); allowed: keys of maps\n"
            "--set runn.x: runn: unknown key (runn); did you mean 'run'? allowed: {}\n"
            "--set system.stages.1.scorer: system.stages.1: no such element (1); allowed: a number below 1",
            kRootKeys));
}

TEST_CASE("an empty list has no elements to choose from") {
  CHECK(
      error_of_text(good_with("  stages:\n    - scorer: exact\n      budget: {type: fraction, share: 0.25}\n",
                              "  stages: []\n"),
                    {"system.stages.0.norm=none"}) ==
      "--set system.stages.0.norm: system.stages.0: no such element (0); allowed: none, the list is empty");
}

TEST_CASE("bad includes and points are errors") {
  const std::string good(kGood);
  CHECK(error_of("nowhere.yaml") == "nowhere.yaml: no such file (nowhere.yaml)");
  CHECK(error_of_text("include: x.yaml\n") == "c.yaml:1:1: include: no such file (x.yaml)");
  CHECK(error_of_text("include: [c.yaml]\n") ==
        "c.yaml:1:11: include: files include each other (c.yaml -> c.yaml)");
  CHECK(error_of_text("include: {a: b}\n") ==
        "c.yaml:1:1: include: is not a file name (a map); allowed: a text or a list of texts");
  CHECK(error_of_text(good + "points: {}\n") ==
        "c.yaml:16:1: points: is not a map (an empty map); allowed: names of points, each with what differs");
  CHECK(error_of_text(good + "points: {a: 1, b: {sweep: {}}}\n") ==
        fmt::format("c.yaml:16:10: points.a: is not a map (1); allowed: what differs at this point\n"
                    "c.yaml:16:20: sweep: unknown key (sweep); allowed: {}",
                    kRootKeys));
}

TEST_CASE("bad sweeps are errors") {
  const std::string good(kGood);
  CHECK(
      error_of_text(good + "sweep: {run.seed: 1, run.threads: [], points.a: [1], run.steps: [x]}\n") ==
      "c.yaml:16:9: sweep.run.seed: is not a list of values (1); allowed: at least one value in brackets, or "
      "a map of values or points, name and when\n"
      "c.yaml:16:22: sweep.run.threads: is not a list of values (an empty list); allowed: at least one "
      "value in brackets, or a map of values or points, name and when\n"
      "c.yaml:16:39: sweep.points.a: cannot be varied (points.a); allowed: keys of a point\n"
      "c.yaml:16:66: run.steps: is not an integer (x); allowed: an integer, at least 0");
  CHECK(error_of_text(good + "sweep: {run.seed: [1, 1]}\n") ==
        "c.yaml:16:9: sweep: two points have one name (seed=1); allowed: different values");
  CHECK(error_of_text(good + "sweep: {run.seed: [1, 2], run: [{seed: 1}]}\n") ==
        "c.yaml:16:27: run: is varied twice (run.seed, c.yaml:16:9); allowed: once");
  CHECK(
      error_of_text(good + "sweep: {run.seed: [1, 2]}\n", {"run.seed=1"}) ==
      "--set run.seed: run.seed: is varied by a sweep (c.yaml:16:9); allowed: --set 'sweep.run.seed=[...]'");
  CHECK(error_of_text(good + "zip: {run.seed: [1, 2], run.threads: [1]}\n") ==
        "c.yaml:16:25: zip.run.threads: differs in length from run.seed (1); allowed: 2 values");
}

}  // namespace kvr::test
