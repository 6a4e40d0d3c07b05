# `cpack -G DEB` in the build folder makes a Debian package of what cmake/install.cmake installs. Libraries that the
# program needs are found by dpkg-shlibdeps; what a policy of one's own is built with is suggested.
set(documents ${CMAKE_INSTALL_DATADIR}/doc/kvreplay)

# Debian's copyright file: the licence, where the sources are from, and the terms of the sample trace.
file(READ ${PROJECT_SOURCE_DIR}/LICENSE licence)
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/package/copyright @ONLY CONTENT [[
kvreplay

@licence@
The sample trace in /usr/share/kvreplay/traces/samples: its text is in the public domain, the weights of the model that
it was captured from are under the Apache License 2.0 (/usr/share/common-licenses/Apache-2.0); README.md there names
both.
]])
install(FILES ${PROJECT_BINARY_DIR}/package/copyright README.md CHANGELOG.md CITATION.cff DESTINATION ${documents})

# The manual page is what the program says of itself, written anew whenever that is linked.
if(NOT KVREPLAY_SANITIZE AND NOT CMAKE_CROSSCOMPILING)
  add_custom_command(TARGET kvreplay POST_BUILD VERBATIM
    COMMAND ${CMAKE_COMMAND} -D PROGRAM=$<TARGET_FILE:kvreplay> -D OUT=${PROJECT_BINARY_DIR}/package/kvreplay.1
      -P ${PROJECT_SOURCE_DIR}/cmake/manual_page.cmake)
  install(FILES ${PROJECT_BINARY_DIR}/package/kvreplay.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()

set(CPACK_PACKAGE_NAME kvreplay)
set(CPACK_PACKAGE_VENDOR "kvreplay contributors")
set(CPACK_PACKAGE_CONTACT "kvreplay contributors <maintainers@kvreplay.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "simulator of KV caches that spill to flash")
set(CPACK_PACKAGE_DESCRIPTION
  "Replays attention traces of real language models against clustering, scoring,
layout, caching and scheduling policies on a parameterised UFS, eMMC or NVMe
device, and reports what they miss and what they cost.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES TRUE)
set(CPACK_GENERATOR DEB)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "g++, cmake, pkg-config, libboost-program-options-dev, libeigen3-dev, libfmt-dev, \
libyaml-cpp-dev, libhdf5-dev, libssl-dev, zlib1g-dev, liburing-dev, nlohmann-json3-dev, python3")
include(CPack)
