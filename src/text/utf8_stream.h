#pragma once

#include <string>
#include <string_view>

namespace twofold {

/// Text that comes in pieces cut anywhere, as tokens cut it: hands on whole characters only, and U+FFFD in
/// place of bytes that can not become one.
class Utf8Stream {
 public:
  /// What is complete of the text so far and was not handed on yet.
  std::string add(std::string_view bytes);
  /// The rest, at the end of the text.
  std::string finish();

 private:
  std::string held_;  // start of a character, at most three bytes
};

}  // namespace twofold
