#pragma once

#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/hdf5.hpp"
#include "traces/header.hpp"
#include "traces/layout.hpp"

namespace kvr::trace {

/// What can be said of a trace without reading the bulk of it. Internal to traces/.
struct Inspection {
  hdf5::Handle file;
  Header header;
  /// Only of a trace without problems.
  std::vector<std::int64_t> query_positions;
  /// Every dataset, also under /truth, whose values are all there and can be read.
  std::set<std::string> stored;
  /// The datasets of the format that are stored with the right type and shape.
  std::vector<DatasetSpec> sound;
  std::vector<std::string> problems;
};

/// Checks the links, format, version, header, the presence, storage, types, shapes and attributes of the
/// datasets, query positions, turns, and that there is nothing else. Never throws for a bad file: everything
/// wrong is in `problems`. A bad file may still lead the HDF5 library to crash or to take any memory: see
/// rehearse().
Inspection inspect(const std::filesystem::path& path);
/// The same of a file that is open.
Inspection inspect(hdf5::Handle file);

/// "sha256:" and 64 lower-case hexadecimal digits.
bool is_checksum(const std::string& text);

/// Checks units (unless null), long_name and the form of checksum.
void check_dataset_attributes(hid_t dataset, const char* units, std::vector<std::string>& problems);

/// The rule of query positions: the last W of the prompt, then every decode step, so consecutive up to
/// seq_len - 1. Positions come in order and in pieces.
class PositionCheck {
 public:
  /// `place` ("file: /query_positions") starts the message.
  PositionCheck(const Header& header, std::int64_t count, std::string place);

  void add(std::span<const std::int64_t> positions);
  /// What is wrong; empty: nothing.
  std::string problem() const;

 private:
  std::int64_t seq_len_;
  std::int64_t prefill_len_;
  std::int64_t count_;
  std::string place_;
  std::int64_t next_ = 0;
  std::int64_t last_ = -1;
  /// Of the first position out of range or order, and of the first that is not the expected one.
  std::string disorder_;
  std::string gap_;
};

/// The first hundred, and how many more there are: a damaged file may have any number.
std::vector<std::string> bounded(std::vector<std::string> problems);

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
