#include "sim/sweep/trace_files.hpp"

#include <fmt/format.h>

#include <utility>

#include "sim/base/sha256.hpp"
#include "traces/checks/validate.hpp"

namespace kvr::sweep {
namespace {

namespace fs = std::filesystem;

TraceFiles::Trace examined(const fs::path& path) {
  trace::Validation found = trace::examine(path);
  return {.problems = std::move(found.problems),
          .opens = found.opens,
          .hash = found.opens ? sha256_of_file(path) : ""};
}

}  // namespace

TraceFiles::Trace& TraceFiles::at(const fs::path& path) {
  const auto known = traces_.find(path);
  return known != traces_.end() ? known->second : traces_.emplace(path, examined(path)).first->second;
}

std::vector<const trace::Reader*> TraceFiles::of(const RunConfig& point) {
  std::vector<const trace::Reader*> readers;
  for (const SequenceConfig& sequence : point.sequences) {
    Trace& trace = at(sequence.trace_path);
    if (trace.reader == nullptr && trace.opens) {
      trace.reader = std::make_unique<trace::Reader>(sequence.trace_path);
    }
    readers.push_back(trace.reader.get());
  }
  return readers;
}

void TraceFiles::close() {
  for (auto& [path, trace] : traces_) {
    trace.reader.reset();
  }
}

const std::string& TraceFiles::hash_of_data(const fs::path& file) {
  const auto known = data_.find(file);
  return known != data_.end() ? known->second : data_.emplace(file, sha256_of_file(file)).first->second;
}

std::vector<std::string> TraceFiles::hashes_of(const RunConfig& point) {
  std::vector<std::string> hashes;
  for (const SequenceConfig& sequence : point.sequences) {
    hashes.push_back(at(sequence.trace_path).hash);
  }
  for (const fs::path& file : point.data) {
    hashes.push_back(hash_of_data(file));
  }
  return hashes;
}

void TraceFiles::describe(Provenance& provenance) const {
  const auto add = [&provenance](const std::string& name, const auto& files, auto hash_of) {
    std::vector<std::string> names;
    std::vector<std::string> hashes;
    for (const auto& [path, file] : files) {
      names.push_back(path.string());
      hashes.push_back(hash_of(file));
    }
    if (!names.empty()) {
      provenance.add(fmt::format("{}_path", name), fmt::format("{}", fmt::join(names, "\n")));
      provenance.add(fmt::format("{}_sha256", name), fmt::format("{}", fmt::join(hashes, "\n")));
    }
  };
  add("trace", traces_, [](const Trace& trace) { return trace.hash; });
  add("data", data_, [](const std::string& hash) { return hash; });
}

}  // namespace kvr::sweep
