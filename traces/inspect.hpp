#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sim/error.hpp"
#include "traces/hdf5.hpp"
#include "traces/header.hpp"
#include "traces/layout.hpp"

namespace kvr::trace {

/// What can be said of a trace without reading the bulk of it. Internal to traces/.
struct Inspection {
  hdf5::Handle file;
  Header header;
  std::vector<std::int64_t> query_positions;
  /// The datasets that are there with the right type and shape.
  std::vector<DatasetSpec> sound;
  std::vector<std::string> problems;
};

/// Checks format, version, header, the presence, types, shapes and attributes of the datasets, query
/// positions, and that there is nothing else. Never throws for a bad file: everything wrong is in `problems`.
Inspection inspect(const std::filesystem::path& path);
/// The same of a file that is open.
Inspection inspect(hdf5::Handle file);

/// "sha256:" and 64 lower-case hexadecimal digits.
bool is_checksum(const std::string& text);

/// Checks units (unless null), long_name and the form of checksum.
void check_dataset_attributes(hid_t dataset, const char* units, std::vector<std::string>& problems);

/// The rule: the last W positions of the prompt, then every decode step, so consecutive up to seq_len - 1.
/// `place` ("file: /query_positions") starts the message.
void check_positions(const Header& header, const std::vector<std::int64_t>& positions,
                     const std::string& place, std::vector<std::string>& problems);

/// Runs `action`; what an InputError says is appended to `problems`, and the answer is then false.
template <class Action>
bool attempt(std::vector<std::string>& problems, Action action) {
  try {
    action();
    return true;
  } catch (const InputError& error) {
    problems.insert(problems.end(), error.problems().begin(), error.problems().end());
    return false;
  }
}

}  // namespace kvr::trace
