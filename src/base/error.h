#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace twofold {

/// The one error type of the library. The message is a single line for the user that says which file or
/// flag, which field, and what was expected. The program exits with 1.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A command line that makes no sense. The program exits with 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

/// The user asked to stop (SIGINT, SIGTERM); unwinding removes what was half written.
class Interrupted : public Error {
 public:
  using Error::Error;
};

/// Throws Error with a formatted message.
template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::vformat(format, fmt::make_format_args(args...)));
}

}  // namespace twofold
