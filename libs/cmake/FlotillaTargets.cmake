# flotilla_room(<name> SOURCES a.cpp ... DEPS <target> ... [TESTS a_test.cpp ...] [TEST_DEPS <target> ...])
# One room of the house: static library flotilla_<name> (INTERFACE where it has no sources) and, for its tests,
# the executable flotilla_<name>_test, registered with ctest under the same name. A room that another one does not
# list in DEPS is not on its link line, so a wrong include fails.
function(flotilla_room name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;TESTS;TEST_DEPS" ${ARGN})
  if(ARG_SOURCES)
    add_library(flotilla_${name} STATIC ${ARG_SOURCES})
    set(scope PUBLIC)
    target_link_libraries(flotilla_${name} PRIVATE flotilla_flags)
  else()
    add_library(flotilla_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(flotilla_${name} ${scope} ${CMAKE_SOURCE_DIR}/libs ${CMAKE_SOURCE_DIR}/services)
  target_link_libraries(flotilla_${name} ${scope} ${ARG_DEPS})
  if(ARG_TESTS)
    add_executable(flotilla_${name}_test ${ARG_TESTS})
    target_link_libraries(flotilla_${name}_test PRIVATE flotilla_${name} ${ARG_TEST_DEPS} flotilla_flags GTest::gtest_main GTest::gmock)
    add_test(NAME flotilla_${name}_test COMMAND flotilla_${name}_test)
    set_tests_properties(flotilla_${name}_test PROPERTIES TIMEOUT 300)
  endif()
endfunction()

# Our own warnings; generated code does not get them.
add_library(flotilla_flags INTERFACE)
target_compile_options(flotilla_flags INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Werror)
