// tokenizer.json: the file of Hugging Face's `tokenizers`, every stage spelled out.
#include <nlohmann/json.hpp>

#include "text/component.h"
#include "text/tokenizer_files.h"
#include "text/tokenizer_pipeline.h"

namespace twofold {

namespace {

/// The stage under `key`, or null where it is missing or null.
const Json* stage(const Json& root, const char* key) {
  const auto it = root.find(key);
  return it == root.end() || it->is_null() ? nullptr : &*it;
}

}  // namespace

std::unique_ptr<Tokenizer> parse_tokenizer_json(std::string_view json, std::string_view config,
                                                std::string_view where_view) {
  const std::string where(where_view);
  const Json root = parse_json(json, where);
  const std::string version = json_string(root, "version", where, "1.0");
  if (version != "1.0") fail("{}: \"version\": expected \"1.0\", found {}", where, quote(version));

  TokenizerStages stages;
  stages.model = parse_model(json_object(root, "model", where), where + ": model");
  if (const Json* json_stage = stage(root, "normalizer")) {
    stages.normalizer = parse_normalizer(*json_stage, where + ": normalizer");
  }
  if (const Json* json_stage = stage(root, "pre_tokenizer")) {
    stages.pre_tokenizer = parse_pre_tokenizer(*json_stage, where + ": pre_tokenizer");
  }
  if (const Json* json_stage = stage(root, "decoder")) {
    stages.decoder = parse_decoder(*json_stage, where + ": decoder");
  }
  if (const Json* json_stage = stage(root, "post_processor")) {
    stages.prompt = parse_post_processor(*json_stage, where + ": post_processor");
  }
  check_growth(stages, where);
  const Json none = Json::array();
  const Json& added = stage(root, "added_tokens") ? json_array(root, "added_tokens", where) : none;
  stages.added = std::make_unique<AddedTokens>(added, stages.model->vocab(), stages.normalizer.get(),
                                               where + ": added_tokens");
  const std::string where_config =
      std::filesystem::path(where).replace_filename("tokenizer_config.json").string();
  return assemble_tokenizer(std::move(stages), parse_tokenizer_config(config, where_config), where,
                            where_config);
}

}  // namespace twofold
