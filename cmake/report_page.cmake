# What `kvreplay report` makes pages of goes into the program: the page's own files, and plotly.js, which draws.
# Of the libraries at hand it is the one that brings scatter, heat maps, logarithmic axes, bars, hover, zoom and
# pictures to save, all of which would be some thousand lines of our own over Debian's d3; dygraphs has lines
# alone. It takes 4.8 MB of each page, which browsers on a laptop read in some 0.2 s. scripts/requirements.txt pins
# the Python package that carries it; the program then needs neither Python nor network.
file(GLOB plotly_packages ${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/plotly/package_data)
find_file(KVREPLAY_PLOTLY_JS plotly.min.js PATHS ${plotly_packages} NO_DEFAULT_PATH
  DOC "plotly.js, minified, version 3 or later, for the pages of 'kvreplay report'")
if(NOT EXISTS "${KVREPLAY_PLOTLY_JS}")
  message(FATAL_ERROR "plotly.min.js was not found in .venv, which scripts/setup makes; "
    "give it with -DKVREPLAY_PLOTLY_JS=FILE (the Python package plotly has it in package_data)")
endif()

set(page_folder ${PROJECT_SOURCE_DIR}/sim/cli/report/page)
set(page_scripts values colours plots labels data table pareto parts steps moment about main)
list(TRANSFORM page_scripts PREPEND ${page_folder}/)
list(TRANSFORM page_scripts APPEND .js)
set(page_files ${page_folder}/page.html ${page_folder}/page.css ${page_scripts} ${KVREPLAY_PLOTLY_JS}
  ${page_folder}/plotly_licence.txt)

# page_part(NAME FILE...): the symbols kvr_page_NAME and kvr_page_NAME_end, around the files one after another.
set(page_assembly "")
function(page_part name)
  string(APPEND page_assembly "kvr_page_${name}:\n")
  foreach(file ${ARGN})
    string(APPEND page_assembly ".incbin \"${file}\"\n")
  endforeach()
  string(APPEND page_assembly "kvr_page_${name}_end:\n")
  foreach(symbol kvr_page_${name} kvr_page_${name}_end)
    string(APPEND page_assembly ".globl ${symbol}\n.hidden ${symbol}\n")
  endforeach()
  set(page_assembly "${page_assembly}" PARENT_SCOPE)
endfunction()
page_part(html ${page_folder}/page.html)
page_part(style ${page_folder}/page.css)
page_part(script ${page_scripts})
page_part(library ${KVREPLAY_PLOTLY_JS})
page_part(library_licence ${page_folder}/plotly_licence.txt)

file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/page_parts.cpp @ONLY CONTENT [[
#include "sim/cli/report/page_parts.hpp"

asm(R"(
.section .rodata
@page_assembly@
.previous
)");

extern "C" {
extern const char kvr_page_html[], kvr_page_html_end[];
extern const char kvr_page_style[], kvr_page_style_end[];
extern const char kvr_page_script[], kvr_page_script_end[];
extern const char kvr_page_library[], kvr_page_library_end[];
extern const char kvr_page_library_licence[], kvr_page_library_licence_end[];
}

kvr::cli::PageParts kvr::cli::page_parts() {
  return {.html = {kvr_page_html, kvr_page_html_end},
          .style = {kvr_page_style, kvr_page_style_end},
          .script = {kvr_page_script, kvr_page_script_end},
          .library = {kvr_page_library, kvr_page_library_end},
          .library_licence = {kvr_page_library_licence, kvr_page_library_licence_end}};
}
]])
target_sources(kvr_program PRIVATE ${PROJECT_BINARY_DIR}/generated/page_parts.cpp)
# Compiler caches know nothing of .incbin's files; the headers that others share are of no use to it.
set_source_files_properties(${PROJECT_BINARY_DIR}/generated/page_parts.cpp PROPERTIES
  OBJECT_DEPENDS "${page_files}" SKIP_PRECOMPILE_HEADERS ON)
