# Models on a GPU: run by the CPU where the kernels are (kernels/extra.cmake), else on the machine's.
if(TARGET kernels_gpu_emulated)
  target_link_libraries(test_runtime PRIVATE kernels_gpu_emulated)
  target_compile_definitions(test_runtime PRIVATE TWOFOLD_EMULATED_GPU_TESTS)
else()
  add_test(NAME runtime.gpu COMMAND test_runtime --gtest_filter=GpuModels.*)
  set_tests_properties(runtime.gpu PROPERTIES LABELS gpu SKIP_REGULAR_EXPRESSION "SKIPPED")
endif()
