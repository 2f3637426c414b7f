#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "runtime/model.h"
#include "text/tokenizer.h"

namespace twofold {

/// A text whose end is scored: tokens [first, size), each given all before it. 1 <= first < size.
struct Candidate {
  std::vector<TokenId> tokens;
  std::size_t first = 0;
};

/// The candidates of one question, at least one.
struct CandidateSet {
  std::vector<Candidate> candidates;
};

struct CandidateScore {
  double log_likelihood = 0;  // sum over the scored tokens, nats
  bool greedy = false;        // each scored token is the most likely one
};

/// Scores of every set's candidates. What candidates share is computed once: the beginning that neighbouring
/// sets have in common (examples before the question), a set's common prefix, and candidates that differ only
/// in their last token. Several sets run side by side as far as caches and activations stay small. Sequences
/// must fit the model's context. `progress(done)` gets the number of sets done. Throws Interrupted.
std::vector<std::vector<CandidateScore>> score_candidates(Model& model, std::span<const CandidateSet> sets,
                                                          const std::function<void(std::size_t)>& progress);

/// Up to `count` tokens that each text continues with, always the most likely one. A sequence ends before an
/// EOS token, at a token whose piece contains `stop` (which it keeps), and when the context is full. Texts
/// are not empty and shorter than the context.
std::vector<std::vector<TokenId>> continue_greedily(Model& model, const Tokenizer& tokenizer,
                                                    std::span<const std::vector<TokenId>> texts,
                                                    std::int64_t count, char stop,
                                                    const std::function<void(std::size_t)>& progress);

}  // namespace twofold
