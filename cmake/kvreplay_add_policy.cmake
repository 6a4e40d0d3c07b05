# kvreplay_add_policy(TARGET SOURCE...): a program `kvreplay` with all of kvreplay's policies, devices and commands,
# and those of the sources, which register themselves. It is built in the current binary folder, with the flags of the
# project that calls this. Results of that program say that it is none of kvreplay's commit, and name the sources with
# their sha256; headers where they are given here too.
function(kvreplay_add_policy target)
  get_property(other DIRECTORY PROPERTY kvreplay_program)
  if(other)
    message(FATAL_ERROR "kvreplay_add_policy(${target}): ${other} already builds a program `kvreplay` here; "
      "give its sources to that one, or call this in a folder of its own")
  endif()
  set_property(DIRECTORY PROPERTY kvreplay_program ${target})
  set(told ${CMAKE_CURRENT_BINARY_DIR}/${target}_sources.cpp)
  set(script ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/own_sources.cmake)
  add_custom_command(OUTPUT ${told} DEPENDS ${ARGN} ${script}
    COMMAND ${CMAKE_COMMAND} -DFOLDER=${CMAKE_CURRENT_SOURCE_DIR} -DBINARY=${CMAKE_CURRENT_BINARY_DIR}
      -DOUTPUT=${told} "-DSOURCES=${ARGN}" -P ${script}
    VERBATIM)
  add_executable(${target} ${ARGN} ${told})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME kvreplay)
  # Objects: of a static library the linker would drop files that only register themselves.
  target_link_libraries(${target} PRIVATE
    kvreplay::program kvreplay::policies kvreplay::models kvreplay::sim)
endfunction()
