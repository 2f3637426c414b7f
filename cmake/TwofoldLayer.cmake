# One static library per folder of src/. Files that end in _avx2.cpp or _avx512.cpp are compiled for that
# instruction set and reached only through run-time dispatch.

# -Wrestrict is wrong about std::string in GCC 12 (its bug 105651).
set(TWOFOLD_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Werror=return-type $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)

add_library(twofold_options INTERFACE)
target_compile_options(twofold_options INTERFACE ${TWOFOLD_WARNINGS})
target_include_directories(twofold_options INTERFACE
  ${CMAKE_SOURCE_DIR}/src ${CMAKE_BINARY_DIR}/generated)
if(TWOFOLD_WERROR)
  target_compile_options(twofold_options INTERFACE -Werror)
endif()
if(TWOFOLD_FUZZ)
  # Coverage for libFuzzer in every layer; its main is linked into the fuzz targets only.
  target_compile_options(twofold_options INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(twofold_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(TWOFOLD_SANITIZE)
  target_compile_options(twofold_options INTERFACE
    -fsanitize=${TWOFOLD_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(twofold_options INTERFACE -fsanitize=${TWOFOLD_SANITIZE})
endif()

set(TWOFOLD_X86 FALSE)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(TWOFOLD_X86 TRUE)
endif()

function(twofold_layer name)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cpp ${CMAKE_SOURCE_DIR}/src/${name}/cpu/*.cpp)
  if(NOT TWOFOLD_X86)
    list(FILTER sources EXCLUDE REGEX "_avx(2|512)\\.cpp$")
  endif()
  if(NOT sources)
    add_library(twofold_${name} INTERFACE)
    target_link_libraries(twofold_${name} INTERFACE twofold_options ${ARGN})
    return()
  endif()
  add_library(twofold_${name} STATIC ${sources})
  target_link_libraries(twofold_${name} PUBLIC twofold_options ${ARGN})
  foreach(source IN LISTS sources)
    if(source MATCHES "_avx2\\.cpp$")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma;-mbmi2;-mf16c;-mpopcnt")
    elseif(source MATCHES "_avx512\\.cpp$")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS
        "-mavx2;-mfma;-mbmi2;-mf16c;-mpopcnt;-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mavx512vbmi;-mavx512vbmi2;-mavx512vnni")
    endif()
  endforeach()
endfunction()

function(twofold_program)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/cli/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(twofold ${sources})
  target_link_libraries(twofold PRIVATE twofold_eval CLI11::CLI11)
  install(TARGETS twofold)
endfunction()
