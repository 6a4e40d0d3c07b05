// Every number of a configuration at both ends of its range.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "sim/base/error.hpp"
#include "sim/base/param_text.hpp"
#include "sim/base/registry.hpp"
#include "sim/config/text/grammar.hpp"
#include "tests/extremes/small_run.hpp"

namespace kvr::test {

namespace {

using config::Field;
using config::Shape;

bool is_number(const ParamSpec& spec) {
  return spec.type == ValueType::integer || spec.type == ValueType::real;
}

struct Component {
  std::string path;
  std::string kind;
};

struct Places {
  std::vector<Component> components;
  std::vector<std::pair<std::string, ParamSpec>> numbers;  ///< of the grammar itself
};

void collect(const Field& field, const std::string& path, Places& places) {
  if (field.shape == Shape::component) {
    places.components.push_back({path, field.kind});
  } else if (field.shape == Shape::value && is_number(field.spec)) {
    places.numbers.emplace_back(path, field.spec);
  } else if (field.shape == Shape::table) {
    for (const Field& inner : field.fields) {
      collect(inner, path.empty() ? inner.name : fmt::format("{}.{}", path, inner.name), places);
    }
  } else if (field.shape == Shape::list) {
    collect(field.fields.front(), fmt::format("{}.0", path), places);
  }
}

Places places() {
  Places places;
  collect(config::root_grammar(), "", places);
  return places;
}

Value number(const ParamSpec& spec, double value) {
  if (spec.type == ValueType::real) {
    return value;
  }
  const bool largest = value >= bounds::kInteger;
  return largest ? std::numeric_limits<std::int64_t>::max() : static_cast<std::int64_t>(value);
}

/// The ends of the range, as they are written.
std::vector<std::string> ends_of(const ParamSpec& spec) {
  const double min = spec.info.above_min ? std::nextafter(spec.info.min, spec.info.max) : spec.info.min;
  std::vector<std::string> ends = {format_value(number(spec, min), spec),
                                   format_value(number(spec, spec.info.max), spec)};
  if (spec.info.unlimited) {
    ends.emplace_back("unlimited");
  }
  return ends;
}

/// What is measured here takes real storage, whose size is no matter of arithmetic.
bool takes_storage(const Implementation& implementation) {
  return std::ranges::any_of(implementation.params,
                             [](const ParamSpec& spec) { return spec.name == "path" && spec.info.required; });
}

/// A result or an InputError; anything else fails the test.
void run_with(const SmallRun& small, const std::vector<std::string>& sets) {
  CAPTURE(fmt::format("{}", fmt::join(sets, " ")));
  try {
    const PointResult result = small.run(sets);
    CHECK(not_finite(result) == "");
  } catch (const InputError& error) {
    CHECK_FALSE(std::string(error.what()).empty());
  } catch (const std::exception& error) {
    FAIL_CHECK(std::string(error.what()));
  }
}

void check_bounds(const std::string& where, const ParamSpec& spec) {
  CAPTURE(where);
  CAPTURE(spec.name);
  if (is_number(spec)) {
    CHECK(std::isfinite(spec.info.min));
    CHECK(std::isfinite(spec.info.max));
    CHECK(spec.info.min <= spec.info.max);
  }
}

}  // namespace

TEST_CASE("every number has a smallest and a largest value") {
  for (const auto& [kind, implementations] : Catalogue::instance().kinds()) {
    for (const auto& [name, implementation] : implementations) {
      for (const ParamSpec& spec : implementation.params) {
        check_bounds(fmt::format("{} {}", kind, name), spec);
      }
    }
  }
  for (const auto& [path, spec] : places().numbers) {
    check_bounds(path, spec);
  }
}

TEST_CASE("every number of every component runs at both ends of its range, or is refused") {
  const SmallRun small;
  CHECK(not_finite(small.run({})) == "");
  for (const Component& component : places().components) {
    for (const auto& [name, implementation] : Catalogue::instance().kind(component.kind)) {
      if (takes_storage(implementation)) {
        continue;
      }
      const auto with = [&](std::string_view params) {
        return std::vector{fmt::format("{}={{type: {}{}}}", component.path, name, params)};
      };
      std::array<std::string, 3> together;
      for (const ParamSpec& spec : implementation.params) {
        std::size_t end = 0;
        for (const std::string& value : is_number(spec) ? ends_of(spec) : std::vector<std::string>()) {
          const std::string param = fmt::format(", {}: {}", spec.name, value);
          run_with(small, with(param));
          together[end++] += param;
        }
      }
      for (const std::string& params : together) {
        run_with(small, with(params));
      }
    }
  }
}

TEST_CASE("every other number of a configuration runs at both ends of its range, or is refused") {
  const SmallRun small;
  for (const auto& [path, spec] : places().numbers) {
    for (const std::string& value : ends_of(spec)) {
      run_with(small, {fmt::format("{}={}", path, value)});
    }
  }
}

TEST_CASE("the slowest and the fastest device serve the same requests") {
  const SmallRun small;
  constexpr std::string_view kSlowest =
      "link: 1kB/s, read_bandwidth: 1kB/s, latency_bandwidth: 1kB/s, channel_bandwidth: 1kB/s, "
      "slc_bandwidth: "
      "1kB/s, tlc_bandwidth: 1kB/s, fold_bandwidth: 0B/s, hit_time: 10ms, read_time: 10ms, latency: 1s, "
      "map_latency: 1s, miss_time: 10ms, map_read_time: 10ms, firmware_time: 10ms, command_delay: 10ms, "
      "command_link_time: 1ms, slc_program_time: 1s, tlc_program_time: 1s, erase_time: 1s, contention: 4, "
      "write_amplification: 20, queue_depth: 1, channels: 1, dies_per_channel: 1, read_time_spread: 2, "
      "smoothing: 16, map_coverage: 0B, write_buffer: 0B, slc_pool: 0B, program_suspend_time: unlimited, "
      "erase_suspend_time: unlimited, heat: hot, hot_bandwidth: 0.001, fit_host_command: 0s, fit_host_wake: "
      "0s, "
      "fold_delay: 1000s, contention_window: 1000s";
  constexpr std::string_view kFastest =
      "link: 1e6GB/s, read_bandwidth: 1e6GB/s, latency_bandwidth: 1e6GB/s, channel_bandwidth: 1e6GB/s, "
      "slc_bandwidth: 1e6GB/s, tlc_bandwidth: 1e6GB/s, fold_bandwidth: 1e6GB/s, hit_time: 1ns, read_time: "
      "1ns, "
      "latency: 1ns, map_latency: 0s, miss_time: 0s, map_read_time: 0s, firmware_time: 0s, command_delay: "
      "0s, "
      "command_link_time: 0s, slc_program_time: 0s, tlc_program_time: 0s, erase_time: 0s, contention: 0, "
      "write_amplification: 1, queue_depth: 65536, channels: 64, dies_per_channel: 64, smoothing: 1, "
      "map_coverage: unlimited, write_buffer: 1e15B, slc_pool: 1e15B, program_suspend_time: 0s, "
      "erase_suspend_time: 0s, fit_host_command: 0s, fit_host_wake: 0s, fold_delay: 0s, contention_window: "
      "0s, "
      "hw_queues: 1024, firmware_servers: 64, stripe: 4MiB, max_transfer: 16MiB, page: 1MiB, block: 64KiB, "
      "erase_block: 16GiB";
  for (const char* type : {"analytic", "queueing"}) {
    CAPTURE(std::string(type));
    CHECK(not_finite(small.run({fmt::format("device={{type: {}, {}}}", type, kSlowest)})) == "");
    CHECK(not_finite(small.run({fmt::format("device={{type: {}, {}}}", type, kFastest)})) == "");
  }
}

TEST_CASE("numbers beyond what can be meant are refused by their range") {
  const SmallRun small;
  for (const char* set :
       {"model={type: decoder, layers: 1000000000}",
        "system.clustering.entries_per_cluster=9223372036854775807", "phone.gemv_bandwidth=1e-320GB/s",
        "phone.hot_clock=1e-320", "device.link=1e-3B/s"}) {
    CAPTURE(std::string(set));
    CHECK_THROWS_WITH_AS(small.run({set}), doctest::Contains("is out of range"), InputError);
  }
  for (const char* set :
       {"{type: cluster_contiguous, slack: 1e18}", "{type: token_order, chunk_tokens: 9007199254740992}"}) {
    CAPTURE(std::string(set));
    CHECK_THROWS_WITH_AS(small.run({fmt::format("system.layout={}", set)}),
                         doctest::Contains("is out of range"), InputError);
  }
  CHECK_THROWS_WITH_AS(small.run({"system.clustering={type: page, page_tokens: 9223372036854775807}"}),
                       doctest::Contains("is out of range"), InputError);
}

TEST_CASE("a trace without decode steps has nothing to replay, and is not told to begin before its end") {
  const SmallRun small(ordinary_row, 0);
  CHECK_THROWS_WITH_AS(small.run({}),
                       doctest::Contains(": has no decode steps, so there is nothing to replay"), InputError);
}

TEST_CASE("bounds that depend on one another are told with their key") {
  const SmallRun small;
  CHECK_THROWS_WITH_AS(small.run({"model={type: decoder, layers: 65536, kv_heads: 4, query_heads: 4}"}),
                       "--set model: model.layers: 65536 layers of 4 KV heads are 262144 heads; allowed: at "
                       "most 65536 together",
                       InputError);
  CHECK_THROWS_WITH_AS(
      small.run({"system.layout={type: token_order, chunk_tokens: 1M}",
                 "model={type: decoder, head_dim: 16384}", "system.cache.capacity=1GB"}),
      doctest::Contains(
          "--set system.layout: system.layout: 'token_order' spreads the entries of a layer over"),
      InputError);
}

}  // namespace kvr::test
