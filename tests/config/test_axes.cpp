#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/config/fixture.hpp"

using namespace kvr;
using namespace kvr::test;

namespace {

using Names = std::vector<std::string>;

Names names_of(const std::vector<RunConfig>& runs) {
  Names names;
  for (const RunConfig& run : runs) {
    names.push_back(run.point);
  }
  return names;
}

/// The points of kGood with this laid on it.
std::vector<RunConfig> swept(const std::string& text) {
  const Folder folder;
  folder.write("c.yaml", std::string(kGood) + text);
  return load("c.yaml");
}

std::string refusal(const std::string& text) {
  return error_of_text(std::string(kGood) + text);
}

const AxisValue& axis(const RunConfig& run, std::size_t place) {
  REQUIRE(place < run.axes.size());
  return run.axes[place];
}

}  // namespace

TEST_CASE(
    "files are values of device, phone, model and system, by path or by name, and later keys go into them") {
  const Folder folder;
  std::filesystem::create_directories("configs/devices");
  std::filesystem::create_directories("configs/systems");
  std::filesystem::create_directories("mine");
  folder.write("configs/devices/fast.yaml", "name: a name\ndevice: {type: ufs, latency: 10us, serial: F}\n");
  folder.write("configs/devices/slow.yaml", "include: fast.yaml\ndevice: {latency: 90us}\n");
  folder.write("mine/odd.yaml", "device: {type: ufs, latency: 7us, serial: O}\n");
  folder.write("configs/systems/small.yaml", "system: {cache: {capacity: 1MiB}}\n");
  folder.write("mine/c.yaml", std::string(kGood) +
                                  "sweep:\n"
                                  "  device: [fast, slow, odd.yaml]\n"
                                  "  system: [small]\n"
                                  "  device.block: [4KiB, 8KiB]\n");
  const auto runs = load("mine/c.yaml");
  CHECK(names_of(runs) == Names{"device=fast,system=small,block=4KiB", "device=fast,system=small,block=8KiB",
                                "device=slow,system=small,block=4KiB", "device=slow,system=small,block=8KiB",
                                "device=odd,system=small,block=4KiB", "device=odd,system=small,block=8KiB"});
  CHECK(std::get<double>(runs[0].device.values.at("latency")) == 10e-6);
  CHECK(std::get<double>(runs[2].device.values.at("latency")) == 90e-6);
  CHECK(std::get<std::string>(runs[2].device.values.at("serial")) == "F");
  CHECK(std::get<double>(runs[4].device.values.at("latency")) == 7e-6);
  CHECK(runs[5].system.cache_capacity_bytes == 1 << 20);
  CHECK(runs[0].name == "good");  // what a device's file is called is no name of the experiment
  CHECK(std::get<std::string>(axis(runs[2], 0).value) == "slow");
  CHECK(axis(runs[2], 0).key.empty());
  CHECK(std::get<std::int64_t>(axis(runs[3], 2).value) == 8192);
  CHECK(axis(runs[3], 2).unit == "B");
  CHECK(axis(runs[3], 2).key == "device.block");
}

TEST_CASE("files and types may stand beside one another, and files may have names") {
  const Folder folder;
  folder.write("f.yaml", "device: {type: ufs, latency: 10us, serial: F}\n");
  folder.write("c.yaml", std::string(kGood) + "sweep: {device: {values: {a: f.yaml, b: ufs}, name: part}}\n");
  const auto runs = load("c.yaml");
  CHECK(names_of(runs) == Names{"part=a", "part=b"});
  CHECK(names_of(load("c.yaml", {"sweep.device=[f.yaml, ufs]"})) == Names{"device=f", "device=ufs"});
  CHECK(std::get<double>(runs[0].device.values.at("latency")) == 10e-6);
}

TEST_CASE("traces are called after their files") {
  const auto runs = swept("sweep: {trace: [a/b.h5, ../d.h5]}\n");
  CHECK(names_of(runs) == Names{"trace=b", "trace=d"});
  CHECK(runs[1].sequences[0].trace_path == "../d.h5");
}

TEST_CASE("lists of points are crossed, each with files of its own") {
  const Folder folder;
  folder.write("f.yaml", "device: {latency: 10us}\n");
  folder.write("c.yaml",
               std::string(kGood) +
                   "points: {a: {run: {steps: 1}}, b: {run: {steps: 2}}}\n"
                   "sweep:\n"
                   "  storage: {points: {old: {include: f.yaml}, new: {device: {latency: 2us}}, as_is: }}\n");
  const auto runs = load("c.yaml");
  CHECK(names_of(runs) == Names{"a,storage=old", "a,storage=new", "a,storage=as_is", "b,storage=old",
                                "b,storage=new", "b,storage=as_is"});
  CHECK(std::get<double>(runs[3].device.values.at("latency")) == 10e-6);
  CHECK(std::get<double>(runs[4].device.values.at("latency")) == 2e-6);
  CHECK(std::get<double>(runs[5].device.values.at("latency")) == 25e-6);
  CHECK(runs[3].steps == 2);
}

