#include "runtime/layer.h"

#include <cmath>
#include <cstring>
#include <utility>

#include "kernels/attention.h"
#include "kernels/ops.h"

namespace twofold {

namespace {

using Size = std::size_t;

Size size_of(std::int64_t value) {
  return static_cast<Size>(value);
}

/// One piece of attention work: some query heads of some tokens of one slice.
struct AttentionTask {
  const LayerSlice* slice = nullptr;
  std::int64_t row = 0;       // of the first token in the batch
  std::int64_t position = 0;  // of the first token in its sequence
  std::int64_t tokens = 0;
  std::int64_t kv_head = 0;
};

constexpr std::int64_t kQueryBlock = 32;  // tokens per task: enough to reuse keys, enough tasks to share

std::vector<AttentionTask> attention_tasks(const ModelSpec& spec, std::span<const LayerSlice> slices) {
  std::vector<AttentionTask> tasks;
  std::int64_t row = 0;
  for (const LayerSlice& slice : slices) {
    for (std::int64_t head = 0; head < spec.kv_heads; ++head) {
      for (std::int64_t begin = 0; begin < slice.tokens; begin += kQueryBlock) {
        tasks.push_back(
            {&slice, row + begin, slice.position + begin, std::min(kQueryBlock, slice.tokens - begin), head});
      }
    }
    row += slice.tokens;
  }
  return tasks;
}

void add(const float* x, float* y, Size n, ThreadPool& pool) {
  constexpr Size kWorthSharing = 1 << 16;
  if (n < kWorthSharing) return ops().axpy(1.0F, x, y, n);
  pool.run(n / 64 + 1, [&](Size begin, Size end, int) {
    const Size first = begin * 64;
    ops().axpy(1.0F, x + first, y + first, std::min(n, end * 64) - first);
  });
}

}  // namespace

RopeTable::RopeTable(std::int64_t head_dim, float theta) : half_(head_dim / 2) {
  // In float, step by step, as the reference implementation computes it: at large positions the rounding
  // of the angle is visible in the logits.
  for (std::int64_t i = 0; i < half_; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(head_dim);
    frequencies_.push_back(1.0F / std::pow(theta, exponent));
  }
}

void RopeTable::reserve(std::int64_t count) {
  auto position = static_cast<std::int64_t>(cosines_.size()) / half_;
  for (; position < count; ++position) {
    for (const float frequency : frequencies_) {
      const float angle = static_cast<float>(position) * frequency;
      cosines_.push_back(std::cos(angle));
      sines_.push_back(std::sin(angle));
    }
  }
}

void run_layer(const ModelSpec& spec, const LayerSpec& layer, const LayerWeights& weights,
               std::span<const LayerSlice> slices, const RopeTable& rope, float* hidden, Workspace& workspace,
               InputObserver* observer) {
  std::int64_t tokens = 0;
  for (const LayerSlice& slice : slices) tokens += slice.tokens;
  const Size n = size_of(tokens);
  const Size width = size_of(spec.hidden_size);
  const Size q_size = size_of(spec.q_size());
  const Size kv_size = size_of(spec.kv_size());
  const Size ff = size_of(spec.intermediate_size);
  const Size head_dim = size_of(spec.head_dim);
  ThreadPool& pool = workspace.pool();

  AlignedVector<float> normed(n * width);
  AlignedVector<float> q(n * q_size);
  AlignedVector<float> k(n * kv_size);
  AlignedVector<float> v(n * kv_size);
  const auto norm_rows = [&](const std::vector<float>& weight) {
    pool.run(n, [&](Size begin, Size end, int) {
      for (Size t = begin; t < end; ++t) {
        ops().rms_norm(hidden + t * width, weight.data(), spec.norm_eps, width, normed.data() + t * width);
      }
    });
  };

  norm_rows(weights.input_norm);
  if (observer != nullptr) observer->observe(std::array{&layer.q, &layer.k, &layer.v}, normed.data(), tokens);
  multiply_group(std::array<const Linear*, 3>{weights.q.get(), weights.k.get(), weights.v.get()},
                 normed.data(), tokens, std::array{q.data(), k.data(), v.data()}, workspace);

  std::vector<std::int64_t> positions;  // per batch row
  for (const LayerSlice& slice : slices) {
    for (std::int64_t t = 0; t < slice.tokens; ++t) positions.push_back(slice.position + t);
  }
  pool.run(n, [&](Size begin, Size end, int) {
    for (Size t = begin; t < end; ++t) {
      const float* cosines = rope.cosines(positions[t]);
      const float* sines = rope.sines(positions[t]);
      for (Size h = 0; h < q_size; h += head_dim)
        ops().rope(&q[t * q_size + h], cosines, sines, head_dim / 2);
      for (Size h = 0; h < kv_size; h += head_dim)
        ops().rope(&k[t * kv_size + h], cosines, sines, head_dim / 2);
    }
  });

  Size row = 0;
  for (const LayerSlice& slice : slices) {
    const Size first = size_of(slice.position);
    for (auto [cache, x] : {std::pair{&slice.cache->keys, k.data()}, {&slice.cache->values, v.data()}}) {
      cache->resize(size_of(spec.kv_heads));
      for (Size h = 0; h < cache->size(); ++h) {
        AlignedVector<float>& head = (*cache)[h];
        head.resize((first + size_of(slice.tokens)) * head_dim);
        for (Size t = 0; t < size_of(slice.tokens); ++t) {
          std::memcpy(&head[(first + t) * head_dim], x + (row + t) * kv_size + h * head_dim,
                      head_dim * sizeof(float));
        }
      }
    }
    row += size_of(slice.tokens);
  }

  AlignedVector<float>& mixed = q;  // attention reads a task's queries before it writes its outputs there
  const auto tasks = attention_tasks(spec, slices);
  const std::int64_t heads_per_kv = spec.heads / spec.kv_heads;
  const float scale = 1.0F / std::sqrt(static_cast<float>(spec.head_dim));
  AlignedVector<float> attended(n * q_size);
  pool.run(tasks.size(), [&](Size begin, Size end, int worker) {
    for (Size i = begin; i < end; ++i) {
      const AttentionTask& task = tasks[i];
      const Size head = size_of(task.kv_head);
      const Size offset = size_of(task.row) * q_size + head * size_of(heads_per_kv) * head_dim;
      attend(&q[offset], q_size, task.slice->cache->keys[head].data(), task.slice->cache->values[head].data(),
             head_dim, size_of(task.position), size_of(task.tokens), size_of(heads_per_kv), head_dim, scale,
             workspace.worker(worker).floats, &attended[offset], q_size);
    }
  });
  mixed.swap(attended);

  if (observer != nullptr) observer->observe(std::array{&layer.o}, mixed.data(), tokens);
  multiply_group(std::array<const Linear*, 1>{weights.o.get()}, mixed.data(), tokens,
                 std::array{normed.data()}, workspace);
  add(normed.data(), hidden, n * width, pool);

  norm_rows(weights.post_attention_norm);
  if (observer != nullptr) observer->observe(std::array{&layer.gate, &layer.up}, normed.data(), tokens);
  AlignedVector<float> gate(n * ff);
  AlignedVector<float> up(n * ff);
  multiply_group(std::array<const Linear*, 2>{weights.gate.get(), weights.up.get()}, normed.data(), tokens,
                 std::array{gate.data(), up.data()}, workspace);
  pool.run(n, [&](Size begin, Size end, int) {
    ops().swiglu(&gate[begin * ff], &up[begin * ff], (end - begin) * ff);
  });
  if (observer != nullptr) observer->observe(std::array{&layer.down}, gate.data(), tokens);
  multiply_group(std::array<const Linear*, 1>{weights.down.get()}, gate.data(), tokens,
                 std::array{normed.data()}, workspace);
  add(normed.data(), hidden, n * width, pool);
}

}  // namespace twofold
