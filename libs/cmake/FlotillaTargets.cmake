# flotilla_room(<name> SOURCES a.cpp ... DEPS <target> ... [TESTS a_test.cpp ...] [TEST_DEPS <target> ...]
#               [APART b.cpp ...])
# One room of the house: static library flotilla_<name> (INTERFACE where it has no sources) and, for its tests,
# the executable flotilla_<name>_test, registered with ctest under the same name; it has libs/testing too. A room that another one does not
# list in DEPS is not on its link line, so a wrong include fails. APART: sources with file-local names that another source of
# the room has too; where the others are compiled as one (preset tidy) they are not.
function(flotilla_room name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;TESTS;TEST_DEPS;APART" ${ARGN})
  if(ARG_SOURCES)
    add_library(flotilla_${name} STATIC ${ARG_SOURCES})
    set(scope PUBLIC)
    target_link_libraries(flotilla_${name} PRIVATE flotilla_flags)
  else()
    add_library(flotilla_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(flotilla_${name} ${scope} ${CMAKE_SOURCE_DIR}/libs ${CMAKE_SOURCE_DIR}/services)
  set_source_files_properties(${ARG_APART} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  target_link_libraries(flotilla_${name} ${scope} ${ARG_DEPS})
  if(ARG_TESTS)
    add_executable(flotilla_${name}_test ${ARG_TESTS})
    target_link_libraries(flotilla_${name}_test PRIVATE flotilla_${name} ${ARG_TEST_DEPS} flotilla_testing flotilla_flags GTest::gtest_main GTest::gmock)
    set_target_properties(flotilla_${name}_test PROPERTIES CXX_CLANG_TIDY "${FLOTILLA_TEST_TIDY}")
    add_test(NAME flotilla_${name}_test COMMAND flotilla_${name}_test)
    set_tests_properties(flotilla_${name}_test PROPERTIES TIMEOUT 300)
  endif()
endfunction()

# clang-tidy's command for tests and benchmarks, which need not be fast, and may make what fails fail.
if(CMAKE_CXX_CLANG_TIDY)
  set(FLOTILLA_TEST_TIDY "${CMAKE_CXX_CLANG_TIDY};--checks=-performance-*,-bugprone-empty-catch,-bugprone-unused-return-value,-bugprone-implicit-widening-of-multiplication-result,-bugprone-narrowing-conversions,-clang-analyzer-security.FloatLoopCounter,-clang-analyzer-optin.performance.Padding")
endif()

# Our own warnings; generated code does not get them.
add_library(flotilla_flags INTERFACE)
target_compile_options(flotilla_flags INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Werror)

# flotilla_migrations(<target> <C++ namespace> <file.sql>...)
# Compiles SQL files in, in the order given: the header "<room>/migrations.h" (for services/payment/store:
# "payment/store/migrations.h") declares in the namespace
#   std::span<const flotilla::postgres::Migration> Migrations();
function(flotilla_migrations target namespace)
  set(entries "")
  foreach(file IN LISTS ARGN)
    cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} OUTPUT_VARIABLE path)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
    file(READ ${path} sql)
    cmake_path(GET path FILENAME name)
    # A delimiter made from the text's own hash cannot occur in the text.
    string(SHA256 hash "${sql}")
    string(SUBSTRING ${hash} 0 12 delimiter)
    string(APPEND entries "      {\"${name}\", R\"sql_${delimiter}(${sql})sql_${delimiter}\"},\n")
  endforeach()
  cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY ${CMAKE_SOURCE_DIR} OUTPUT_VARIABLE room)
  string(REGEX REPLACE "^(services|libs)/" "" room ${room})
  set(header ${CMAKE_BINARY_DIR}/generated/${room}/migrations.h)
  string(CONCAT text
    "// Generated from the room's SQL files.\n#pragma once\n\n#include <span>\n\n#include \"postgres/session.h\"\n\n"
    "namespace ${namespace} {\n\ninline std::span<const flotilla::postgres::Migration> Migrations() {\n"
    "  static constexpr flotilla::postgres::Migration kMigrations[] = {\n${entries}  };\n  return kMigrations;\n}\n\n"
    "}  // namespace ${namespace}\n")
  set(old "")
  if(EXISTS ${header})
    file(READ ${header} old)
  endif()
  if(NOT text STREQUAL old)  # an unchanged header keeps its time, so nothing is compiled again
    file(WRITE ${header} "${text}")
  endif()
  get_target_property(type ${target} TYPE)
  set(scope PUBLIC)
  if(type STREQUAL "INTERFACE_LIBRARY")
    set(scope INTERFACE)
  endif()
  target_include_directories(${target} ${scope} ${CMAKE_BINARY_DIR}/generated)
endfunction()