TEST_CASE("axes have the names that they are given, or as much of their key as tells them apart") {
  const auto runs = swept(
      "sweep:\n"
      "  run.seed: {values: {one: 1, two: 2}, name: root}\n"
      "  device.latency: [1us]\n"
      "  system.cache.capacity: [1MiB]\n"
      "zip: {run.steps: [3], run.threads: {values: [4], name: workers}}\n");
  CHECK(names_of(runs) == Names{"root=one,latency=1us,capacity=1MiB,steps=3,workers=4",
                                "root=two,latency=1us,capacity=1MiB,steps=3,workers=4"});
  CHECK(std::get<std::string>(axis(runs[1], 0).value) == "two");
  CHECK(runs[1].seed == 2);
  CHECK(std::get<double>(axis(runs[0], 1).value) == 1e-6);
  CHECK(axis(runs[0], 1).unit == "s");
  const auto same = swept(
      "sweep: {system.codec.k.type: [fp16], system.codec.v.type: [fp16], device.type: [ufs], phone.type: "
      "[soc]}\n");
  CHECK(names_of(same) == Names{"k.type=fp16,v.type=fp16,device.type=ufs,phone.type=soc"});
}

TEST_CASE("an axis varies only where its conditions hold") {
  const auto runs = swept(
      "points: {a: {}, b: {}}\n"
      "sweep:\n"
      "  run.seed: [1, 2]\n"
      "  run.threads: {values: [3, 4], when: {seed: 2}}\n"
      "  run.steps: {values: [5, 6], when: {points: b, threads: [3]}}\n");
  CHECK(names_of(runs) == Names{"a,seed=1", "a,seed=2,threads=3", "a,seed=2,threads=4", "b,seed=1",
                                "b,seed=2,threads=3,steps=5", "b,seed=2,threads=3,steps=6",
                                "b,seed=2,threads=4"});
  CHECK(runs[0].axes.size() == 1);
  CHECK(runs[4].axes.size() == 3);
  CHECK(runs[0].threads == 1);
}

TEST_CASE("a sweep that was included can be dropped, whole or an axis of it") {
  const Folder folder;
  folder.write("base.yaml",
               std::string(kGood) + "points: {a: {}, b: {}}\nsweep: {run.seed: [1, 2], run.steps: [3, 4]}\n");
  folder.write("none.yaml", "include: base.yaml\nsweep:\npoints: null\n");
  CHECK(names_of(load("none.yaml")) == Names{"good"});
  folder.write("one.yaml", "include: base.yaml\npoints: null\nsweep: {run.seed: null}\n");
  CHECK(names_of(load("one.yaml")) == Names{"steps=3", "steps=4"});
  CHECK(names_of(load("base.yaml", {"sweep=null"})) == Names{"a", "b"});
  CHECK(names_of(load("base.yaml", {"points=null", "sweep.run.seed=null"})) == Names{"steps=3", "steps=4"});
}

TEST_CASE("an axis replaces one of the same key that was included, however the two are written") {
  const Folder folder;
  std::filesystem::create_directories("devices");
  for (const char* const name : {"a", "b", "c"}) {
    folder.write(std::string("devices/") + name + ".yaml", "device: {latency: 10us}\n");
  }
  folder.write("base.yaml",
               std::string(kGood) + "sweep: {run.seed: [1, 2], device: {values: [a, b], when: {seed: 1}}}\n");
  folder.write("files.yaml", "include: base.yaml\nsweep: {device: [c]}\n");
  CHECK(names_of(load("files.yaml")) == Names{"seed=1,device=c", "seed=2,device=c"});
  folder.write("map.yaml", "include: base.yaml\nsweep: {run.seed: {values: {x: 5}}}\n");
  CHECK(error_of("map.yaml").find("seed is never that (1)") != std::string::npos);
  CHECK(names_of(load("files.yaml", {"sweep.run.seed={values: {x: 5}}"})) == Names{"seed=x,device=c"});
}

TEST_CASE("what results could not call an axis is no name of one") {
  for (const char* const name : {".", "-a", "axis.seed", "a b", "a/b", "''"}) {
    CAPTURE(name);
    CHECK(refusal(std::string("sweep: {run.seed: {values: [1], name: ") + name + "}}\n")
              .find("is no name of an axis") != std::string::npos);
    CHECK(
        refusal(std::string("sweep: {") + name + ": {points: {a: , b: }}}\n").find("is no name of an axis") !=
        std::string::npos);
  }
}

