# The AVX-512 and AVX-VNNI loops once more with their intrinsics computed by SIMDe, so that they are tested on
# every CPU.
if(TWOFOLD_X86)
  add_library(kernels_avx512_emulated STATIC
    ${CMAKE_SOURCE_DIR}/src/kernels/cpu/ops_avx512.cpp
    ${CMAKE_SOURCE_DIR}/src/kernels/cpu/matmul_i8_avx512.cpp
    ${CMAKE_SOURCE_DIR}/src/kernels/cpu/matmul_i8_avx2vnni.cpp
    ${CMAKE_SOURCE_DIR}/src/kernels/cpu/plane_dot_avx512.cpp
    ${CMAKE_SOURCE_DIR}/src/kernels/cpu/plane_dot_avx2vnni.cpp)
  target_link_libraries(kernels_avx512_emulated PUBLIC twofold_kernels)
  target_compile_definitions(kernels_avx512_emulated PRIVATE
    TWOFOLD_SIMDE avx512_ops=avx512_ops_emulated
    plane_dot_avx512=plane_dot_avx512_emulated plane_dot_avx2vnni=plane_dot_avx2vnni_emulated
    pack_i8_avx512=pack_i8_avx512_emulated matmul_i8_avx512=matmul_i8_avx512_emulated
    pack_i8_avx2vnni=pack_i8_avx2vnni_emulated matmul_i8_avx2vnni=matmul_i8_avx2vnni_emulated)
  # -O1: more takes minutes to compile.
  # -fwrapv: SIMDe adds the elements as signed integers and counts on them to wrap, as vpdpbusd does.
  target_compile_options(kernels_avx512_emulated PRIVATE -Wno-psabi -Wno-pass-failed -fwrapv -O1)
  target_link_libraries(test_kernels PRIVATE kernels_avx512_emulated)
endif()

# Attention and sgemm choose the instruction set themselves; the other tests go through all of them.
add_test(NAME kernels.scalar COMMAND test_kernels --gtest_filter=Attention.*:Sgemm.*)
set_tests_properties(kernels.scalar PROPERTIES ENVIRONMENT TWOFOLD_ISA=scalar LABELS kernels)

# The tests that need a GPU once more under a label of their own: ctest -L gpu.
add_test(NAME kernels.gpu COMMAND test_kernels --gtest_filter=Codecs/Gpu.*:GpuPipelines.*)
set_tests_properties(kernels.gpu PROPERTIES LABELS gpu SKIP_REGULAR_EXPRESSION "SKIPPED")

# The kernels for GPUs and their host's side once more, run by the CPU. A build with CUDA has them already.
if(NOT CMAKE_CROSSCOMPILING AND NOT TWOFOLD_CUDA_FOUND)
  file(GLOB gpu_kernels CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/kernels/cuda/*.cu)
  file(GLOB gpu_hosts CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/kernels/cuda/*_cuda.cpp)
  set(emulated_gpu ${CMAKE_CURRENT_SOURCE_DIR}/kernels/emulated_gpu)
  set_source_files_properties(${gpu_kernels} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-x;c++")
  set_source_files_properties(${gpu_hosts} PROPERTIES HEADER_FILE_ONLY OFF)
  add_library(kernels_gpu_emulated STATIC ${gpu_kernels} ${gpu_hosts} ${emulated_gpu}/emulated_gpu.cpp)
  target_link_libraries(kernels_gpu_emulated PUBLIC twofold_kernels)
  target_include_directories(kernels_gpu_emulated PRIVATE ${emulated_gpu})
  target_compile_definitions(kernels_gpu_emulated PRIVATE
    gpus=emulated_gpus make_gpu_matrix=make_emulated_gpu_matrix make_gpu_pipeline=make_emulated_gpu_pipeline
    why_no_gpu=why_no_emulated_gpu time_gpu_products=time_emulated_gpu_products gpu_copy_rate=emulated_gpu_copy_rate
    time_gpu_blas=time_emulated_gpu_blas make_gpu_transformer=make_emulated_gpu_transformer)
  target_compile_options(kernels_gpu_emulated PRIVATE -include ${emulated_gpu}/gpu_language.h -Wno-unknown-pragmas -Wno-pass-failed -O1)
  target_link_libraries(test_kernels PRIVATE kernels_gpu_emulated)
  target_compile_definitions(test_kernels PRIVATE TWOFOLD_EMULATED_GPU_TESTS)
endif()
