#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace kvr::trace {

/// What a rehearsal may take beyond what the process has already.
struct RehearsalLimits {
  std::uint64_t memory_bytes;
  std::uint64_t processor_s;
};

/// 900 MB, and 3 s with 6 s more for each MB of the file: several times what a sound file takes, but for one
/// of well compressed chunks that are many to each time.
RehearsalLimits limits_for(const std::filesystem::path& file);

/// Sanitizers need memory and time of their own, so that there are no limits with them.
bool rehearsals_are_limited();

using Lines = std::vector<std::string>;

/// Does `work`, which reads `file`, in a child process and returns the lines that it returns.
///
/// A damaged file can lead the HDF5 library to crash, to loop and to ask for any amount of memory. In the
/// child that ends no more than the child, and is an InputError here. What `work` throws is thrown here too:
/// as InputError, SystemError or InternalError. The child inherits everything and leaves nothing behind:
/// neither buffered output nor what is registered for the end of the process; what it prints goes nowhere.
/// `work` must take no lock that another thread may hold, and return no line with a NUL. SystemError if there
/// can be no child or somebody stops it.
Lines rehearse(const std::filesystem::path& file, const RehearsalLimits& limits,
               const std::function<Lines()>& work);

}  // namespace kvr::trace
