#pragma once

#include <span>

#include "model/model_spec.h"

namespace twofold {

// Every architecture: the name that config.json gives it, and the function that reads it. A new one is one
// file with that function and one line here.
#define TWOFOLD_ARCHITECTURES(ARCHITECTURE)            \
  ARCHITECTURE("FalconForCausalLM", parse_falcon)      \
  ARCHITECTURE("GPT2LMHeadModel", parse_gpt2)          \
  ARCHITECTURE("GPTNeoXForCausalLM", parse_gpt_neox)   \
  ARCHITECTURE("Gemma2ForCausalLM", parse_gemma2)      \
  ARCHITECTURE("Gemma3ForCausalLM", parse_gemma3)      \
  ARCHITECTURE("GemmaForCausalLM", parse_gemma)        \
  ARCHITECTURE("LlamaForCausalLM", parse_llama)        \
  ARCHITECTURE("MistralForCausalLM", parse_mistral)    \
  ARCHITECTURE("MixtralForCausalLM", parse_mixtral)    \
  ARCHITECTURE("OPTForCausalLM", parse_opt)            \
  ARCHITECTURE("Phi3ForCausalLM", parse_phi3)          \
  ARCHITECTURE("Qwen2ForCausalLM", parse_qwen2)        \
  ARCHITECTURE("Qwen2MoeForCausalLM", parse_qwen2_moe) \
  ARCHITECTURE("Qwen3ForCausalLM", parse_qwen3)        \
  ARCHITECTURE("Qwen3MoeForCausalLM", parse_qwen3_moe)

#define TWOFOLD_DECLARE(name, parse) ModelSpec parse(ConfigReader& config);
TWOFOLD_ARCHITECTURES(TWOFOLD_DECLARE)
#undef TWOFOLD_DECLARE

/// All of them, by name.
std::span<const Architecture> architectures();

}  // namespace twofold
