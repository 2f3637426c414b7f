#include "text/tokenizer.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "text/component.h"
#include "text/tokenizer_config.h"
#include "text/tokenizer_pipeline.h"

namespace twofold {

namespace {

// Real files: at most 35 MB and, with long chat templates, 0.3 MB.
constexpr std::uint64_t kMaxTokenizerBytes = std::uint64_t{128} << 20;
constexpr std::uint64_t kMaxConfigBytes = std::uint64_t{16} << 20;

/// The stage under `key`, or null where it is missing or null.
const Json* stage(const Json& root, const char* key) {
  const auto it = root.find(key);
  return it == root.end() || it->is_null() ? nullptr : &*it;
}

template <typename Stage>
void check_growth(const std::unique_ptr<Stage>& stage, const std::string& where) {
  if (stage && stage->growth() > kMaxGrowth) {
    fail("{}: could make text {:.6g} times longer; at most {:.6g} times are allowed", where, stage->growth(),
         kMaxGrowth);
  }
}

/// BOS or EOS and the side of the prompt where it stands. tokenizer_config.json decides where it says
/// something, otherwise the post-processor of tokenizer.json, from which a lone id is also taken as the
/// token.
std::optional<TokenId> settle_boundary(const std::optional<std::string>& content, std::optional<bool> add,
                                       const char* key, const TokenizerStages& stages,
                                       std::vector<TokenId>& side, const std::string& where) {
  std::optional<TokenId> id;
  if (content) {
    for (const AddedToken& token : stages.added->tokens()) {
      if (token.content == *content) id = token.id;
    }
    if (!id) id = stages.model->vocab().find(*content);
    if (!id) fail("{}: \"{}_token\": {} is not a token of tokenizer.json", where, key, quote(*content));
  } else if (side.size() == 1) {
    id = side[0];
  }
  if (add && !*add) side.clear();
  if (add && *add) {
    if (!id) fail("{}: \"add_{}_token\" is true, but there is no \"{}_token\"", where, key, key);
    side = {*id};
  }
  return id;
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
    check_growth(stages.normalizer, where + ": normalizer");
  }
  if (const Json* json_stage = stage(root, "pre_tokenizer")) {
    stages.pre_tokenizer = parse_pre_tokenizer(*json_stage, where + ": pre_tokenizer");
  }
  if (const Json* json_stage = stage(root, "decoder")) {
    stages.decoder = parse_decoder(*json_stage, where + ": decoder");
    check_growth(stages.decoder, where + ": decoder");
  }
  if (const Json* json_stage = stage(root, "post_processor")) {
    stages.prompt = parse_post_processor(*json_stage, where + ": post_processor");
  }
  const Json none = Json::array();
  const Json& added = stage(root, "added_tokens") ? json_array(root, "added_tokens", where) : none;
  stages.added = std::make_unique<AddedTokens>(added, stages.model->vocab(), stages.normalizer.get(),
                                               where + ": added_tokens");

  const std::string where_config =
      std::filesystem::path(where).replace_filename("tokenizer_config.json").string();
  const TokenizerConfig options = parse_tokenizer_config(config, where_config);
  stages.bos =
      settle_boundary(options.bos, options.add_bos, "bos", stages, stages.prompt.before, where_config);
  stages.eos =
      settle_boundary(options.eos, options.add_eos, "eos", stages, stages.prompt.after, where_config);
  return std::make_unique<TokenizerPipeline>(std::move(stages), where);
}

std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "tokenizer.json";
  if (!std::filesystem::exists(path)) {
    const bool sentencepiece = std::filesystem::exists(directory / "tokenizer.model");
    fail("{}: no tokenizer.json{}", directory.string(),
         sentencepiece ? "; a tokenizer.model alone cannot be read" : "");
  }
  const std::string json = read_file(path, kMaxTokenizerBytes);
  const std::filesystem::path config_path = directory / "tokenizer_config.json";
  std::string config;
  if (std::filesystem::exists(config_path)) config = read_file(config_path, kMaxConfigBytes);
  return parse_tokenizer_json(json, config, path.string());
}

}  // namespace twofold
