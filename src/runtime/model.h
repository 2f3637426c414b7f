#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "format/container.h"
#include "model/model_spec.h"
#include "runtime/layer.h"
#include "runtime/positions.h"
#include "runtime/residency.h"
#include "runtime/weight_loader.h"
#include "runtime/weight_stream.h"
#include "runtime/workspace.h"

namespace twofold {

/// Keys and values of one sequence in every layer. Grows as the sequence does.
struct KvCache {
  explicit KvCache(const ModelSpec& spec) : layers(spec.layers.size()) {}
  /// Takes the memory for `positions` tokens at once.
  void reserve(const ModelSpec& spec, std::int64_t positions);

  std::vector<LayerCache> layers;
  std::int64_t length = 0;  // tokens so far
};

/// One sequence's part of a batch: these tokens follow those in its cache.
struct Sequence {
  KvCache* cache = nullptr;
  std::span<const std::int32_t> tokens;
};

/// A model directory, original or Twofold, ready to compute. Weights stay mapped and are converted or
/// decoded by blocks as they are used; with a memory budget they are read instead, once or in every pass
/// (docs/streaming.md). One thread at a time.
class Model {
 public:
  struct Options {
    int threads = 0;             // 0: one per core, or per CPU of the list
    bool release_pages = false;  // give mapped weights back after use: small memory, more page faults
    std::vector<int> cpus = {};  // one thread stays on each; empty: wherever the system puts them
    std::int64_t context = 0;    // max_positions is at most this; 0: the model's own
    MemoryOptions memory = {};   // `release_pages` is for mapped weights
    ReaderFactory reader = make_async_reader;  // of weights that are not mapped
  };

  /// Throws Error for anything wrong with the directory: config, missing tensors, shapes; and for a memory
  /// budget that is too small, see split_budget.
  Model(const std::filesystem::path& directory, const Options& options);

  const ModelSpec& spec() const { return spec_; }
  bool compressed() const { return container() != nullptr; }
  const Container* container() const { return weights_.container(); }
  /// The checkpoint that holds the weights, coded or not.
  const Checkpoint& checkpoint() const { return weights_.checkpoint(); }
  Workspace& workspace() { return workspace_; }
  /// How the memory budget is spent, when there is one.
  const std::optional<MemoryReport>& memory() const { return memory_; }
  /// The most tokens of a prompt to evaluate in one pass: `wanted`, or fewer to keep the budget.
  std::int64_t block_tokens(std::int64_t wanted) const {
    return memory_ ? std::min(wanted, memory_->block_tokens) : wanted;
  }

  /// Which positions' logits are wanted.
  enum class Logits { kLast, kAll };

  /// Runs the batch, appends to the caches, and returns logits [rows, vocab]: one row per sequence (kLast)
  /// or per token (kAll). Tokens outside the vocabulary and sequences past max_positions are Errors.
  std::vector<float> forward(std::span<const Sequence> batch, Logits wanted);

  // The steps of `forward`, for those who look in between (calibration) or want logits a few at a time.
  /// Runs the batch and appends to the caches; hidden states before the final norm, [tokens, hidden_size].
  AlignedVector<float> hidden_states(std::span<const Sequence> batch);
  /// Embeddings of tokens at their positions, [tokens, hidden_size]. `replacement` stands in for the token
  /// embedding where given.
  void embed(std::span<const std::int32_t> tokens, std::span<const std::int64_t> positions, float* hidden,
             const Embedding* replacement = nullptr);
  /// A layer's weights; linears for which `replacement` gives a coded tensor use that, with `mode`.
  using Replacement = WeightLoader::Replacement;
  LayerWeights load_layer(std::size_t index, const Replacement& replacement = {},
                          ActivationMode mode = ActivationMode::kPerToken) const {
    return weights_.layer(spec_.layers[index], replacement, mode);
  }
  /// A linear that computes from `tensor`, which must outlive it.
  std::unique_ptr<Linear> load_linear(const LinearSpec& linear, const CodedTensor& tensor,
                                      ActivationMode mode) const {
    return weights_.linear(
        linear, [&](const LinearSpec&) { return &tensor; }, mode);
  }
  const LayerWeights& layer(std::size_t index) const { return layers_[index]; }
  /// Final norm and head: hidden [rows, hidden_size] to logits [rows, vocab]. `hidden` is overwritten.
  /// `replacement` stands in for the head's weights where given.
  void head(float* hidden, std::int64_t rows, float* logits, const Linear* replacement = nullptr);
  /// What run_layer needs for a pass over these slices, until the next call.
  const Positions& positions(std::span<const LayerSlice> slices) {
    positions_.prepare(slices);
    return positions_;
  }
  void release_layer(std::size_t layer) const;

 private:
  std::vector<StreamEntry> in_order_of_use() const;
  /// Reads weights into memory, or streams them, and lets the mappings go.
  void keep_budget();

  ModelSpec spec_;
  Options options_;
  WeightLoader weights_;
  Workspace workspace_;
  Positions positions_;
  std::unique_ptr<Embedding> embedding_;
  std::unique_ptr<Embedding> learned_positions_;  // or nullptr
  std::unique_ptr<Linear> project_in_;            // or nullptr, as project_out_
  std::vector<LayerWeights> layers_;
  NormWeights final_norm_;
  std::unique_ptr<Linear> project_out_;
  std::unique_ptr<Linear> head_;
  std::optional<MemoryReport> memory_;
  std::unique_ptr<WeightStream> stream_;  // last: it places weights in the linears
};

}  // namespace twofold
