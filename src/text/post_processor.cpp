#include "text/post_processor.h"

#include <memory>
#include <nlohmann/json.hpp>

#include "text/component.h"
#include "text/vocab.h"

namespace twofold {

namespace {

constexpr std::size_t kMaxPromptTokens = 4096;

/// The ids that `special_tokens` gives for the name of a special token.
std::vector<TokenId> special_token_ids(const Json& special_tokens, const std::string& name,
                                       const std::string& where) {
  const std::string path = join_path(where, "special_tokens");
  if (!special_tokens.contains(name)) fail("{}: missing {}, which the template uses", path, quote(name));
  std::vector<TokenId> ids;
  for (const Json& id : json_array(special_tokens[name], "ids", path + "." + quote(name))) {
    if (!id.is_number_integer() || id < 0 || id > kMaxTokenId) {
      fail("{}.{}: \"ids\": expected integers from 0 to {}, found {}", path, quote(name), kMaxTokenId,
           quote(id.dump(-1, ' ', true)));
    }
    ids.push_back(id.get<TokenId>());
  }
  return ids;
}

/// A list of special tokens with the text, "Sequence" A, among them. The template for pairs of texts is not
/// used.
std::unique_ptr<PromptTemplate> parse_template(const Json& json, const std::string& where) {
  const Json& special_tokens = json_object(json, "special_tokens", where);
  auto result = std::make_unique<PromptTemplate>();
  bool text_seen = false;
  std::size_t index = 0;
  for (const Json& item : json_array(json, "single", where)) {
    const std::string path = join_path(where, "single", index++);
    if (item.is_object() && item.size() == 1 && item.contains("SpecialToken")) {
      const std::string name = json_string(item["SpecialToken"], "id", path + ".SpecialToken");
      const std::vector<TokenId> ids = special_token_ids(special_tokens, name, where);
      auto& side = text_seen ? result->after : result->before;
      side.insert(side.end(), ids.begin(), ids.end());
    } else if (item.is_object() && item.size() == 1 && item.contains("Sequence")) {
      const std::string name = json_string(item["Sequence"], "id", path + ".Sequence");
      if (name != "A" || text_seen)
        fail("{}: expected \"Sequence\" A exactly once, found {}", path, quote(name));
      text_seen = true;
    } else {
      fail("{}: expected an object with \"SpecialToken\" or \"Sequence\", found {}", path,
           quote(item.dump(-1, ' ', true)));
    }
  }
  if (!text_seen) fail("{}: \"single\": expected \"Sequence\" A exactly once, found none", where);
  return result;
}

/// Offsets alone, which nothing here uses.
std::unique_ptr<PromptTemplate> parse_byte_level(const Json& /*json*/, const std::string& /*where*/) {
  return std::make_unique<PromptTemplate>();
}

/// A token as the pair [content, id].
TokenId pair_id(const Json& json, const char* key, const std::string& where) {
  const Json& pair = json_array(json, key, where);
  const bool good = pair.size() == 2 && pair[0].is_string() && pair[1].is_number_integer() && pair[1] >= 0 &&
                    pair[1] <= kMaxTokenId;
  if (!good) {
    fail("{}: \"{}\": expected a token and its id from 0 to {}, found {}", where, key, kMaxTokenId,
         quote(pair.dump(-1, ' ', true)));
  }
  return pair[1].get<TokenId>();
}

/// BERT's and RoBERTa's: one token before, one behind.
std::unique_ptr<PromptTemplate> parse_cls_sep(const Json& json, const std::string& where) {
  auto result = std::make_unique<PromptTemplate>();
  result->before = {pair_id(json, "cls", where)};
  result->after = {pair_id(json, "sep", where)};
  return result;
}

std::unique_ptr<PromptTemplate> parse_sequence(const Json& json, const std::string& where);

constexpr StageKind<PromptTemplate> kKinds[] = {
    {"BertProcessing", parse_cls_sep},      {"ByteLevel", parse_byte_level},
    {"RobertaProcessing", parse_cls_sep},   {"Sequence", parse_sequence},
    {"TemplateProcessing", parse_template},
};

/// Several, one after the other: the later stand outside.
std::unique_ptr<PromptTemplate> parse_sequence(const Json& json, const std::string& where) {
  auto result = std::make_unique<PromptTemplate>();
  std::size_t index = 0;
  for (const Json& step : json_array(json, "processors", where)) {
    const PromptTemplate outer = parse_post_processor(step, join_path(where, "processors", index++));
    result->before.insert(result->before.begin(), outer.before.begin(), outer.before.end());
    result->after.insert(result->after.end(), outer.after.begin(), outer.after.end());
    if (result->before.size() + result->after.size() > kMaxPromptTokens) {
      fail("{}: \"processors\": expected at most {} tokens around a prompt", where, kMaxPromptTokens);
    }
  }
  return result;
}

}  // namespace

PromptTemplate parse_post_processor(const Json& json, const std::string& where) {
  return std::move(*parse_stage<PromptTemplate>(kKinds, json, where));
}

}  // namespace twofold
