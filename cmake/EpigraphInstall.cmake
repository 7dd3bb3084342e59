# What `make install` adds for projects that extend the compiler: headers, TableGen files and the CMake
# package. The library and the programs are installed where they are declared.
include(CMakePackageConfigHelpers)

set(EPIGRAPH_SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
set(MLIR_VERSION_WANTED ${LLVM_VERSION_MAJOR}.${LLVM_VERSION_MINOR})
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Epigraph)
configure_package_config_file(cmake/EpigraphConfig.cmake.in ${CMAKE_BINARY_DIR}/EpigraphConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/EpigraphConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/EpigraphConfig.cmake
              ${CMAKE_BINARY_DIR}/EpigraphConfigVersion.cmake
  DESTINATION ${package_dir} COMPONENT development)

# Under one folder, as they include each other: "dialects/epi/Epi.h".
foreach(folder dialects passes codegen compiler runtime)
  foreach(root ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
    install(DIRECTORY ${root}/${folder}
      DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/epigraph COMPONENT development
      FILES_MATCHING
      PATTERN "*.h" PATTERN "*.td" PATTERN "*.h.inc"
      PATTERN "CMakeFiles" EXCLUDE)
  endforeach()
endforeach()
