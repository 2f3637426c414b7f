#include <algorithm>
#include <map>

#include "base/memory.h"
#include "runtime/memory_budget.h"
#include "runtime/model.h"

namespace twofold {

namespace {

constexpr std::int64_t kLargeMatrix = std::int64_t{1} << 20;  // weights

std::int64_t rows_of_unit(const Linear& linear) {
  return (linear.rows() + linear.units() - 1) / std::max<std::int64_t>(linear.units(), 1);
}

}  // namespace

std::vector<StreamEntry> Model::in_order_of_use() const {
  std::vector<StreamEntry> entries;
  const auto add = [&](const std::unique_ptr<Linear>& linear, bool on_demand = false) {
    if (linear == nullptr) return;
    const StoredWeight stored = linear->stored();
    StreamEntry entry;
    entry.linear = linear.get();
    entry.path = std::string(stored.file);
    entry.offset = checkpoint().offset_in_file(stored.file, stored.bytes);
    entry.on_demand = on_demand;
    if (container() != nullptr && stored.coded == nullptr)
      entry.xxh3 = container()->checksums().at(std::string(stored.name));
    entries.push_back(std::move(entry));
  };
  const auto add_feed_forward = [&](const FeedForwardWeights& weights, bool on_demand = false) {
    for (const auto& in : weights.in) add(in, on_demand);
    add(weights.down, on_demand);
  };
  add(project_in_);
  for (const LayerWeights& layer : layers_) {
    for (const auto& linear : layer.attention.qkv) add(linear);
    add(layer.attention.out);
    if (layer.moe) {
      add_feed_forward(layer.moe->shared);
      add(layer.moe->shared_gate);
      add(layer.moe->router);
      for (const FeedForwardWeights& expert : layer.moe->experts) add_feed_forward(expert, true);
    } else {
      add_feed_forward(layer.feed_forward);
    }
  }
  add(project_out_);
  add(head_);
  return entries;
}

void Model::keep_budget() {
  for (Embedding* embedding : {embedding_.get(), learned_positions_.get()}) {
    if (embedding == nullptr) continue;
    const StoredWeight stored = embedding->stored();
    embedding->read_from({std::make_shared<const File>(std::string(stored.file)),
                          checkpoint().offset_in_file(stored.file, stored.bytes)});
  }
  std::vector<StreamEntry> entries = in_order_of_use();
  double expert_reads = 1;  // of those of a layer in a token's pass
  for (const LayerSpec& layer : spec_.layers) {
    if (layer.moe)
      expert_reads = static_cast<double>(layer.moe->top_k) / static_cast<double>(layer.moe->experts.size());
  }
  MemoryNeeds needs;
  needs.largest_part = WeightStream::least_buffer(entries);
  needs.scratch.threads = workspace_.pool().size();
  needs.scratch.floats = weights_.activations() == ActivationMode::kNone;
  for (const StreamEntry& entry : entries) {
    const Linear& linear = *entry.linear;
    const StoredWeight stored = linear.stored();
    WeightSize weight{std::string(stored.name), stored.bytes.size(), entry.on_demand ? expert_reads : 1};
    if (&linear == head_.get()) weight.reads = options_.memory.use.head_reads;
    needs.weights.push_back(std::move(weight));
    const auto rows = static_cast<std::uint64_t>(rows_of_unit(linear));
    needs.scratch.block_rows = std::max(needs.scratch.block_rows, rows);
    needs.scratch.block_weights =
        std::max(needs.scratch.block_weights, rows * static_cast<std::uint64_t>(linear.cols()));
    if (stored.coded == nullptr && linear.rows() * linear.cols() >= kLargeMatrix) needs.scratch.floats = true;
  }
  checkpoint().release_all();
  return_free_memory();
  needs.peak = peak_rss_bytes();
  needs.process = process_memory(needs.scratch.threads);

  MemoryUse& use = options_.memory.use;
  use.context = std::min(use.context, spec_.max_positions);
  // Its rows are read as they are used, whatever a plan says of it.
  if (!spec_.tied_embeddings) options_.memory.plan.erase(spec_.embedding);
  const MemorySplit split = split_budget(spec_, options_.memory, needs);
  for (std::size_t i = 0; i < entries.size(); ++i)
    entries[i].residency = split.plan.at(needs.weights[i].name);
  stream_ = std::make_unique<WeightStream>(
      std::move(entries), StreamOptions{.buffer = split.report.buffer, .reader = options_.reader});
  workspace_.stream = stream_.get();
  memory_ = split.report;
}

}  // namespace twofold
