#include "runtime/attention.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "kernels/attention.h"
#include "kernels/ops.h"

namespace twofold {

namespace {

using Size = std::size_t;

Size size_of(std::int64_t value) {
  return static_cast<Size>(value);
}

/// Where the heads of a batch stand in a linear's outputs.
struct Heads {
  float* data = nullptr;
  Size stride = 0;  // from one token to the next
  Size group = 0;   // from those of one key head to those of the next

  float* at(Size token, Size key_head) const { return data + token * stride + key_head * group; }
};

/// Outputs of the q, k, v linears, or of the one that is all three, for a batch.
struct Projections {
  AlignedVector<float> buffers[3];
  Heads q, k, v;

  Projections(const ModelSpec& model, const AttentionSpec& spec, Size tokens) {
    for (Size i = 0; i < spec.qkv.size(); ++i) buffers[i].resize(tokens * size_of(spec.qkv[i].rows));
    const Size dim = size_of(model.head_dim);
    const Size queries = size_of(model.heads / model.kv_heads) * dim;  // of one key head
    const Size q_size = size_of(model.q_size());
    const Size kv_size = size_of(model.kv_size());
    if (spec.qkv.size() == 3) {
      q = {buffers[0].data(), q_size, queries};
      k = {buffers[1].data(), kv_size, dim};
      v = {buffers[2].data(), kv_size, dim};
      return;
    }
    float* data = buffers[0].data();
    const Size stride = q_size + 2 * kv_size;
    if (spec.layout == AttentionSpec::Layout::kBlocks) {
      q = {data, stride, queries};
      k = {data + q_size, stride, dim};
      v = {data + q_size + kv_size, stride, dim};
    } else {
      const Size group = queries + 2 * dim;
      q = {data, stride, group};
      k = {data + queries, stride, group};
      v = {data + queries + dim, stride, group};
    }
  }

