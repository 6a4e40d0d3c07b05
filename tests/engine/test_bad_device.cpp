// A device that cannot be is refused with one line that says where, what and what is allowed.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/config/resolve.hpp"
#include "sim/engine/replay.hpp"
#include "tests/engine/support.hpp"
#include "traces/reader.hpp"
#include "traces/synth/synth.hpp"

namespace kvr {
namespace {

/// What is wrong with the shipped UFS 4.0 part once `row` is laid on it, file names without their folder.
std::vector<std::string> problems_with(const std::string& type, const std::string& row) {
  static const TemporaryFolder folder;
  static const std::filesystem::path trace = [] {
    trace::SynthOptions options;
    options.prompt = 40;
    options.steps = 2;
    trace::synthesise(options, folder / "trace.h5");
    return folder / "trace.h5";
  }();
  const std::filesystem::path file = folder / "c.yaml";
  test::write_text(file, fmt::format("include: [{0}/devices/ufs40.yaml, {0}/phones/oneplus_12.yaml, "
                                     "{0}/systems/no_cluster.yaml]\ntrace: {{path: {1}}}\ndevice:\n  type: "
                                     "{2}\n  {3}\n",
                                     KVR_SOURCE_DIR "/configs", trace.string(), type, row));
  try {
    const trace::Reader reader(trace);
    const trace::Reader* const traces[] = {&reader};
    check_point(load_config(file, {}).front(), traces);
  } catch (const InputError& error) {
    std::vector<std::string> problems = error.problems();
    for (std::string& problem : problems) {
      const std::string prefix = (folder / "").string();
      problem = problem.starts_with(prefix) ? problem.substr(prefix.size()) : problem;
    }
    return problems;
  }
  return {};
}

struct Bad {
  std::string row;
  std::string message;
};

constexpr std::string_view kBandwidth =
    "allowed: a number with a unit (B/s, kB/s, MB/s, GB/s, KiB/s, MiB/s, GiB/s)";
constexpr std::string_view kTime = "allowed: a number with a unit (ns, us, ms, s)";

TEST_CASE("a value that no device has gives one error with its place, whatever the fidelity") {
  const std::vector<Bad> bads = {
      {"link: 0MB/s", fmt::format("link: is out of range (0MB/s); {}, 1kB/s to 1000000GB/s", kBandwidth)},
      {"channel_bandwidth: -1GB/s",
       fmt::format("channel_bandwidth: is out of range (-1GB/s); {}, 1kB/s to 1000000GB/s", kBandwidth)},
      {"read_bandwidth: 0B/s",
       fmt::format("read_bandwidth: is out of range (0B/s); {}, 1kB/s to 1000000GB/s", kBandwidth)},
      {"latency: -3us", fmt::format("latency: is out of range (-3us); {}, above 0s, at most 1s", kTime)},
      {"read_time: -27us",
       fmt::format("read_time: is out of range (-27us); {}, above 0s, at most 10ms", kTime)},
      {"firmware_time: -1ns", fmt::format("firmware_time: is out of range (-1ns); {}, 0s to 10ms", kTime)},
      {"channels: 0", "channels: is out of range (0); allowed: an integer, 1 to 64"},
      {"dies_per_channel: 0", "dies_per_channel: is out of range (0); allowed: an integer, 1 to 64"},
      {"queue_depth: 0", "queue_depth: is out of range (0); allowed: an integer, 1 to 65536"},
      {"link: 4200", fmt::format("link: has no unit (4200); {}, 1kB/s to 1000000GB/s", kBandwidth)},
      {"read_time: 27", fmt::format("read_time: has no unit (27); {}, above 0s, at most 10ms", kTime)},
      {"idle_power: 0.1", "idle_power: has no unit (0.1); allowed: a number with a unit (mW, W), 0W to 100W"},
      {"duplex: both", "duplex: is not a choice (both); allowed: half, full"},
      {"heat: warm", "heat: is not a choice (warm); allowed: cold, hot"},
      {"hot_bandwidth: 0", "hot_bandwidth: is out of range (0); allowed: a number, above 0, at most 1"},
      {"command_link_time: 125us",
       "command_link_time: is not below the link time of the data of max_transfer (125 us); allowed: below "
       "124.8 us"},
      {"slc_bandwidth: 3GB/s",
       "slc_bandwidth: exceeds what the dies program, one stripe each slc_program_time (3000 MB/s); allowed: "
       "at most 2621 MB/s"},
  };
  for (const std::string type : {"analytic", "queueing"}) {
    for (const Bad& bad : bads) {
      CAPTURE(type);
      CAPTURE(bad.row);
      CHECK(problems_with(type, bad.row) == std::vector<std::string>{"c.yaml:5:3: device." + bad.message});
    }
    CHECK(problems_with(type, "heat: hot").empty());
  }
}

}  // namespace
}  // namespace kvr
