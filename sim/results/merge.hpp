#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "sim/results/result_file.hpp"

namespace kvr {

/// Whether parts may come from programs that differ in more than where they were built.
enum class Programs { same, any };

/// Why files are no parts of one run, a sentence each, with their names: points in two of them, other traces,
/// another sweep, other programs. Empty: they can be merged.
std::vector<std::string> merge_problems(std::span<const ResultFile> parts, Programs programs);

/// Writes the points of `parts` into one file, in the order of their configuration, with what they say of
/// where they come from; it is complete if all planned points are there. Values are those of the parts, to
/// the last bit. Throws InputError where a part has what this program does not know; else as write_results.
void merge_results(const std::filesystem::path& out, std::span<const ResultFile> parts);

}  // namespace kvr