TEST_CASE("a file of an axis that cannot be read hides nothing else that is wrong") {
  const Folder folder;
  std::filesystem::create_directories("devices");
  folder.write("devices/broken.yaml", "device: {type: ufs, latency: [}\n");
  folder.write("devices/wrong.yaml", "device: {type: ufs, latency: 10us, serial: W, speed: 3}\n");
  folder.write("devices/list.yaml", "- device\n");
  folder.write("c.yaml", std::string(kGood) +
                             "sweep:\n"
                             "  device: [nothing, no.yaml, broken, list, wrong]\n"
                             "  device.block: [4KiB, tiny]\n"
                             "  system: {values: {a: gone}}\n"
                             "  run.threads: [1, many]\n");
  const std::string told = error_of("c.yaml");
  for (const char* const line :
       {"c.yaml:17:12: device: is no file (nothing)", "c.yaml:17:21: include: no such file (no.yaml)",
        "devices/broken.yaml:1:", "devices/list.yaml:1:1: is not a map",
        "devices/wrong.yaml:1:47: device.speed: unknown", "c.yaml:18:24: device.block: ",
        "c.yaml:19:21: system: is no file (gone)", "c.yaml:20:20: run.threads: "}) {
    CAPTURE(line);
    CAPTURE(told);
    CHECK(told.find(line) != std::string::npos);
  }
  CHECK(std::ranges::count(told, '\n') == 7);  // nothing is said to lack what such a file would give
}

TEST_CASE(
    "where no file of an axis can be read, everything else is still checked, but not what it would give") {
  CHECK(
      refusal("sweep: {system: [gone], run.threads: [many]}\n") ==
      "c.yaml:16:18: system: is no file (gone); allowed: a path that ends in .yaml, or the name of a file in "
      "systems/ or configs/systems/ beside this one or above it\n"
      "c.yaml:16:39: run.threads: is not an integer (many); allowed: an integer, 1 to 256");
}

TEST_CASE("axes that cannot be meant are told, all at once") {
  CHECK(refusal("sweep: {device: [ufs], system.dram: {name: device, values: [1MiB]}}\n") ==
        "c.yaml:16:9: device: is called as another axis (device); allowed: a name for one of them");
  CHECK(refusal("sweep: {device: [nothing]}\n") ==
        "c.yaml:16:18: device: is no file (nothing); allowed: a path that ends in .yaml, or the name of a "
        "file in "
        "devices/ or configs/devices/ beside this one or above it");
  CHECK(refusal("sweep: {system: [no.yaml]}\n") == "c.yaml:16:18: include: no such file (no.yaml)");
  CHECK(
      refusal("sweep:\n"
              "  run.seed: {value: [1]}\n"
              "  run.steps: {values: [1], points: {}}\n"
              "  run.threads: {values: []}\n"
              "  storage: {points: {a: 3}}\n"
              "  run.first_step: {values: [1], name: 'a b'}\n") ==
      "c.yaml:17:3: sweep.run.seed: has not one of values and points; allowed: one of them, name and when\n"
      "c.yaml:17:14: sweep.run.seed.value: unknown key; did you mean 'values'? allowed: values, points, "
      "name, when\n"
      "c.yaml:18:3: sweep.run.steps: has not one of values and points; allowed: one of them, name and when\n"
      "c.yaml:19:17: sweep.run.threads.values: is not a list of values (an empty list); allowed: at least "
      "one "
      "value in brackets, or a map of values or points, name and when\n"
      "c.yaml:20:22: sweep.storage.points.a: is not a map (3); allowed: what differs at this point\n"
      "c.yaml:21:33: sweep.run.first_step.name: is no name of an axis (a b); allowed: letters, digits, '_', "
      "'.', '-', a letter or digit first, and not axis.");
  CHECK(refusal("sweep:\n"
                "  run.seed: [1, 2]\n"
                "  run.steps: {values: [1], when: {sead: 1, seed: 3, steps: 1}}\n") ==
        "c.yaml:18:28: sweep.run.steps.when: is no axis before this one (sead); did you mean 'seed'? "
        "allowed: points, seed\n"
        "c.yaml:18:28: sweep.run.steps.when: is no axis before this one (steps); allowed: points, seed\n"
        "c.yaml:18:28: sweep.run.steps.when: seed is never that (3); allowed: 1, 2");
  CHECK(refusal("sweep:\n"
                "  run.seed: {values: [1], name: x}\n"
                "  run.steps: {values: [1], name: x}\n") ==
        "c.yaml:18:3: name: is of two axes (x); allowed: a name for each");
}
