#include "text/tokenizer_config.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "text/component.h"

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

/// The roles of special tokens, for the configuration where it does not have them.
void read_roles(const Json& json, const std::string& where, TokenizerConfig& config) {
  for (const char* key :
       {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}) {
    const auto content = token_content(json, key, where);
    if (!content || content->empty()) continue;
    config.special.push_back(*content);
    if (std::string_view(key) == "bos_token" && !config.bos) config.bos = content;
    if (std::string_view(key) == "eos_token" && !config.eos) config.eos = content;
  }
}

Json parse_object(std::string_view text, const std::string& where) {
  Json json = parse_json(text, where);
  if (!json.is_object()) fail("{}: expected a JSON object", where);
  return json;
}

/// {"id": {"content": ...}}
void read_added_tokens_decoder(const Json& tokens, const std::string& where, TokenizerConfig& config) {
  for (const auto& [key, value] : tokens.items()) {
    const std::string path = join_path(where, quote(key));
    AddedToken token;
    const auto [stop, error] = std::from_chars(key.data(), key.data() + key.size(), token.id);
    if (error != std::errc() || stop != key.data() + key.size() || token.id < 0 || token.id > kMaxTokenId) {
      fail("{}: expected an id from 0 to {} as the key, found {}", where, kMaxTokenId, quote(key));
    }
    token.content = json_string(value, "content", path);
    token.special = json_bool(value, "special", path, false);
    token.single_word = json_bool(value, "single_word", path, false);
    token.lstrip = json_bool(value, "lstrip", path, false);
    token.rstrip = json_bool(value, "rstrip", path, false);
    token.normalized = json_bool(value, "normalized", path, !token.special);
    config.added.push_back(std::move(token));
  }
}

}  // namespace

TokenizerConfig parse_tokenizer_config(std::string_view text, const std::string& where) {
  if (text.empty()) return {};
  const Json json = parse_object(text, where);
  TokenizerConfig config;
  config.add_bos = flag(json, "add_bos_token", where);
  config.add_eos = flag(json, "add_eos_token", where);
  config.add_prefix_space = flag(json, "add_prefix_space", where);
  config.bos = token_content(json, "bos_token", where);
  config.eos = token_content(json, "eos_token", where);
  read_roles(json, where, config);
  if (json.contains("added_tokens_decoder") && !json["added_tokens_decoder"].is_null()) {
    read_added_tokens_decoder(json_object(json, "added_tokens_decoder", where),
                              where + ": added_tokens_decoder", config);
  }
  return config;
}

void add_special_tokens_map(std::string_view text, const std::string& where, TokenizerConfig& config) {
  read_roles(parse_object(text, where), where, config);
}

void add_added_tokens_file(std::string_view text, const std::string& where, TokenizerConfig& config) {
  for (const auto& [content, id] : parse_object(text, where).items()) {
    const auto same = [&content = content](const AddedToken& token) { return token.content == content; };
    if (std::ranges::any_of(config.added, same)) continue;
    if (!id.is_number_integer() || id < 0 || id > kMaxTokenId) {
      fail("{}: {}: expected an id from 0 to {}, found {}", where, quote(content), kMaxTokenId,
           quote(id.dump(-1, ' ', true)));
    }
    AddedToken token;
    token.id = id.get<TokenId>();
    token.content = content;
    token.special = std::ranges::find(config.special, content) != config.special.end();
    token.normalized = !token.special;
    config.added.push_back(std::move(token));
  }
}

}  // namespace twofold
