# The AVX-512 decoders once more with their intrinsics computed by SIMDe, so that they are tested on every CPU.
if(TWOFOLD_X86)
  add_library(codec_avx512_emulated STATIC
    ${CMAKE_SOURCE_DIR}/src/codec/ans_avx512.cpp
    ${CMAKE_SOURCE_DIR}/src/codec/ans8_avx512.cpp
    ${CMAKE_SOURCE_DIR}/src/codec/plane_rows_avx512.cpp)
  target_link_libraries(codec_avx512_emulated PUBLIC twofold_options)
  target_compile_definitions(codec_avx512_emulated PRIVATE
    TWOFOLD_SIMDE ans_lanes_avx512=ans_lanes_avx512_emulated
    ans8_lanes_avx512=ans8_lanes_avx512_emulated
    plane_rows_avx512=plane_rows_avx512_emulated)
  # -O1: more takes minutes to compile.
  # -fwrapv: SIMDe multiplies the elements as signed integers and counts on them to wrap.
  target_compile_options(codec_avx512_emulated PRIVATE -Wno-psabi -fwrapv -O1)
  target_link_libraries(test_codec PRIVATE codec_avx512_emulated)
endif()