  void compute(const AttentionSpec& spec, const AttentionWeights& weights, const float* x, Size tokens,
               Workspace& workspace, InputObserver* observer) {
    std::array<const LinearSpec*, 3> specs = {};
    std::array<const Linear*, 3> linears = {};
    std::array<float*, 3> outputs = {};
    const Size count = spec.qkv.size();
    for (Size i = 0; i < count; ++i) {
      specs[i] = &spec.qkv[i];
      outputs[i] = buffers[i].data();
    }
    if (observer != nullptr)
      observer->observe(std::span(specs).first(count), x, static_cast<std::int64_t>(tokens));
    for (Size i = 0; i < count; ++i) linears[i] = weights.qkv[i].get();
    multiply_group(std::span(linears).first(count), x, static_cast<std::int64_t>(tokens),
                   std::span(outputs).first(count), workspace);
  }
};

/// Norms and rotates queries and keys.
void position_heads(const ModelSpec& model, const AttentionSpec& spec, const AttentionWeights& weights,
                    std::span<const LayerSlice> slices, const Positions& positions,
                    const Projections& projections, Size tokens, ThreadPool& pool) {
  if (!spec.rope && !spec.q_norm.present()) return;
  struct Row {
    const RopeTable* rope;
    std::int64_t position;
  };
  std::vector<Row> rows;  // of the batch
  rows.reserve(tokens);
  for (Size s = 0; s < slices.size(); ++s) {
    const RopeTable* rope = spec.rope ? &positions.rope(*spec.rope, s) : nullptr;
    for (std::int64_t t = 0; t < slices[s].tokens; ++t) rows.push_back({rope, slices[s].position + t});
  }
  const Size dim = size_of(model.head_dim);
  const Size queries = size_of(model.heads / model.kv_heads);
  pool.run(tokens, [&](Size begin, Size end, int) {
    for (Size t = begin; t < end; ++t) {
      const RopeTable* rope = rows[t].rope;
      const float* cosines = rope == nullptr ? nullptr : rope->cosines(rows[t].position);
      const float* sines = rope == nullptr ? nullptr : rope->sines(rows[t].position);
      const auto place = [&](float* head, const NormSpec& norm, const NormWeights& norm_weights) {
        if (norm.present()) apply_norm(norm, norm_weights, head, head);
        if (rope != nullptr) ops().rope(head, cosines, sines, rope->half());
      };
      for (Size g = 0; g < size_of(model.kv_heads); ++g) {
        for (Size h = 0; h < queries; ++h)
          place(projections.q.at(t, g) + h * dim, spec.q_norm, weights.q_norm);
        place(projections.k.at(t, g), spec.k_norm, weights.k_norm);
      }
    }
  });
}

void append_to_caches(const ModelSpec& model, std::span<const LayerSlice> slices,
                      const Projections& projections) {
  const Size dim = size_of(model.head_dim);
  Size row = 0;
  for (const LayerSlice& slice : slices) {
    const Size first = size_of(slice.position);
    const Size tokens = size_of(slice.tokens);
    for (auto [cache, heads] :
         {std::pair{&slice.cache->keys, projections.k}, {&slice.cache->values, projections.v}}) {
      cache->resize(size_of(model.kv_heads));
      for (Size g = 0; g < cache->size(); ++g) {
        AlignedVector<float>& head = (*cache)[g];
        head.resize((first + tokens) * dim);
        for (Size t = 0; t < tokens; ++t)
          std::memcpy(&head[(first + t) * dim], heads.at(row + t, g), dim * sizeof(float));
      }
    }
    row += tokens;
  }
}

/// One piece of attention work: the query heads of one key head for some tokens of one slice.
struct Task {
  const LayerSlice* slice = nullptr;
  Size row = 0;               // of the first token in the batch
  std::int64_t position = 0;  // of the first token in its sequence
  std::int64_t tokens = 0;
  Size key_head = 0;
};

constexpr std::int64_t kQueryBlock = 32;  // tokens per task: enough to reuse keys, enough tasks to share

std::vector<Task> split_tasks(const ModelSpec& model, std::span<const LayerSlice> slices) {
  std::vector<Task> tasks;
  std::int64_t row = 0;
  for (const LayerSlice& slice : slices) {
    for (Size head = 0; head < size_of(model.kv_heads); ++head) {
      for (std::int64_t begin = 0; begin < slice.tokens; begin += kQueryBlock) {
        tasks.push_back({&slice, size_of(row + begin), slice.position + begin,
                         std::min(kQueryBlock, slice.tokens - begin), head});
      }
    }
    row += slice.tokens;
  }
  return tasks;
}

}  // namespace

void run_attention(const ModelSpec& model, const AttentionSpec& spec, const AttentionWeights& weights,
                   std::span<const LayerSlice> slices, const Positions& positions, const float* x, float* out,
                   Workspace& workspace, InputObserver* observer) {
  std::int64_t tokens = 0;
  for (const LayerSlice& slice : slices) tokens += slice.tokens;
  const Size n = size_of(tokens);
  ThreadPool& pool = workspace.pool();

  Projections projections(model, spec, n);
  projections.compute(spec, weights, x, n, workspace, observer);
  position_heads(model, spec, weights, slices, positions, projections, n, pool);
  append_to_caches(model, slices, projections);

  const Size dim = size_of(model.head_dim);
  const Size q_size = size_of(model.q_size());
  const Size queries = size_of(model.heads / model.kv_heads);
  AlignedVector<float> mixed(n * q_size);
  const auto tasks = split_tasks(model, slices);
  pool.run(tasks.size(), [&](Size begin, Size end, int worker) {
    for (Size i = begin; i < end; ++i) {
      const Task& task = tasks[i];
      const Size head = task.key_head;
      AttentionVariant variant;
      variant.soft_cap = spec.soft_cap;
      variant.window = size_of(spec.window);
      if (const float* alibi = positions.alibi()) {
        variant.bias_stride = positions.alibi_stride();
        variant.bias = alibi + head * queries * variant.bias_stride;
        variant.bias_scale = spec.scale;
      }
      attend(projections.q.at(task.row, head), projections.q.stride, task.slice->cache->keys[head].data(),
             task.slice->cache->values[head].data(), dim, size_of(task.position), size_of(task.tokens),
             queries, dim, spec.scale, workspace.worker(worker).floats,
             &mixed[task.row * q_size + head * queries * dim], q_size, 1, variant);
    }
  });

  if (observer != nullptr) observer->observe(std::array{&spec.out}, mixed.data(), tokens);
  multiply_group(std::array<const Linear*, 1>{weights.out.get()}, mixed.data(), tokens, std::array{out},
                 workspace);
}

}  // namespace twofold
