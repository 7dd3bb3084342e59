# How every target of the project is declared.
#
#   epigraph_library(NAME SOURCES a.cpp ... [DEPENDS lib ...])            runtime side: no LLVM
#   epigraph_compiler_library(NAME SOURCES ... [DEPENDS ...])             compiler side: LLVM headers;
#                                                                         part of libEpigraphCompiler
#   epigraph_executable(NAME SOURCES ... [DEPENDS ...] [COMPILER])        COMPILER: libEpigraphCompiler
#   epigraph_test(NAME SOURCES ... [DEPENDS ...] [COMPILER])              a GoogleTest program in CTest
#
# Headers are included from the root of the repository ("runtime/base/Status.h"); generated ones lie
# at the same path under the build folder.

# Installed programs find libMLIR where the build found it: Debian keeps it in a folder of its own.
set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON)
include(GNUInstallDirs)

add_library(epigraph_options INTERFACE)
target_include_directories(epigraph_options INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
target_compile_options(epigraph_options INTERFACE
  -Wall -Wextra -Werror -Wno-unused-parameter -fvisibility-inlines-hidden)
if(EPIGRAPH_ASSERTIONS)
  target_compile_options(epigraph_options INTERFACE -UNDEBUG)
else()
  target_compile_definitions(epigraph_options INTERFACE NDEBUG)
endif()
if(EPIGRAPH_SANITIZE)
  target_compile_options(epigraph_options INTERFACE
    -fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=undefined
    -fno-omit-frame-pointer)
  target_link_options(epigraph_options INTERFACE -fsanitize=address,undefined -fno-sanitize=vptr)
endif()
target_link_options(epigraph_options INTERFACE -fuse-ld=lld -Wl,--gc-sections)
# Line tables are enough to debug with, and a third of the size of full debug information.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1 -ffunction-sections -fdata-sections")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -ffunction-sections -fdata-sections")

add_library(epigraph_llvm_options INTERFACE)
target_include_directories(epigraph_llvm_options SYSTEM INTERFACE
  ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})

# Depends on everything TableGen writes; each dialect and pass folder adds its target to it.
add_custom_target(epigraph_tablegen)

function(epigraph_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC epigraph_options ${ARG_DEPENDS})
endfunction()

function(epigraph_compiler_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC epigraph_options epigraph_llvm_options ${ARG_DEPENDS})
  add_dependencies(${name} epigraph_tablegen)
  set_property(GLOBAL APPEND PROPERTY EPIGRAPH_COMPILER_LIBRARIES ${name})
endfunction()

function(epigraph_executable name)
  cmake_parse_arguments(ARG "COMPILER" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  # Before other libraries: what the shared one has is not taken from them as well.
  if(ARG_COMPILER)
    target_link_libraries(${name} PRIVATE epigraph_compiler)
  endif()
  target_link_libraries(${name} PRIVATE epigraph_options ${ARG_DEPENDS})
endfunction()

function(epigraph_test name)
  cmake_parse_arguments(ARG "COMPILER" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE epigraph_options GTest::gmock GTest::gtest_main ${ARG_DEPENDS})
  # Tests run what the libraries were compiled for; optimising their own code only costs build time.
  target_compile_options(${name} PRIVATE -O0)
  target_compile_definitions(${name} PRIVATE
    EPIGRAPH_SOURCE_DIR="${CMAKE_SOURCE_DIR}" EPIGRAPH_BINARY_DIR="${CMAKE_BINARY_DIR}")
  if(ARG_COMPILER)
    # Both: linking MLIR alone leaves LLVM's symbols unresolved.
    target_link_libraries(${name} PRIVATE epigraph_llvm_options MLIR LLVM)
    add_dependencies(${name} epigraph_tablegen)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 600)
endfunction()

# Writes FILE under the build folder from the .td file named by LLVM_TARGET_DEFINITIONS.
macro(epigraph_mlir_tablegen file)
  mlir_tablegen(${file} ${ARGN} EXTRA_INCLUDES ${CMAKE_SOURCE_DIR} ${MLIR_INCLUDE_DIRS})
endmacro()

# What every dialect generates: PREFIXOps.td -> operations, dialect, attributes and types of `dialect`.
macro(epigraph_dialect_tablegen dialect prefix)
  set(LLVM_TARGET_DEFINITIONS ${prefix}Ops.td)
  epigraph_mlir_tablegen(${prefix}Ops.h.inc -gen-op-decls -dialect=${dialect})
  epigraph_mlir_tablegen(${prefix}Ops.cpp.inc -gen-op-defs -dialect=${dialect})
  epigraph_mlir_tablegen(${prefix}Types.h.inc -gen-typedef-decls -typedefs-dialect=${dialect})
  epigraph_mlir_tablegen(${prefix}Types.cpp.inc -gen-typedef-defs -typedefs-dialect=${dialect})
  epigraph_mlir_tablegen(${prefix}Attrs.h.inc -gen-attrdef-decls -attrdefs-dialect=${dialect})
  epigraph_mlir_tablegen(${prefix}Attrs.cpp.inc -gen-attrdef-defs -attrdefs-dialect=${dialect})
  epigraph_mlir_tablegen(${prefix}Dialect.h.inc -gen-dialect-decls -dialect=${dialect})
  epigraph_mlir_tablegen(${prefix}Dialect.cpp.inc -gen-dialect-defs -dialect=${dialect})
endmacro()
