#include "runtime/residency.h"

#include <algorithm>
#include <functional>
#include <set>

#include "base/aligned.h"

namespace twofold {

namespace {

constexpr std::uint64_t kPage = 4096;

std::uint64_t unsigned_of(std::int64_t value) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(value, 0));
}

/// Floats of the outputs of a feed-forward's first linears, and what is made of them.
std::uint64_t inner_floats(const FeedForwardSpec& spec) {
  std::uint64_t floats = unsigned_of(spec.inner());
  for (const LinearSpec& in : spec.in) floats += unsigned_of(in.rows);
  return floats;
}

}  // namespace

std::uint64_t WeightSize::resident_bytes() const {
  return align_up(bytes, kPage) + kPage;
}

ResidencyPlan spread_residency(std::span<const WeightSize> weights, std::uint64_t memory) {
  ResidencyPlan plan;
  std::set<double, std::greater<>> classes;
  for (const WeightSize& weight : weights) {
    plan[weight.name] = Residency::kStreamed;
    classes.insert(weight.reads);
  }
  const auto keep = [&](const WeightSize& weight) {
    plan[weight.name] = Residency::kResident;
    memory -= weight.resident_bytes();
  };
  for (const double reads : classes) {
    std::uint64_t total = 0;
    for (const WeightSize& weight : weights) total += weight.reads == reads ? weight.resident_bytes() : 0;
    const double share =
        total == 0 ? 0 : std::min(1.0, static_cast<double>(memory) / static_cast<double>(total));
    // Up to any place in the order of use, the residents are this share of the bytes, or a little less.
    double due = 0;
    for (const WeightSize& weight : weights) {
      if (weight.reads != reads) continue;
      const auto bytes = static_cast<double>(weight.resident_bytes());
      due += share * bytes;
      if (due < bytes || weight.resident_bytes() > memory) continue;
      due -= bytes;
      keep(weight);
    }
  }
  // What the shares left over.
  for (const double reads : classes) {
    for (const WeightSize& weight : weights) {
      if (weight.reads == reads && plan[weight.name] == Residency::kStreamed &&
          weight.resident_bytes() <= memory) {
        keep(weight);
      }
    }
  }
  return plan;
}

std::uint64_t cache_bytes(const ModelSpec& spec, std::int64_t sequences, std::int64_t context) {
  // As KvCache::reserve: a vector for the keys of each head and one for the values.
  const std::uint64_t vector = unsigned_of(context) * unsigned_of(spec.head_dim) * sizeof(float);
  const std::uint64_t in_memory =
      vector < kPage ? align_up(vector) + kAlignment : align_up(vector, kPage) + kPage;
  return unsigned_of(sequences) * spec.layers.size() * 2 * unsigned_of(spec.kv_heads) * in_memory;
}

std::uint64_t scratch_bytes(const ModelSpec& spec, const MemoryUse& use, std::int64_t tokens,
                            const ScratchShape& shape) {
  const std::uint64_t n = unsigned_of(tokens);
  const std::uint64_t hidden = unsigned_of(spec.hidden_size);
  const std::uint64_t qkv = unsigned_of(spec.q_size() + 2 * spec.kv_size());
  // Hidden states, their normed copy, the attention's and the feed-forward's results.
  const std::uint64_t common = 4 * hidden;
  std::uint64_t inner = 0;
  std::uint64_t widest = std::max(hidden, unsigned_of(spec.q_size()));
  bool experts = false;
  const auto add = [&](const FeedForwardSpec& feed_forward) {
    inner = std::max(inner, inner_floats(feed_forward));
    widest = std::max(widest, unsigned_of(feed_forward.inner()));
  };
  for (const LayerSpec& layer : spec.layers) {
    if (!layer.moe) {
      add(layer.feed_forward);
      continue;
    }
    experts = true;
    for (const FeedForwardSpec& expert : layer.moe->experts) add(expert);
    if (layer.moe->shared.down.present()) add(layer.moe->shared);
  }
  if (experts) inner += 2 * hidden;  // the tokens of an expert, gathered
  const std::uint64_t attention = qkv + unsigned_of(spec.q_size());
  // A linear's input in the form it multiplies: INT8 twice, or floats scaled.
  const std::uint64_t input = 2 * (widest + 2 * kAlignment) + (shape.floats ? 4 * widest : 0);
  std::uint64_t bytes = n * (4 * (common + std::max(inner, attention)) + input);

  // Logits, the states they are made of, and the sampler's candidates.
  const std::uint64_t vocab = unsigned_of(spec.vocab_size);
  const std::uint64_t rows = unsigned_of(use.logit_rows);
  bytes += rows * (4 * vocab + 8 * hidden) + 24 * vocab;

  // Cosines and sines; vectors that grow hold the old and the new for a moment.
  bytes += 3 * spec.ropes.size() * unsigned_of(use.context) * unsigned_of(spec.head_dim) * sizeof(float);
  if (spec.alibi) bytes += 3 * unsigned_of(spec.heads) * unsigned_of(use.context) * sizeof(float);

  // Of each thread: a decoded block, that as floats or the scores of some queries, integer sums.
  constexpr std::uint64_t kQueries = 32;    // tokens of an attention task
  constexpr std::uint64_t kKeyBlock = 256;  // positions whose scores are held
  const std::uint64_t group = unsigned_of(spec.heads / std::max<std::int64_t>(spec.kv_heads, 1));
  const std::uint64_t scores =
      std::min(kQueries, n) * group * (2 * unsigned_of(spec.head_dim) + kKeyBlock + 2) * sizeof(float);
  std::uint64_t worker = shape.block_weights + std::max(scores, shape.floats ? 4 * shape.block_weights : 0);
  worker += n * shape.block_rows * sizeof(std::int32_t);
  if (shape.floats && n > 4) worker += std::uint64_t{2} << 20;  // packed blocks of the BLAS
  return bytes + static_cast<std::uint64_t>(shape.threads) * worker;
}

}  // namespace twofold
