# What results say of the tree that the program is built from; run at every build, so that it cannot be an old one.
#
#   cmake -DSOURCE=FOLDER -DOUTPUT=FILE.hpp -DVERSION=... -DCOMPILER=... -DTYPE=... -P build_info.cmake
#
# commit = the tree's, "-dirty" where a tracked file differs or what is compiled is not tracked; "unknown" where the
#   tree has no repository of its own: one around it says nothing of kvreplay
# uncommitted = of what is compiled, "path sha256" of each file that the commit has not, or not so
#
# Files that git ignores count: what is compiled is found by its name, not by git.
set(compiled CMakeLists.txt ":(glob)cmake/**/*.cmake")
foreach(folder sim policies models traces)
  foreach(ending cpp hpp)
    list(APPEND compiled ":(glob)${folder}/**/*.${ending}")
  endforeach()
endforeach()

# git(RESULT ARGUMENTS...): what git prints of the tree; nothing where it cannot.
function(git result)
  execute_process(COMMAND git -C "${SOURCE}" -c core.quotePath=false ${ARGN}
    OUTPUT_VARIABLE text OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  set(${result} "${text}" PARENT_SCOPE)
endfunction()

set(commit unknown)
set(uncommitted "")
git(top rev-parse --show-toplevel)
file(REAL_PATH "${SOURCE}" tree)
if(top)
  file(REAL_PATH "${top}" top)
endif()
if(top STREQUAL tree)
  git(commit describe --always --exclude * --abbrev=40 --dirty)
  git(changed diff --name-only --no-renames HEAD -- ${compiled})
  git(untracked ls-files --others -- ${compiled})
  string(REPLACE ";" "\\;" files "${changed}\n${untracked}")
  string(REPLACE "\n" ";" files "${files}")
  foreach(file IN LISTS files)
    if(file STREQUAL "")
      continue()
    elseif(file MATCHES [[^"(.*)"$]])  # git quotes names with such characters as C does
      string(REGEX REPLACE [[\\(["\\])]] [[\1]] file "${CMAKE_MATCH_1}")
    endif()
    set(hash removed)
    if(EXISTS "${SOURCE}/${file}")
      file(SHA256 "${SOURCE}/${file}" hash)
    endif()
    string(REGEX REPLACE "([\\\\\"])" "\\\\\\1" name "${file}")
    string(APPEND uncommitted "\n    \"${name} ${hash}\\n\"")
  endforeach()
  if(uncommitted AND NOT commit MATCHES "-dirty$")
    string(APPEND commit -dirty)
  endif()
  if(NOT commit)
    set(commit unknown)
  endif()
endif()

file(CONFIGURE OUTPUT "${OUTPUT}" CONTENT [[#pragma once

namespace kvr::build {
constexpr const char* kVersion = "@VERSION@";
constexpr const char* kCommit = "@commit@";
constexpr const char* kCompiler = "@COMPILER@";
constexpr const char* kType = "@TYPE@";
/// Lines "path sha256".
constexpr const char* kUncommittedSources = ""@uncommitted@;
}  // namespace kvr::build
]] @ONLY)
