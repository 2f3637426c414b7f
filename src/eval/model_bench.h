#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "runtime/gpu_model.h"
#include "runtime/model.h"

namespace twofold {

struct ModelBenchOptions {
  std::int64_t prompt = 512;                  // tokens of the prompt pass; 0: none
  std::int64_t generate = 128;                // token passes of each sequence; 0: none
  std::vector<std::int64_t> sequences = {1};  // decoded side by side, one measurement for each number
  int repetitions = 5;
};

/// One measurement, repeated.
struct Throughput {
  std::int64_t tokens = 0;                // of one sequence
  std::int64_t sequences = 1;             // side by side
  std::vector<double> tokens_per_second;  // of all sequences together, one value per repetition
  std::optional<double> linear_share;     // of the time, spent in linear layers; not known of a GPU

  double median() const;
  double deviation() const;  // standard deviation over the repetitions; 0 for one
};

struct ModelBench {
  std::vector<Throughput> prefill;  // none or one
  std::vector<Throughput> decode;   // one per number of sequences
  std::uint64_t weight_bytes_per_pass = 0;
  std::uint64_t peak_rss_bytes = 0;
};

/// Stored bytes of the weights that one pass reads, however many sequences share it: all but the embedding,
/// of which a token takes a row.
std::uint64_t weight_bytes_per_pass(const ModelSpec& spec, const Container* container,
                                    const Checkpoint& checkpoint);
inline std::uint64_t weight_bytes_per_pass(const Model& model) {
  return weight_bytes_per_pass(model.spec(), model.container(), model.checkpoint());
}

/// What a model is used for by `bench_model`.
MemoryUse memory_use(const ModelBenchOptions& options);

/// Times passes over random tokens, as llama.cpp's llama-bench does: the prompt pass and the token passes
/// each start with an empty cache, after a warm-up that does not count, and no sampler is in the way. Throws
/// Error for numbers out of range, and for tokens that do not fit the context.
ModelBench bench_model(Model& model, const ModelBenchOptions& options);
/// The same on a GPU, which has one sequence.
ModelBench bench_model(GpuModel& model, const ModelBenchOptions& options);

}  // namespace twofold
