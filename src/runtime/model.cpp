#include "runtime/model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "kernels/ops.h"

namespace twofold {

void KvCache::reserve(const ModelSpec& spec, std::int64_t positions) {
  for (LayerCache& layer : layers) {
    for (auto* cache : {&layer.keys, &layer.values}) {
      cache->resize(static_cast<std::size_t>(spec.kv_heads));
      for (AlignedVector<float>& head : *cache)
        head.reserve(static_cast<std::size_t>(positions * spec.head_dim));
    }
  }
}

Model::Model(const std::filesystem::path& directory, const Options& options)
    : spec_(load_model_spec(directory)),
      options_(options),
      weights_(directory),
      workspace_(options.threads, options.cpus),
      positions_(spec_) {
  resolve_names(spec_, [this](const std::string& name) { return weights_.contains(name); });
  embedding_ = weights_.embedding(spec_.embedding, spec_.vocab_size, spec_.embedding_size);
  const LearnedPositions& learned = spec_.positions;
  if (!learned.name.empty())
    learned_positions_ = weights_.embedding(learned.name, learned.rows, spec_.hidden_size);
  project_in_ = weights_.linear(spec_.project_in);
  for (const LayerSpec& layer : spec_.layers) layers_.push_back(weights_.layer(layer));
  final_norm_ = weights_.norm(spec_.final_norm);
  project_out_ = weights_.linear(spec_.project_out);
  head_ = weights_.linear(spec_.head);
  if (options.context > 0) spec_.max_positions = std::min(spec_.max_positions, options.context);
  if (options.memory.budget > 0) keep_budget();
}

void Model::release_layer(std::size_t layer) const {
  for (const LinearSpec* linear : spec_.layers[layer].linears()) {
    if (checkpoint().contains(linear->weight())) checkpoint().release(checkpoint().at(linear->weight()));
  }
}

void Model::embed(std::span<const std::int32_t> tokens, std::span<const std::int64_t> positions,
                  float* hidden, const Embedding* replacement) {
  for (const std::int32_t token : tokens) {
    if (token < 0 || token >= spec_.vocab_size) {
      fail("{}: token id {} is outside the model's vocabulary of {}", checkpoint().directory().string(),
           token, spec_.vocab_size);
    }
  }
  const Embedding& embedding = replacement != nullptr ? *replacement : *embedding_;
  const std::size_t size = tokens.size() * static_cast<std::size_t>(spec_.hidden_size);
  if (project_in_ == nullptr) {
    embedding.lookup(tokens, hidden, workspace_);
  } else {
    AlignedVector<float> narrow(tokens.size() * static_cast<std::size_t>(spec_.embedding_size));
    embedding.lookup(tokens, narrow.data(), workspace_);
    multiply_group(std::array<const Linear*, 1>{project_in_.get()}, narrow.data(),
                   static_cast<std::int64_t>(tokens.size()), std::array{hidden}, workspace_);
  }
  if (spec_.embedding_scale != 1) {
    for (std::size_t i = 0; i < size; ++i) hidden[i] *= spec_.embedding_scale;
  }
  if (learned_positions_ == nullptr) return;
  std::vector<std::int32_t> rows;
  for (const std::int64_t position : positions)
    rows.push_back(static_cast<std::int32_t>(position + spec_.positions.offset));
  AlignedVector<float> added(size);
  learned_positions_->lookup(rows, added.data(), workspace_);
  ops().axpy(1.0F, added.data(), hidden, size);
}

void Model::head(float* hidden, std::int64_t rows, float* logits, const Linear* replacement) {
  apply_norm(spec_.final_norm, final_norm_, hidden, static_cast<std::size_t>(rows), hidden,
             workspace_.pool());
  const float* x = hidden;
  AlignedVector<float> narrow;
  if (project_out_ != nullptr) {
    narrow.resize(static_cast<std::size_t>(rows * spec_.embedding_size));
    multiply_group(std::array<const Linear*, 1>{project_out_.get()}, hidden, rows, std::array{narrow.data()},
                   workspace_);
    x = narrow.data();
  }
  multiply_group(std::array{replacement != nullptr ? replacement : head_.get()}, x, rows, std::array{logits},
                 workspace_);
  if (const float cap = spec_.logit_soft_cap; cap > 0) {
    const auto vocab = static_cast<std::size_t>(spec_.vocab_size);
    workspace_.pool().run(vocab, [&](std::size_t begin, std::size_t end, int) {
      for (std::size_t r = 0; r < static_cast<std::size_t>(rows); ++r) {
        float* row = logits + r * vocab;
        for (std::size_t i = begin; i < end; ++i) row[i] = cap * std::tanh(row[i] / cap);
      }
    });
  }
}

AlignedVector<float> Model::hidden_states(std::span<const Sequence> batch) {
  const auto width = static_cast<std::size_t>(spec_.hidden_size);
  std::vector<std::int32_t> tokens;
  std::vector<std::int64_t> token_positions;
  std::vector<LayerSlice> slices;
  for (const Sequence& sequence : batch) {
    const auto count = static_cast<std::int64_t>(sequence.tokens.size());
    const std::int64_t end = sequence.cache->length + count;
    if (end > spec_.max_positions) {
      fail("{}: a text of {} tokens does not fit the model's context of {}",
           checkpoint().directory().string(), end, spec_.max_positions);
    }
    tokens.insert(tokens.end(), sequence.tokens.begin(), sequence.tokens.end());
    for (std::int64_t p = sequence.cache->length; p < end; ++p) token_positions.push_back(p);
    slices.push_back({nullptr, sequence.cache->length, count});
  }
  AlignedVector<float> hidden(tokens.size() * width);
  embed(tokens, token_positions, hidden.data());
  positions(slices);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    for (std::size_t s = 0; s < batch.size(); ++s) slices[s].cache = &batch[s].cache->layers[i];
    run_layer(spec_, spec_.layers[i], layers_[i], slices, positions_, hidden.data(), workspace_);
    if (options_.release_pages) release_layer(i);
  }
  for (const Sequence& sequence : batch)
    sequence.cache->length += static_cast<std::int64_t>(sequence.tokens.size());

  return hidden;
}

std::vector<float> Model::forward(std::span<const Sequence> batch, Logits wanted) {
  const auto width = static_cast<std::size_t>(spec_.hidden_size);
  AlignedVector<float> hidden = hidden_states(batch);
  std::size_t rows = hidden.size() / width;
  if (wanted == Logits::kLast) {
    rows = 0;
    std::size_t end = 0;
    for (const Sequence& sequence : batch) {
      end += sequence.tokens.size();
      if (sequence.tokens.empty()) fail("Model::forward: a sequence without tokens has no last logits");
      std::memmove(&hidden[rows * width], &hidden[(end - 1) * width], width * sizeof(float));
      ++rows;
    }
  }
  std::vector<float> logits(rows * static_cast<std::size_t>(spec_.vocab_size));
  head(hidden.data(), static_cast<std::int64_t>(rows), logits.data());
  return logits;
}

}  // namespace twofold
