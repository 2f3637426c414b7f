#include "text/tokenizer_config.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"

namespace twofold {

namespace {

std::optional<bool> flag(const Json& json, const char* key, const std::string& where) {
  if (!json.contains(key) || json[key].is_null()) return std::nullopt;
  return json_bool(json, key, where);
}

/// A token is a string or an object with its "content".
std::optional<std::string> token_content(const Json& json, const char* key, const std::string& where) {
  if (!json.contains(key) || json[key].is_null()) return std::nullopt;
  if (json[key].is_object()) return json_string(json[key], "content", where + ": " + key);
  return json_string(json, key, where);
}

}  // namespace

TokenizerConfig parse_tokenizer_config(std::string_view text, const std::string& where) {
  if (text.empty()) return {};
  const Json json = parse_json(text, where);
  if (!json.is_object()) fail("{}: expected a JSON object", where);
  TokenizerConfig config;
  config.add_bos = flag(json, "add_bos_token", where);
  config.add_eos = flag(json, "add_eos_token", where);
  config.bos = token_content(json, "bos_token", where);
  config.eos = token_content(json, "eos_token", where);
  return config;
}

}  // namespace twofold
