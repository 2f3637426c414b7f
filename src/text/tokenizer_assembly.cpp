#include "base/error.h"
#include "text/component.h"
#include "text/tokenizer_pipeline.h"

namespace twofold {

namespace {

template <typename Stage>
void check_stage(const std::unique_ptr<Stage>& stage, const std::string& where) {
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
                                       std::vector<TokenId>& side, std::optional<TokenId> id,
                                       const std::string& where) {
  if (content) {
    id.reset();
    for (const AddedToken& token : stages.added->tokens()) {
      if (token.content == *content) id = token.id;
    }
    if (!id) id = stages.model->vocab().find(*content);
    if (!id) fail("{}: \"{}_token\": {} is not a token of the tokenizer", where, key, quote(*content));
  } else if (!id && side.size() == 1) {
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

void check_growth(const TokenizerStages& stages, const std::string& where) {
  check_stage(stages.normalizer, where + ": normalizer");
  check_stage(stages.pre_tokenizer, where + ": pre_tokenizer");
  check_stage(stages.decoder, where + ": decoder");
}

std::unique_ptr<Tokenizer> assemble_tokenizer(TokenizerStages stages, const TokenizerConfig& config,
                                              const std::string& where, const std::string& where_config) {
  stages.bos = settle_boundary(config.bos, config.add_bos, "bos", stages, stages.prompt.before, stages.bos,
                               where_config);
  stages.eos = settle_boundary(config.eos, config.add_eos, "eos", stages, stages.prompt.after, stages.eos,
                               where_config);
  return std::make_unique<TokenizerPipeline>(std::move(stages), where);
}

}  // namespace twofold
