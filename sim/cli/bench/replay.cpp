#include "sim/cli/bench/replay.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/files/temporary_folder.hpp"
#include "sim/cli/bench/child.hpp"
#include "sim/config/resolve.hpp"
#include "traces/reader.hpp"
#include "traces/synth/synth.hpp"

namespace kvr::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSampleConfig = "sample_kmeans.yaml";
constexpr int kSampleRuns = 3;
constexpr int kScaleRuns = 1;
constexpr std::int64_t kMegabyte = 1'000'000;

/// Says what will be replayed, by the configuration and its trace.
ReplayResult describe(const fs::path& config, const std::vector<std::string>& sets) {
  const std::vector<RunConfig> points = load_config(config, sets);
  KVR_CHECK(points.size() == 1, "{} has {} points", config.string(), points.size());
  const trace::Reader reader(points.front().sequences.front().trace_path);
  const trace::Header& header = reader.header();
  const std::int64_t available =
      header.seq_len - header.prefill_len - points.front().sequences.front().first_step;
  ReplayResult result;
  result.what = fmt::format("{}, {} layers x {} KV heads of {}, {} thread", points.front().system.name,
                            header.captured_layers.size(), header.captured_kv_heads.size(),
                            header.geometry.head_dim, points.front().threads);
  result.prompt = header.prefill_len;
  result.steps = points.front().steps > 0 ? points.front().steps : available;
  return result;
}

ReplayResult measure(const fs::path& config, const std::vector<std::string>& sets, int runs) {
  ReplayResult result = describe(config, sets);
  std::vector<std::string> args = {"--quiet", "run", config.string()};
  for (const std::string& set : sets) {
    args.insert(args.end(), {"--set", set});
  }
  std::vector<double> walls;
  std::vector<double> cpus;
  for (int run = 0; run < runs; ++run) {
    const ChildUse use = run_self(args);
    walls.push_back(use.wall_s);
    cpus.push_back(use.cpu_s);
    result.peak_bytes = std::max(result.peak_bytes, use.peak_bytes);
  }
  result.wall = summarise(std::move(walls));
  result.cpu = summarise(std::move(cpus));
  return result;
}

trace::SynthOptions long_trace() {
  trace::SynthOptions options;
  options.layers = 1;
  options.kv_heads = 2;
  options.group = 4;
  options.head_dim = 128;
  options.prompt = 130'048;
  options.steps = 1'024;
  options.clusters = 512;
  return options;
}

/// Of a configuration as it stands: all but the sample's are replayed over traces that are made for them.
std::vector<std::string> sets_of(const fs::path& config) {
  return config.filename().string().starts_with("sample_")
             ? std::vector<std::string>()
             : std::vector<std::string>{"trace.path=made-on-the-fly.h5"};
}

}  // namespace

void check_source(const fs::path& source) {
  const fs::path folder = source / kConfigFolder;
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    throw InputError(fmt::format("bench: there is no {}; --source DIR names the folder of kvreplay's sources",
                                 folder.string()));
  }
}

std::vector<fs::path> inputs(const fs::path& source) {
  std::vector<fs::path> files;
  std::error_code ignored;
  for (const auto& config : fs::directory_iterator(source / kConfigFolder, ignored)) {
    for (const RunConfig& point : load_config(config.path(), sets_of(config.path()))) {
      files.insert(files.end(), point.files.begin(), point.files.end());
      for (const SequenceConfig& sequence : point.sequences) {
        files.push_back(sequence.trace_path);
      }
    }
  }
  return files;
}

ReplayResult measure_sample(const fs::path& source) {
  ReplayResult result = measure(source / kConfigFolder / kSampleConfig, {}, kSampleRuns);
  result.name = "replay";
  result.wall_limit_s = 5.0;
  result.peak_limit_bytes = 300 * kMegabyte;
  return result;
}

ReplayResult measure_scale(const fs::path& source) {
  TemporaryFolder folder;
  const fs::path trace = folder.file("scale.h5");
  trace::synthesise(long_trace(), trace);
  ReplayResult result = measure(source / kConfigFolder / "scale_kmeans.yaml",
                                {fmt::format("trace.path={}", trace.string())}, kScaleRuns);
  result.name = "scale";
  result.peak_limit_bytes = 1'000 * kMegabyte;
  return result;
}

}  // namespace kvr::bench
