# Passes of a model on a GPU, run by the CPU (kernels/extra.cmake).
if(TARGET kernels_gpu_emulated)
  target_link_libraries(test_eval PRIVATE kernels_gpu_emulated)
  target_compile_definitions(test_eval PRIVATE TWOFOLD_EMULATED_GPU_TESTS)
endif()
