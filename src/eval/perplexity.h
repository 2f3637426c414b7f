#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "runtime/model.h"
#include "text/tokenizer.h"

namespace twofold {

/// Sliding windows over one text: window i holds the tokens [i * stride, i * stride + context), and the
/// tokens that no window before it scored are scored there, each with all of the window before it.
struct PerplexityOptions {
  std::int64_t context = 0;                   // tokens of a window; 0: the model's context, at most 2048
  std::int64_t stride = 0;                    // 0: context, so that windows do not overlap
  std::int64_t max_tokens = 0;                // use only the text's first tokens; 0: all
  std::optional<TokenId> bos = std::nullopt;  // put this token before every window
};

struct Comparison {
  double reference_perplexity = 0;
  double reference_error = 0;
  double kl_mean = 0;         // KL(reference || model), nats per token
  double kl_error = 0;        // standard error of the mean
  double kl_p99 = 0;          // 99th percentile over tokens
  double top1_agreement = 0;  // share of tokens where both rank the same token first
};

struct PerplexityResult {
  std::int64_t context = 0;
  std::int64_t stride = 0;
  std::int64_t windows = 0;
  std::int64_t tokens = 0;  // scored
  double nll = 0;           // mean, nats per token
  double perplexity = 0;
  double error = 0;  // standard error of the perplexity, from the spread between windows
  std::optional<Comparison> comparison;
};

/// What a model is used for by `evaluate_perplexity`.
MemoryUse memory_use(const ModelSpec& spec, const PerplexityOptions& options);

/// A reference's hidden states, kept from one comparison for the next with the same reference, text and
/// options: [tokens, hidden_size] floats for every batch of windows.
struct ReferenceStates {
  std::vector<AlignedVector<float>> batches;
};

/// `reference` may be nullptr. `states`, where given, are filled the first time and read from then on. Throws
/// Error when the vocabularies differ, the text has fewer than two tokens, or an option does not fit.
/// `progress` gets the number of windows done and their total.
PerplexityResult evaluate_perplexity(Model& model, Model* reference, std::span<const TokenId> text,
                                     const PerplexityOptions& options,
                                     const std::function<void(std::int64_t, std::int64_t)>& progress,
                                     ReferenceStates* states = nullptr);

}  // namespace twofold
