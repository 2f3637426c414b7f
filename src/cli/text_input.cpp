#include "cli/text_input.h"

#include <iostream>

#include "base/error.h"

namespace twofold {

TextInput::TextInput(const std::string& file) : name_(file), stream_(&std::cin) {
  if (file == "-") return;
  file_.open(file, std::ios::binary);
  if (!file_) fail("{}: cannot open", file);
  stream_ = &file_;
}

void TextInput::check() const {
  if (stream_->bad()) fail("{}: cannot read", name_);
}

}  // namespace twofold
