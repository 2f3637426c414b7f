# Debian's SentencePiece, only to compare with.
pkg_check_modules(SENTENCEPIECE REQUIRED IMPORTED_TARGET sentencepiece)
target_link_libraries(test_text PRIVATE PkgConfig::SENTENCEPIECE)
