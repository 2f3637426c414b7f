#include "cli/line_reader.h"

#include <histedit.h>
#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <iostream>

#include "base/error.h"
#include "base/interrupt.h"

namespace twofold {

struct LineReader::Editor {
  EditLine* line = nullptr;
  History* history = nullptr;
  const char* prompt = "";

  Editor() {
    // For characters of more than one byte; numbers keep their format.
    const char* locale = std::setlocale(LC_CTYPE, "");
    if (locale == nullptr || std::string(locale) == "C") std::setlocale(LC_CTYPE, "C.UTF-8");
    line = el_init("twofold", stdin, stdout, stderr);
    history = history_init();
    if (line == nullptr || history == nullptr) fail("terminal: cannot edit lines");
    HistEvent event;
    ::history(history, &event, H_SETSIZE, 1000);
    el_set(line, EL_CLIENTDATA, this);
    el_set(line, EL_PROMPT, show_prompt);
    el_set(line, EL_EDITOR, "emacs");
    el_set(line, EL_HIST, ::history, history);
  }
  ~Editor() {
    if (history != nullptr) history_end(history);
    if (line != nullptr) el_end(line);
  }
  Editor(const Editor&) = delete;
  Editor& operator=(const Editor&) = delete;

  static char* show_prompt(EditLine* line) {
    Editor* self = nullptr;
    el_get(line, EL_CLIENTDATA, &self);
    return const_cast<char*>(self->prompt);
  }
};

LineReader::LineReader() {
  if (isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0) editor_ = std::make_unique<Editor>();
}

LineReader::~LineReader() = default;

std::optional<std::string> LineReader::read_line(const char* prompt) {
  const InterruptibleReads guard;
  std::string text;
  if (!editor_) {
    if (!std::getline(std::cin, text) || interrupted()) return std::nullopt;
    return text;
  }
  editor_->prompt = prompt;
  int count = 0;
  const char* line = el_gets(editor_->line, &count);
  if (line == nullptr || count <= 0 || interrupted()) return std::nullopt;
  text.assign(line, static_cast<std::size_t>(count));
  if (text.ends_with('\n')) text.pop_back();
  if (!text.empty()) {
    HistEvent event;
    history(editor_->history, &event, H_ENTER, text.c_str());
  }
  return text;
}

std::optional<std::string> LineReader::read() {
  std::optional<std::string> message = read_line("> ");
  while (message && message->ends_with('\\')) {
    message->back() = '\n';
    const std::optional<std::string> more = read_line(". ");
    if (!more) return interrupted() ? std::nullopt : message;
    *message += *more;
  }
  return message;
}

}  // namespace twofold
