#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"

namespace twofold {

/// A string of a file for an error message: in quotes, escaped, cut when long.
std::string quote(std::string_view text);

/// Checks for fields that must be absent, null or an empty string because nothing here implements them.
void require_unused(const Json& object, std::string_view key, std::string_view where);

/// Where a field of the stage at `where` stands, for errors: "tokenizer.json: decoder.decoders[2]".
std::string join_path(std::string_view where, std::string_view key);
std::string join_path(std::string_view where, std::string_view key, std::size_t index);

/// A required string that holds exactly one character. Its UTF-8.
std::string json_character(const Json& object, std::string_view key, std::string_view where);

/// One kind of a stage of the pipeline: the value of its "type" field and its parser.
template <typename Stage>
struct StageKind {
  std::string_view name;
  std::unique_ptr<Stage> (*parse)(const Json& json, const std::string& where);
};

/// "a, b, c"
template <typename Stage>
std::string kind_names(std::span<const StageKind<Stage>> kinds) {
  std::string names;
  for (const auto& kind : kinds) names += (names.empty() ? "" : ", ") + std::string(kind.name);
  return names;
}

/// Parses a stage by its "type". `where` says which part of which file.
template <typename Stage>
std::unique_ptr<Stage> parse_stage(std::span<const StageKind<Stage>> kinds, const Json& json,
                                   const std::string& where) {
  const std::string type = json_string(json, "type", where);
  for (const auto& kind : kinds) {
    if (kind.name == type) return kind.parse(json, where);
  }
  fail("{}: \"type\": unknown kind {}; known kinds: {}", where, quote(type), kind_names(kinds));
}

}  // namespace twofold
