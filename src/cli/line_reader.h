#pragma once

#include <memory>
#include <optional>
#include <string>

namespace twofold {

/// Lines from standard input: with a prompt, editing and history at a terminal, else as they come.
class LineReader {
 public:
  LineReader();
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  bool terminal() const { return editor_ != nullptr; }

  /// The next message without its end: a line, and the next one too as long as there is a backslash at the
  /// end, which becomes a new line. Nothing at the end of the input and when an interrupt comes.
  std::optional<std::string> read();

 private:
  struct Editor;
  std::optional<std::string> read_line(const char* prompt);

  std::unique_ptr<Editor> editor_;  // null: not a terminal
};

}  // namespace twofold
