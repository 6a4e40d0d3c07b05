# Writes a source that tells the program which files are compiled into it beside kvreplay's own.
#
#   cmake -DFOLDER=FOLDER -DBINARY=FOLDER -DOUTPUT=FILE.cpp "-DSOURCES=a.cpp;b.cpp" -P own_sources.cmake
#
# Names are relative to FOLDER, where sources are looked for, and then in BINARY, where a build makes some.
set(told "")
set(number 0)
foreach(source IN LISTS SOURCES)
  cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY "${FOLDER}" NORMALIZE OUTPUT_VARIABLE path)
  if(NOT EXISTS "${path}")
    cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY "${BINARY}" NORMALIZE OUTPUT_VARIABLE path)
  endif()
  file(SHA256 "${path}" hash)
  cmake_path(RELATIVE_PATH path BASE_DIRECTORY "${FOLDER}" OUTPUT_VARIABLE name)
  string(REGEX REPLACE "([\\\\\"])" "\\\\\\1" name "${name}")
  math(EXPR number "${number} + 1")
  string(APPEND told "const kvr::OwnSource source_${number}(\"${name}\", \"${hash}\");\n")
endforeach()
file(CONFIGURE OUTPUT "${OUTPUT}" CONTENT [[#include "sim/base/origin/own_sources.hpp"

namespace {
@told@}  // namespace
]] @ONLY)
