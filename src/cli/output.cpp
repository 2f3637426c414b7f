#include "cli/output.h"

#include <cstdio>

#include "base/error.h"

namespace twofold {

void print_out(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    fail("standard output: cannot write");
  }
}

}  // namespace twofold
