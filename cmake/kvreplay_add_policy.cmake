# kvreplay_add_policy(TARGET SOURCE...): a program `kvreplay` with all of kvreplay's policies, devices and commands,
# and those of the sources, which register themselves. It is built in the current binary folder, with the flags of the
# project that calls this.
function(kvreplay_add_policy target)
  get_property(other DIRECTORY PROPERTY kvreplay_program)
  if(other)
    message(FATAL_ERROR "kvreplay_add_policy(${target}): ${other} already builds a program `kvreplay` here; "
      "give its sources to that one, or call this in a folder of its own")
  endif()
  set_property(DIRECTORY PROPERTY kvreplay_program ${target})
  add_executable(${target} ${ARGN})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME kvreplay)
  # Objects: of a static library the linker would drop files that only register themselves.
  target_link_libraries(${target} PRIVATE
    kvreplay::program kvreplay::policies kvreplay::models kvreplay::sim)
endfunction()
