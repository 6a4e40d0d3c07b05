#pragma once

#include <span>
#include <string>
#include <vector>

namespace kvr::cli {

/// What is noted of a point.
struct NotedPoint {
  const std::string& name;
  const std::string& variant;  ///< what points that differ in the seed alone have in common
  std::span<const std::string> notes;
};

/// Each note once, with whom it is about unless that is all: variants of which all points have it, and points
/// else. Starts with an empty line and a heading; empty where there is no note.
std::string notes_text(std::span<const NotedPoint> points);

}  // namespace kvr::cli
