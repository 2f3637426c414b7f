#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace twofold {

struct CsvRow {
  std::int64_t line = 0;  // where it starts, from 1
  std::vector<std::string> fields;
};

/// Rows of comma-separated values as RFC 4180 defines them: fields in quotes may hold commas, line ends and
/// doubled quotes. Lines end in CRLF or LF; an empty line is no row; a byte order mark is skipped. Throws
/// Error naming `where` and the line for a quote inside a plain field, text behind a closing quote and a
/// quote that is never closed.
std::vector<CsvRow> parse_csv(std::string_view text, std::string_view where);

}  // namespace twofold
