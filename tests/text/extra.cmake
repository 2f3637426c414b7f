# Debian installs SentencePiece for one architecture at a time.
if(CMAKE_CROSSCOMPILING)
  set_source_files_properties(${CMAKE_CURRENT_SOURCE_DIR}/text/sentencepiece_test.cpp PROPERTIES HEADER_FILE_ONLY ON)
  return()
endif()

# Debian's SentencePiece, only to compare with.
pkg_check_modules(SENTENCEPIECE REQUIRED IMPORTED_TARGET sentencepiece)
target_link_libraries(test_text PRIVATE PkgConfig::SENTENCEPIECE)
