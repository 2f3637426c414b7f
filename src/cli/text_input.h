#pragma once

#include <fstream>
#include <iosfwd>
#include <string>

namespace twofold {

/// A file given on the command line, or standard input where it is "-".
class TextInput {
 public:
  /// Throws Error when the file cannot be opened.
  explicit TextInput(const std::string& file);

  std::istream& stream() { return *stream_; }
  /// Throws Error when reading failed before the end.
  void check() const;

 private:
  std::string name_;
  std::ifstream file_;
  std::istream* stream_;
};

}  // namespace twofold
