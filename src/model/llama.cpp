// Llama 1 to 3.x, and what is published as one: TinyLlama, SmolLM, Vicuna, Yi.

#include "model/llama_family.h"
#include "model/registry.h"

namespace twofold {

ModelSpec parse_llama(ConfigReader& config) {
  LlamaFamily family;
  const bool attention_bias = config.flag("attention_bias", false);
  family.qkv_bias = attention_bias;
  family.out_bias = attention_bias;
  family.mlp_bias = config.flag("mlp_bias", false);
  config.harmless({"is_llama_config"});
  return parse_llama_family(config, family);
}

}  // namespace twofold
