#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "model/model_spec.h"

namespace twofold {

/// Where a weight lives while the model runs.
enum class Residency {
  kResident,  // in the process's own memory, read once
  kStreamed,  // in storage, read again by every pass that uses it
};

/// Weights of linear layers by the name of their tensor ("model.layers.0.mlp.up_proj.weight").
using ResidencyPlan = std::map<std::string, Residency>;

/// One weight as memory and storage see it.
struct WeightSize {
  std::string name;         // of the tensor
  std::uint64_t bytes = 0;  // as stored: what a pass reads when it is streamed
  double reads = 1;         // in a pass, on average: fewer than 1 of an expert, more of a head used often

  /// Memory that it takes when it is resident: it begins and ends somewhere in a page.
  std::uint64_t resident_bytes() const;
};

/// Chooses residents that together take at most `memory` bytes, so that a pass reads few bytes and what it
/// reads comes evenly: those read most often first, and of those read equally often some from everywhere in
/// the order of use, so that streamed ones arrive while resident ones compute. `weights` are in the order in
/// which a pass uses them; the plan names all of them.
ResidencyPlan spread_residency(std::span<const WeightSize> weights, std::uint64_t memory);

/// What a model is wanted for, as far as memory depends on it.
struct MemoryUse {
  std::int64_t sequences = 1;   // caches at a time
  std::int64_t context = 1;     // positions that each of them may grow to
  std::int64_t tokens = 1;      // of one pass, over all its sequences
  std::int64_t prompt = 1;      // most tokens of a prompt's pass, which may be cut to fewer (block_tokens)
  std::int64_t logit_rows = 1;  // rows of logits at a time
  double head_reads = 1;        // uses of the head in a pass
};

/// A limit for all memory of the process: weights, caches, scratch, buffers, tokenizer, the program itself.
struct MemoryOptions {
  std::uint64_t budget = 0;  // bytes; 0: none, and weights are mapped
  std::uint64_t buffer = 0;  // bytes that streamed weights pass through; 0: chosen
  MemoryUse use;
  ResidencyPlan plan;  // weights that it does not name are streamed; empty: chosen by spread_residency
};

/// How a budget is spent, in bytes.
struct MemoryReport {
  std::uint64_t budget = 0;
  std::uint64_t process = 0;      // program, tokenizer, small tensors, tables and indexes of the weights
  std::uint64_t cache = 0;        // keys and values
  std::uint64_t scratch = 0;      // activations, decoded blocks, logits
  std::uint64_t buffer = 0;       // that streamed weights pass through
  std::uint64_t resident = 0;     // weights in memory
  std::uint64_t streamed = 0;     // weights in storage, as stored
  std::int64_t block_tokens = 0;  // the most tokens of a prompt's pass
};

/// Memory for the keys and values of `sequences` caches of `context` positions each.
std::uint64_t cache_bytes(const ModelSpec& spec, std::int64_t sequences, std::int64_t context);

/// What a machine's part of the passes is, as far as scratch memory depends on it.
struct ScratchShape {
  int threads = 1;
  std::uint64_t block_weights = 0;  // most weights that a thread decodes at a time
  std::uint64_t block_rows = 0;     // most rows of such a block
  bool floats = false;              // some layers compute in floats
};

/// An upper bound for what passes of `tokens` tokens hold beside weights and caches.
std::uint64_t scratch_bytes(const ModelSpec& spec, const MemoryUse& use, std::int64_t tokens,
                            const ScratchShape& shape);

}  // namespace twofold
