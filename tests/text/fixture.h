#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace twofold {

inline std::filesystem::path demo_directory() {
  return std::filesystem::path(TWOFOLD_SOURCE_DIR) / "demo" / "books-llama-8m";
}

inline std::filesystem::path shared_directory() {
  return TWOFOLD_SHARED_DIR;
}

/// The sets of texts with reference ids that tools/make_tokenizer_fixture.py writes.
inline Json fixture_sets(const char* name) {
  return read_json_file(std::filesystem::path(TWOFOLD_SOURCE_DIR) / "tests/text/data" / name)["sets"];
}

/// A text of a fixture: a string, or {"hex": "..."} where it is not UTF-8.
inline std::string fixture_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  const auto hex = value["hex"].get<std::string>();
  std::string text;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    text += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return text;
}

/// Lines with their newline cut off; also what is behind the last one.
inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

}  // namespace twofold
