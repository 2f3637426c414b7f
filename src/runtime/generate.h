#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "runtime/model.h"
#include "runtime/sampler.h"

namespace twofold {

class GpuModel;

struct GenerationStats {
  std::int64_t prompt_tokens = 0;
  std::int64_t generated_tokens = 0;
  double prefill_seconds = 0;  // the prompt pass, up to the first token's logits
  double decode_seconds = 0;   // all token passes after it
  std::int64_t decode_passes = 0;
  enum class End { kCount, kEos, kContext, kStopped } end = End::kCount;
};

/// Continues `prompt` (at least one token) by up to `count` tokens. `on_token` gets each one as it is drawn
/// and returns false to stop. Ends at an EOS token, which is not handed on, unless `ignore_eos`, and when
/// the context is full.
GenerationStats generate(Model& model, const std::vector<std::int32_t>& prompt, std::int64_t count,
                         bool ignore_eos, Sampler& sampler,
                         const std::function<bool(std::int32_t)>& on_token);
/// The same on a GPU; it begins a new sequence.
GenerationStats generate(GpuModel& model, const std::vector<std::int32_t>& prompt, std::int64_t count,
                         bool ignore_eos, Sampler& sampler,
                         const std::function<bool(std::int32_t)>& on_token);

inline constexpr std::int64_t kPromptBlock = kPassTokens;  // tokens of a prompt's pass, at most

/// Feeds tokens to one sequence in blocks, so that the activations of a long prompt stay small, and returns
/// the last logits.
std::vector<float> prefill(Model& model, KvCache& cache, const std::vector<std::int32_t>& tokens);

}  // namespace twofold
