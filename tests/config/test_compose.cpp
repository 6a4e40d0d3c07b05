#include <doctest/doctest.h>

#include "sim/base/error.hpp"
#include "tests/config/fixture.hpp"

namespace kvr::test {

namespace {

std::vector<std::string> names_of(const std::vector<RunConfig>& runs) {
  std::vector<std::string> names;
  for (const RunConfig& run : runs) {
    names.push_back(run.point);
  }
  return names;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("a good configuration gives typed values in SI, defaults filled in") {
  const Folder folder;
  folder.write("c.yaml", kGood);
  const auto runs = load("c.yaml");
  REQUIRE(runs.size() == 1);
  const RunConfig& run = runs[0];
  CHECK(run.point == "good");
  CHECK(run.sequences.front().trace_path == "t.h5");
  CHECK(run.model.type == "decoder");
  CHECK(std::get<std::int64_t>(run.model.values.at("layers")) == 0);
  CHECK(std::get<double>(run.device.values.at("latency")) == 25e-6);
  CHECK(std::get<std::string>(run.device.values.at("serial")) == "A1");
  CHECK(std::get<std::int64_t>(run.system.clustering.values.at("page_tokens")) == 32);
  REQUIRE(run.system.stages.size() == 1);
  const StageConfig& stage = run.system.stages[0];
  CHECK(stage.at_step);
  CHECK_FALSE(stage.at_prompt_end);
  CHECK(stage.every == 1);
  CHECK(stage.effect == Effect::select);
  CHECK(stage.layers.contains(0));
  CHECK(stage.units == StageUnits::clustering);
  CHECK(stage.fold == Fold::mean);
  CHECK(stage.norm == Norm::none);
  CHECK(stage.last_unit == LastUnit::cut);
  CHECK(stage.scorer.type == "exact");
  CHECK(std::get<double>(stage.budget.values.at("share")) == 0.25);
  CHECK(stage.sinks.of(100) == 4);
  CHECK(stage.recent.of(100) == 32);
  CHECK(run.system.codec.keys.type == "fp16");
  CHECK(run.system.codec.values.type == "fp16");
  CHECK(run.system.layout.type == "token_order");
  CHECK(run.system.replacement.type == "lru");
  CHECK(run.system.schedule.type == "serial");
  CHECK(run.system.cache_capacity_bytes == 64 * 1024 * 1024);
  CHECK(run.system.cache_scope == "model");
  CHECK(run.seed == 7);
  CHECK(run.threads == 1);
  CHECK(run.sequences.front().first_step == 0);
  CHECK(run.steps == 0);
  CHECK(run.working_set_bytes == 0.0);
  CHECK_FALSE(run.check_every_step);
  CHECK(load("c.yaml", {"run.check=every_step"})[0].check_every_step);
  CHECK(run.record_per_step);
  CHECK(run.host_timing);
}

TEST_CASE("swept maps of one type are named by what differs in them") {
  const Folder folder;
  folder.write("c.yaml", std::string(kGood) +
                             "sweep:\n"
                             "  system.layout: [token_order, {type: token_order}]\n");
  CHECK_THROWS_AS(load("c.yaml"), InputError);  // the same twice

  folder.write("c.yaml",
               std::string(kGood) +
                   "sweep:\n"
                   "  system.clustering: [{type: page, page_tokens: 8}, {type: page, page_tokens: 16}, "
                   "{type: page, page_tokens: 16, metric: cosine}, {type: token}]\n");
  CHECK(names_of(load("c.yaml")) == Names{"clustering=page page_tokens=8", "clustering=page page_tokens=16",
                                          "clustering=page metric=cosine page_tokens=16",
                                          "clustering=token"});
  folder.write("c.yaml",
               std::string(kGood) + "sweep: {system.cache: [{capacity: 1MiB}, {capacity: 2MiB}]}\n");
  CHECK(names_of(load("c.yaml")) == Names{"cache capacity=1MiB", "cache capacity=2MiB"});
}

TEST_CASE("unlimited is infinity, and integers keep all their bits") {
  const Folder folder;
  folder.write("c.yaml", kGood);
  const auto run = load("c.yaml", {"run.working_set=unlimited", "run.seed=9223372036854775807"})[0];
  CHECK(run.working_set_bytes == std::numeric_limits<double>::infinity());
  CHECK(run.seed == std::numeric_limits<std::int64_t>::max());
}

TEST_CASE("later includes win over earlier ones, and the file over all that it includes") {
  const Folder folder;
  folder.write("deep/one.yaml", "run: {seed: 1, threads: 1, steps: 1}\ntrace: {path: one.h5}\n");
  folder.write("deep/two.yaml", "include: three.yaml\nrun: {threads: 2, steps: 2}\n");
  folder.write("deep/three.yaml", "run: {threads: 3, first_step: 3}\n");
  folder.write("c.yaml", "include: [deep/one.yaml, deep/two.yaml]\n" +
                             good_with("  seed: 7", "  steps: 9").replace(0, kGood.find("phone"), ""));
  const RunConfig run = load("c.yaml")[0];
  CHECK(run.seed == 1);
  CHECK(run.threads == 2);
  CHECK(run.sequences.front().first_step == 3);
  CHECK(run.steps == 9);
  CHECK_MESSAGE(run.sequences.front().trace_path == "deep/one.h5",
                "a path counts from the file that states it");
  CHECK_MESSAGE(run.name == "c", "without a name, the file's stem");
}

TEST_CASE("a component of another type replaces the old one with its parameters; the same type is merged") {
  const Folder folder;
  folder.write("base.yaml", good_with("scorer: exact", "scorer: {type: sketch, rank: 4}"));
  folder.write("same.yaml", "include: base.yaml\nsystem: {clustering: {metric: cosine}}\n");
  folder.write("other.yaml", "include: base.yaml\nsystem: {clustering: token}\n");
  const auto same = load("same.yaml")[0].system.clustering;
  CHECK(std::get<std::int64_t>(same.values.at("page_tokens")) == 32);
  CHECK(std::get<std::string>(same.values.at("metric")) == "cosine");
  const auto other = load("other.yaml")[0].system.clustering;
  CHECK(other.type == "token");
  CHECK(other.values.empty());
  CHECK(load("base.yaml", {"system.stages.0.scorer=exact"})[0].system.stages[0].scorer.type == "exact");
}

/// The fixture's catalogue with a second device, and devices share their parameters.
const Catalogue& catalogue_with_queue() {
  static const Catalogue made = [] {
    Catalogue shared = catalogue();
    Implementation queue = *shared.find("device", "ufs");
    queue.name = "queue";
    queue.params.pop_back();
    shared.add("device", queue);
    shared.share_parameters("device");
    return shared;
  }();
  return made;
}

TEST_CASE("types that share their parameters keep the values when another is chosen") {
  const Folder folder;
  folder.write("base.yaml", good_with("serial: A1", "block: 8KiB, latency: 1ms"));
  folder.write(
      "c.yaml",
      "include: base.yaml\npoints: {map: {device: {type: queue, latency: 2ms}}, short: {device: queue}}\n");
  folder.write("over.yaml", "include: base.yaml\ndevice: queue\n");
  const auto check = [](const RunConfig& run, double latency_s) {
    CAPTURE(run.point);
    CHECK(run.device.type == "queue");
    CHECK(std::get<std::int64_t>(run.device.values.at("block")) == 8192);
    CHECK(std::get<double>(run.device.values.at("latency")) == latency_s);
  };
  const auto load_all = [](const std::string& file, const std::vector<std::string>& sets) {
    return load_config(file, sets, catalogue_with_queue());
  };
  const auto points = load_all("c.yaml", {});
  check(points.at(0), 2e-3);
  check(points.at(1), 1e-3);
  check(load_all("over.yaml", {}).at(0), 1e-3);
  check(load_all("base.yaml", {"device=queue"}).at(0), 1e-3);
  check(load_all("base.yaml", {"device.type=queue"}).at(0), 1e-3);
  check(load_all("base.yaml", {"device={type: queue, latency: 2ms}"}).at(0), 2e-3);
  check(load_all("base.yaml", {"sweep.device=[{type: queue, latency: 2ms}]"}).at(0), 2e-3);
  check(load_all("base.yaml", {"sweep.device.type=[queue]"}).at(0), 1e-3);
}

TEST_CASE("a parameter that the other type lacks is an unknown key where it was given") {
  const Folder folder;
  folder.write("c.yaml", kGood);
  try {
    load_config("c.yaml", std::vector<std::string>{"device.type=queue"}, catalogue_with_queue());
    FAIL("accepted");
  } catch (const InputError& error) {
    CHECK(std::string(error.what()) ==
          "c.yaml:4:21: device.serial: unknown key (serial); allowed: type, latency, bandwidth, block");
  }
}

TEST_CASE("what an implementation finds wrong with its parameters is told where they were given") {
  const Folder folder;
  folder.write("c.yaml", kGood);
  const RunConfig run = load("c.yaml").at(0);
  const std::vector<std::string> found = {"serial: is odd (A1); allowed: even", "block: is big"};
  const InputError error = run.placed("device", InputError(found));
  CHECK(error.problems() ==
        Names{"c.yaml:4:21: device.serial: is odd (A1); allowed: even", "c.yaml:4:1: device.block: is big"});
}

TEST_CASE("a file may be included twice, but not by itself in a circle") {
  const Folder folder;
  folder.write("base.yaml", kGood);
  folder.write("x.yaml", "include: base.yaml\n");
  folder.write("y.yaml", "include: base.yaml\nrun: {seed: 8}\n");
  folder.write("both.yaml", "include: [x.yaml, y.yaml]\n");
  CHECK(load("both.yaml")[0].seed == 8);
  folder.write("p.yaml", "include: d/q.yaml\n");
  folder.write("d/q.yaml", "include: ../p.yaml\n");
  CHECK(error_of("p.yaml") ==
        "d/q.yaml:1:1: include: files include each other (p.yaml -> d/q.yaml -> p.yaml)");
}

TEST_CASE("settings win over everything and reach into lists") {
  const Folder folder;
  folder.write("c.yaml", std::string(kGood) + "points: {a: {run: {seed: 1}}, b: {run: {seed: 2}}}\n");
  const auto runs = load("c.yaml", {"run.seed=5", "system.stages.0.budget.share=0.5",
                                    "system.stages.0.pins.sinks=1", "device={block: 8KiB}", "name=by hand"});
  for (const RunConfig& run : runs) {
    CHECK(run.seed == 5);
    CHECK(std::get<double>(run.system.stages[0].budget.values.at("share")) == 0.5);
    CHECK(run.system.stages[0].sinks.entries == 1);
    CHECK(std::get<std::int64_t>(run.device.values.at("block")) == 8192);
    CHECK(std::get<std::string>(run.device.values.at("serial")) == "A1");
    CHECK(run.name == "by hand");
  }
  CHECK(load("c.yaml", {"points.b.run.seed=9"})[1].seed == 9);
  CHECK_MESSAGE(load("c.yaml", {"run.seed=5", "run.seed=6"})[0].seed == 6, "later settings win");
}

TEST_CASE("points come in the order written, each with its own includes under it") {
  const Folder folder;
  folder.write("s/token.yaml", "system: {clustering: token, cache: {scope: head}}\nrun: {seed: 3}\n");
  folder.write("c.yaml", std::string(kGood) +
                             "points:\n"
                             "  zeta: {include: s/token.yaml, run: {seed: 4}}\n"
                             "  alpha:\n"
                             "  beta: {include: [s/token.yaml]}\n");
  const auto runs = load("c.yaml");
  REQUIRE(names_of(runs) == Names{"zeta", "alpha", "beta"});
  CHECK(runs[0].seed == 4);
  CHECK(runs[0].system.clustering.type == "token");
  CHECK(runs[1].seed == 7);
  CHECK(runs[1].system.clustering.type == "page");
  CHECK(runs[2].seed == 3);
  CHECK(runs[2].system.cache_scope == "head");
}

TEST_CASE("a sweep is a product, the last axis fastest, for each point") {
  const Folder folder;
  folder.write("c.yaml",
               std::string(kGood) +
                   "points: {a: {}, b: {}}\n"
                   "sweep: {system.stages.0.budget.share: [0.1, 0.2], system.stages.0.scorer: [exact, "
                   "{type: sketch, rank: 2}]}\n");
  const auto runs = load("c.yaml");
  CHECK(names_of(runs) == Names{"a,share=0.1,scorer=exact", "a,share=0.1,scorer=sketch",
                                "a,share=0.2,scorer=exact", "a,share=0.2,scorer=sketch",
                                "b,share=0.1,scorer=exact", "b,share=0.1,scorer=sketch",
                                "b,share=0.2,scorer=exact", "b,share=0.2,scorer=sketch"});
  REQUIRE(runs.size() == 8);
  CHECK(std::get<double>(runs[3].system.stages[0].budget.values.at("share")) == 0.2);
  CHECK(std::get<std::int64_t>(runs[3].system.stages[0].scorer.values.at("rank")) == 2);
}

TEST_CASE("a zip takes its lists together, after the sweep") {
  const Folder folder;
  folder.write("c.yaml", std::string(kGood) +
                             "sweep: {run.steps: [10, 20]}\n"
                             "zip: {run.seed: [1, 2], run.threads: [3, 4]}\n");
  const auto runs = load("c.yaml");
  CHECK(names_of(runs) == Names{"steps=10,seed=1,threads=3", "steps=10,seed=2,threads=4",
                                "steps=20,seed=1,threads=3", "steps=20,seed=2,threads=4"});
  CHECK(names_of(load("c.yaml", {"sweep.run.steps=[5]"})).front() == "steps=5,seed=1,threads=3");
}

TEST_CASE("seeds repeat every point, the seed fastest, under the name of the point without it") {
  const Folder folder;
  folder.write("c.yaml", std::string(kGood) + "points: {a: {}, b: {}}\n");
  const auto runs = load("c.yaml", {"run.seeds=3"});
  CHECK(names_of(runs) == Names{"a,seed=7", "a,seed=8", "a,seed=9", "b,seed=7", "b,seed=8", "b,seed=9"});
  REQUIRE(runs.size() == 6);
  CHECK(runs[4].seed == 8);
  CHECK(runs[4].variant == "b");
  const auto listed = load("c.yaml", {"run.seeds=[5, 3]"});
  CHECK(names_of(listed) == Names{"a,seed=5", "a,seed=3", "b,seed=5", "b,seed=3"});
  CHECK(names_of(load("c.yaml", {"run.seeds=2", "run.seed=20"})).front() == "a,seed=20");
  CHECK(load("c.yaml").front().variant == "a");

  folder.write("one.yaml", kGood);
  const auto alone = load("one.yaml", {"run.seeds=2", "name=demo"});
  CHECK(names_of(alone) == Names{"demo,seed=7", "demo,seed=8"});
  CHECK(alone.front().variant == "demo");
}

TEST_CASE("seeds that cannot be meant are errors") {
  const Folder folder;
  folder.write("c.yaml", kGood);
  const auto error_of = [](const std::string& setting) {
    try {
      load("c.yaml", {setting});
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(error_of("run.seeds=0") ==
        "--set run.seeds: run.seeds: is out of range (0); allowed: an integer, 1 to 10000");
  CHECK(error_of("run.seeds=[1, 2, 1]") ==
        "--set run.seeds: run.seeds: names a seed twice (1); allowed: once");
  CHECK(error_of("run.seeds=[]") ==
        "--set run.seeds: run.seeds: is neither a number nor a list of seeds (an empty list); allowed: 5, or "
        "[1, 2, 3]");
  CHECK(error_of("run.seeds=[1, -2]") ==
        "--set run.seeds: run.seeds: is out of range (-2); allowed: an integer, at least 0");
  CHECK(error_of("sweep={run.seeds: [1, 2]}") ==
        "--set sweep: sweep.run.seeds: cannot be varied (run.seeds); allowed: keys of a point");
  folder.write("both.yaml", std::string(kGood) + "sweep: {run.seed: [1, 2]}\n");
  CHECK_THROWS_AS(load("both.yaml", {"run.seeds=2"}), InputError);
  folder.write("overlay.yaml", std::string(kGood) + "points: {a: {run: {seeds: 2}}}\n");
  CHECK_THROWS_AS(load("overlay.yaml"), InputError);
}

}  // namespace kvr::test
