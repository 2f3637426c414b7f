#include "text/post_processor.h"

#include <memory>
#include <nlohmann/json.hpp>

#include "text/component.h"
#include "text/vocab.h"

namespace twofold {

namespace {

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

constexpr StageKind<PromptTemplate> kKinds[] = {
    {"TemplateProcessing", parse_template},
};

}  // namespace

PromptTemplate parse_post_processor(const Json& json, const std::string& where) {
  return std::move(*parse_stage<PromptTemplate>(kKinds, json, where));
}

}  // namespace twofold
