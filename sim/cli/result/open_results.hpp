#pragma once

#include <filesystem>

#include "sim/results/result_file.hpp"

namespace kvr::cli {

/// Opens a file of results once a process of its own has read all of it, so that a file made to do harm does
/// none here. Throws InputError with what is wrong.
ResultFile open_results(const std::filesystem::path& path);

}  // namespace kvr::cli
