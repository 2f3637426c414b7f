#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "compress/synth.h"
#include "compress/synth_random.h"
#include "compress/synth_tokenizer.h"

namespace twofold {

/// One tensor of a synthetic model.
struct SynthTensor {
  enum class Kind { kLinear, kEmbedding, kPlain, kNorm, kBias };  // kPlain: a matrix that is never coded
  Kind kind = Kind::kLinear;
  std::string name;
  std::int64_t rows = 1;  // 1 for a vector
  std::int64_t cols = 0;
  std::string input = {};  // of a linear: names its input channels; of a norm: those it makes
  SynthInput input_kind = SynthInput::kNormed;
  float offset = 0;  // of a norm: what the model adds to its weight

  bool is_vector() const { return kind == Kind::kNorm || kind == Kind::kBias; }
  std::vector<std::int64_t> shape() const {
    return is_vector() ? std::vector{cols} : std::vector{rows, cols};
  }
  std::uint64_t elements() const {
    return static_cast<std::uint64_t>(rows) * static_cast<std::uint64_t>(cols);
  }
};

/// All that the writers need to know of the model.
struct SynthPlan {
  const SynthOptions& options;
  const Json& config;  // config.json
  std::vector<SynthTensor> tensors;
  TokenizerFiles tokenizer;
};

/// BF16, little-endian: 2 bytes for each value.
void store_bf16(std::span<const float> values, std::uint8_t* out);

/// Rows [first, first + count) of a matrix in BF16, made by all threads.
void synth_rows(const SynthTensor& tensor, std::uint64_t seed, std::size_t first, std::size_t count,
                ThreadPool& pool, std::uint8_t* out);

/// A norm or a bias in BF16.
std::vector<std::uint8_t> synth_vector(const SynthTensor& tensor, std::uint64_t seed);

/// Writes a Twofold directory. Fills the report's figures of the linear layers.
void write_synth_container(const SynthPlan& plan, ThreadPool& pool, Progress& progress, SynthReport& report);

/// Writes a Hugging Face directory in BF16.
void write_synth_checkpoint(const SynthPlan& plan, ThreadPool& pool, Progress& progress);

}  // namespace twofold
