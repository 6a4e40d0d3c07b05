# What `cmake --install` puts below its prefix: the program, configurations and sample traces, and what
# find_package(kvreplay) needs to link policies of one's own into a program: libraries, objects and headers.
include(GNUInstallDirs)
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/kvreplay)

foreach(part options base kernels traces sim policies models program)
  set_target_properties(kvr_${part} PROPERTIES EXPORT_NAME ${part})
  add_library(kvreplay::${part} ALIAS kvr_${part})
endforeach()
install(TARGETS kvr_options kvr_base kvr_kernels kvr_traces kvr_sim kvr_policies kvr_models kvr_program
  EXPORT kvreplayTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/kvreplay
  OBJECTS DESTINATION ${CMAKE_INSTALL_LIBDIR}/kvreplay)
install(TARGETS kvreplay RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY sim/base sim/interfaces sim/kernels sim/calibration DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/kvreplay/sim
  FILES_MATCHING PATTERN "*.hpp")
# The workflow of configs/cluster is run from a tree, as programs beside configurations are.
install(DIRECTORY configs DESTINATION ${CMAKE_INSTALL_DATADIR}/kvreplay
  PATTERN "cluster" EXCLUDE PATTERN "*.py" EXCLUDE PATTERN "__pycache__" EXCLUDE)
install(DIRECTORY traces/samples DESTINATION ${CMAKE_INSTALL_DATADIR}/kvreplay/traces)

install(EXPORT kvreplayTargets NAMESPACE kvreplay:: DESTINATION ${package_folder})
include(CMakePackageConfigHelpers)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/kvreplayConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES cmake/kvreplayConfig.cmake cmake/kvreplay_add_policy.cmake cmake/own_sources.cmake
  ${PROJECT_BINARY_DIR}/kvreplayConfigVersion.cmake DESTINATION ${package_folder})
