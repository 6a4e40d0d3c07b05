// Parameters that a note calls without effect, changed.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/param_text.hpp"
#include "sim/base/registry.hpp"
#include "tests/extremes/small_run.hpp"

namespace kvr::test {

namespace {

const std::map<std::string, std::string> kPaths = {{"clustering", "system.clustering"},
                                                   {"device", "device"},
                                                   {"layout", "system.layout"},
                                                   {"phone", "phone"},
                                                   {"schedule", "system.schedule"}};

/// Values of `spec` other than its default, as they are written.
std::vector<std::string> other_values(const ParamSpec& spec) {
  std::vector<std::string> others;
  if (const auto* truth = std::get_if<bool>(&spec.default_value)) {
    others.emplace_back(*truth ? "false" : "true");
  } else if (const auto* whole = std::get_if<std::int64_t>(&spec.default_value)) {
    const std::int64_t more = *whole == 0 ? 3 : 2 * *whole;
    others.push_back(format_value(Value(more), spec));
  } else if (const auto* real = std::get_if<double>(&spec.default_value)) {
    for (const double factor : {0.875, 1.125}) {
      others.push_back(format_value(Value(*real == 0.0 ? factor * 1e-8 : *real * factor), spec));
    }
  } else {
    for (const std::string_view choice : choices_of(spec.info)) {
      if (choice != std::get<std::string>(spec.default_value)) {
        others.emplace_back(choice);
      }
    }
  }
  return others;
}

const ParamSpec& spec_of(const Implementation& implementation, const std::string& name) {
  const auto found = std::ranges::find(implementation.params, name, &ParamSpec::name);
  REQUIRE(found != implementation.params.end());
  return *found;
}

using Choice = std::map<std::string, std::string>;  // parameters as they are written, `type` among them

std::string setting(const std::string& path, const Choice& choice) {
  std::string params;
  for (const auto& [name, value] : choice) {
    params += fmt::format("{}{}: {}", params.empty() ? "" : ", ", name, value);
  }
  return fmt::format("{}={{{}}}", path, params);
}

std::vector<IdleParam> idle_of(const SmallRun& small, const std::string& path,
                               const Implementation& implementation, const Choice& choice) {
  const RunConfig config = small.config({setting(path, choice)});
  const std::map<std::string, const ComponentChoice*> chosen = {
      {"device", &config.device},
      {"phone", &config.phone},
      {"system.clustering", &config.system.clustering},
      {"system.layout", &config.system.layout},
      {"system.schedule", &config.system.schedule}};
  return implementation.idle(chosen.at(path)->values);
}

std::string names_of(const std::vector<IdleParam>& idle) {
  std::string names;
  for (const IdleParam& param : idle) {
    names += param.name + " ";
  }
  return names;
}

/// Changes what is idle beside `choice`; returns how often that was accepted.
int check_idle(const SmallRun& small, const std::string& path, const Implementation& implementation,
               const Choice& choice) {
  int accepted = 0;
  const PointResult before = small.run({setting(path, choice)});
  for (const IdleParam& idle : idle_of(small, path, implementation, choice)) {
    CHECK_FALSE(idle.why.empty());
    for (const std::string& value : other_values(spec_of(implementation, idle.name))) {
      Choice changed = choice;
      changed[idle.name] = value;
      const std::string set = setting(path, changed);
      CAPTURE(set);
      try {
        const PointResult after = small.run({set});
        CHECK(same_bits(after, before));
        ++accepted;
      } catch (const InputError&) {
        continue;  // contradicts the defaults of the rest
      }
    }
  }
  return accepted;
}

/// The defaults, and every change of one value beside which something else is idle.
std::vector<Choice> choices_of(const SmallRun& small, const std::string& path,
                               const Implementation& implementation) {
  std::vector<Choice> choices = {{{"type", implementation.name}}};
  if (path == "device") {  // several queues contradict the default of `contention`
    choices.push_back({{"type", implementation.name}, {"hw_queues", "2"}, {"contention", "0"}});
  }
  std::set<std::string> seen = {names_of(idle_of(small, path, implementation, choices.front()))};
  for (const ParamSpec& spec : implementation.params) {
    for (const std::string& value : other_values(spec)) {
      Choice choice = choices.front();
      choice[spec.name] = value;
      try {
        small.run({setting(path, choice)});
        if (seen.insert(names_of(idle_of(small, path, implementation, choice))).second) {
          choices.push_back(std::move(choice));
        }
      } catch (const InputError&) {
        continue;  // out of range, or contradicts the rest
      }
    }
  }
  return choices;
}

/// What has no effect on the device of `config` with so many threads.
std::vector<IdleParam> idle_with(std::int64_t threads, const RunConfig& config) {
  FlashDevice::Context context{};
  context.host.threads = threads;
  return Registry<FlashDevice>::instance()
      .create(config.device.type, config.device.values, context)
      ->idle_with_host();
}

}  // namespace

TEST_CASE("a parameter that is called without effect has none") {
  const SmallRun small;
  for (const auto& [kind, implementations] : Catalogue::instance().kinds()) {
    for (const auto& [name, implementation] : implementations) {
      if (implementation.idle) {
        CAPTURE(name);
        int accepted = 0;
        for (const Choice& choice : choices_of(small, kPaths.at(kind), implementation)) {
          accepted += check_idle(small, kPaths.at(kind), implementation, choice);
        }
        CHECK(accepted > 0);
      }
    }
  }
}

TEST_CASE("what only several threads feel has no effect with the one of a phone, and is told") {
  const SmallRun small;
  const auto has = [](const PointResult& result, const std::string& note) {
    return std::ranges::find(result.notes, note) != result.notes.end();
  };
  for (const auto& [name, implementation] : Catalogue::instance().kind(FlashDevice::kKind)) {
    if (name == "file") {
      continue;  // real storage
    }
    CAPTURE(name);
    const Choice choice = {{"type", name}};
    CHECK(idle_with(2, small.config({setting("device", choice)})).empty());
    const std::vector<IdleParam> all_idle = idle_with(1, small.config({setting("device", choice)}));
    REQUIRE_FALSE(all_idle.empty());
    const PointResult before = small.run({setting("device", choice)});
    for (const IdleParam& idle : all_idle) {
      const std::string note = fmt::format(
          "no effect: device.{} (--set device): one thread submits (phone.host_threads)", idle.name);
      int accepted = 0;
      for (const std::string& value : other_values(spec_of(implementation, idle.name))) {
        Choice changed = choice;
        if (idle.name == "hw_queues") {
          changed.emplace("contention", "0");  // which several queues ask for, and is idle too
        }
        changed[idle.name] = value;
        const std::string set = setting("device", changed);
        CAPTURE(set);
        try {
          const PointResult after = small.run({set});
          CHECK(same_bits(after, before));
          CHECK(has(after, note));
          CHECK_FALSE(has(small.run({set, "phone={type: roofline, host_threads: 2}"}), note));
          ++accepted;
        } catch (const InputError&) {
          continue;  // contradicts the defaults of the rest
        }
      }
      CHECK(accepted > 0);
    }
  }
}

TEST_CASE("what has no effect is told where it was given, unless an included file gives it") {
  const SmallRun small;
  const auto notes = [&](const std::vector<std::string>& sets) { return small.run(sets).notes; };
  const auto has = [](const std::vector<std::string>& all, const std::string& note) {
    return std::ranges::find(all, note) != all.end();
  };
  CHECK(has(notes({"device={type: analytic, read_time: 10us}"}),
            "no effect: device.read_time (--set device): 'analytic' does not model it"));
  CHECK(has(notes({"phone={type: roofline, hot_clock: 0.5}"}),
            "no effect: phone.hot_clock (--set phone): heat is cold"));
  CHECK(has(notes({"system.replacement=none"}),
            fmt::format("no effect: system.cache.capacity ({}:12:11): replacement 'none' keeps nothing",
                        small.file("c.yaml").string())));
  CHECK(has(notes({"phone={type: roofline, dram: 1B}", "system.cache.capacity=1MiB"}),
            "--set system.cache.capacity: system.cache.capacity: 1MiB are more than the phone's DRAM of 1B"));
  CHECK(
      std::ranges::none_of(notes({}), [](const std::string& note) { return note.starts_with("no effect"); }));

  std::ofstream(small.file("part.yaml")) << "device: {type: queueing, latency: 60us}\n";
  std::ofstream(small.file("own.yaml")) << "include: [c.yaml, part.yaml]\ndevice: {map_latency: 50us}\n";
  const auto config = load_config(small.file("own.yaml"), {}).front();
  CHECK(config.notes ==
        std::vector{fmt::format("no effect: device.map_latency ({}:2:10): 'queueing' does not model it",
                                small.file("own.yaml").string())});
}

}  // namespace kvr::test
