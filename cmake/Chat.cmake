# What `twofold chat` needs: libedit to edit lines, and llama.cpp's Jinja engine for the chat templates of models,
# fetched at configure time and built without warnings. text/jinja.cpp is the only part of Twofold that knows it.
if(TWOFOLD_CHAT)
  pkg_check_modules(EDIT REQUIRED IMPORTED_TARGET libedit)
  execute_process(COMMAND ${CMAKE_SOURCE_DIR}/scripts/fetch-jinja.sh
    OUTPUT_VARIABLE jinja OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "The Jinja engine could not be fetched; see above, or build without it: -DTWOFOLD_CHAT=OFF")
  endif()
  add_library(twofold_jinja STATIC
    ${jinja}/common/jinja/lexer.cpp ${jinja}/common/jinja/parser.cpp ${jinja}/common/jinja/runtime.cpp
    ${jinja}/common/jinja/string.cpp ${jinja}/common/jinja/value.cpp ${jinja}/common/json.cpp
    ${jinja}/common/unicode.cpp)
  target_include_directories(twofold_jinja SYSTEM PUBLIC ${jinja}/common PRIVATE ${CMAKE_SOURCE_DIR}/cmake/jinja)
  target_link_libraries(twofold_jinja PRIVATE nlohmann_json::nlohmann_json)
  # Its assertions guard casts: they stay on, and a template that fails one ends the child process it is run in.
  target_compile_options(twofold_jinja PRIVATE -w -UNDEBUG -O1)
  if(TWOFOLD_SANITIZE MATCHES "address")
    # Containers cross the border: both sides must mark their bounds.
    target_compile_options(twofold_jinja PRIVATE -fsanitize=address)
    target_compile_definitions(twofold_text PRIVATE TWOFOLD_ADDRESS_SANITIZER)
  endif()
  target_link_libraries(twofold_text PRIVATE twofold_jinja)
  target_compile_definitions(twofold_text PUBLIC TWOFOLD_CHAT)
  target_link_libraries(twofold PRIVATE PkgConfig::EDIT)
else()
  set_source_files_properties(src/cli/chat_command.cpp src/cli/line_reader.cpp PROPERTIES HEADER_FILE_ONLY ON)
endif()
