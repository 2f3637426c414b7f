// Attention over the cache: keys are seen in parts, whose softmaxes are joined (Milakov and Gimelshein,
// arXiv 1805.02867; for one token in several blocks: Dao et al., "Flash-Decoding", 2023).

#include <cmath>
#include <cstring>

#include "kernels/cuda/half.cuh"
#include "kernels/cuda/step.h"
#include "kernels/cuda/warp.cuh"

namespace twofold::device {

namespace {

constexpr std::uint32_t kWarps = 4;  // of a block
constexpr std::uint32_t kThreads = kWarps * kWarp;
constexpr std::uint32_t kKeys = 4;  // that a warp takes at once
constexpr float kNothing = -INFINITY;

/// How much a part with this maximum counts when `largest` is that of all.
__device__ __forceinline__ float part_weight(float maximum, float largest) {
  return maximum == kNothing ? 0 : expf(maximum - largest);
}

/// What has been seen of some keys: the maximum of the scores s, the sum of exp(s - maximum), and for each of
/// a lane's elements, two neighbours of every 64, the sum of exp(s - maximum) * value.
template <std::uint32_t kPairs>
struct Seen {
  float maximum = kNothing;
  float sum = 0;
  Pair mixed[kPairs] = {};
};

template <typename Cache, std::uint32_t kPairs>
__device__ __forceinline__ void see(Seen<kPairs>& seen, const Pair* query, const Cache* keys,
                                    const Cache* values, std::uint32_t dim, std::size_t begin,
                                    std::size_t end) {
  float scores[kKeys];
#pragma unroll
  for (std::uint32_t k = 0; k < kKeys; ++k) {
    const std::size_t at = (begin + k < end ? begin + k : begin) * dim;
    float dot = 0;
#pragma unroll
    for (std::uint32_t p = 0; p < kPairs; ++p) {
      const std::uint32_t i = 64 * p + 2 * lane_id();
      if (i >= dim) continue;
      const Pair key = load_pair(keys, at + i);
      dot += query[p].first * key.first + query[p].second * key.second;
    }
    scores[k] = dot;
  }
  float maximum = seen.maximum;
#pragma unroll
  for (std::uint32_t k = 0; k < kKeys; ++k) {
#pragma unroll
    for (std::uint32_t step = kWarp / 2; step > 0; step /= 2) {
      scores[k] += __shfl_xor_sync(kWholeWarp, scores[k], step);
    }
    if (begin + k >= end) scores[k] = kNothing;
    maximum = fmaxf(maximum, scores[k]);
  }
  const float before = part_weight(seen.maximum, maximum);
  seen.maximum = maximum;
  seen.sum *= before;
#pragma unroll
  for (std::uint32_t k = 0; k < kKeys; ++k) {
    scores[k] = part_weight(scores[k], maximum);
    seen.sum += scores[k];
  }
#pragma unroll
  for (std::uint32_t p = 0; p < kPairs; ++p) {
    const std::uint32_t i = 64 * p + 2 * lane_id();
    if (i >= dim) continue;
    seen.mixed[p].first *= before;
    seen.mixed[p].second *= before;
#pragma unroll
    for (std::uint32_t k = 0; k < kKeys; ++k) {
      const Pair value = load_pair(values, (begin + k < end ? begin + k : begin) * dim + i);
      seen.mixed[p].first += scores[k] * value.first;
      seen.mixed[p].second += scores[k] * value.second;
    }
  }
}

/// A block takes a part of the keys for a head of a token, its warps kKeys of them by turns.
template <typename Cache, std::uint32_t kPairs>
__global__ void __launch_bounds__(kThreads)
    attend_kernel(StepHeads heads, StepAttention attention, const float* __restrict__ qkv, StepCache cache,
                  float* out) {
  __shared__ float maxima[kWarps];
  __shared__ float sums[kWarps];
  __shared__ float mixed[kWarps][64 * kPairs];
  const std::uint32_t split = blockIdx.x % attention.splits;
  const std::uint32_t head = blockIdx.x / attention.splits % heads.heads;
  const std::uint32_t token = blockIdx.x / attention.splits / heads.heads;
  const std::uint32_t dim = heads.head_dim;
  const std::size_t length = std::size_t{*heads.position} + token + 1;
  const std::size_t first = attention.window > 0 && length > attention.window ? length - attention.window : 0;
  constexpr std::size_t kTurn = kWarps * kKeys;
  const std::size_t turns = (length - first + kTurn - 1) / kTurn;
  const std::size_t part = (turns + attention.splits - 1) / attention.splits * kTurn;
  const std::size_t begin = first + split * part;
  const std::size_t end = begin + part < length ? begin + part : length;

  const float* const q = qkv + (std::size_t{token} * (heads.heads + 2 * heads.kv_heads) + head) * dim;
  const std::size_t of_head = std::size_t{head / (heads.heads / heads.kv_heads)} * cache.capacity * dim;
  const Cache* const keys = static_cast<const Cache*>(cache.keys) + of_head;
  const Cache* const values = static_cast<const Cache*>(cache.values) + of_head;
  Pair query[kPairs] = {};
#pragma unroll
  for (std::uint32_t p = 0; p < kPairs; ++p) {
    const std::uint32_t i = 64 * p + 2 * lane_id();
    if (i < dim) query[p] = {attention.scale * q[i], attention.scale * q[i + 1]};
  }
  Seen<kPairs> seen;
  const std::uint32_t warp = threadIdx.x / kWarp;
  for (std::size_t j = begin + warp * kKeys; j < end; j += kTurn) see(seen, query, keys, values, dim, j, end);

  if (lane_id() == 0) {
    maxima[warp] = seen.maximum;
    sums[warp] = seen.sum;
  }
#pragma unroll
  for (std::uint32_t p = 0; p < kPairs; ++p) {
    mixed[warp][64 * p + 2 * lane_id()] = seen.mixed[p].first;
    mixed[warp][64 * p + 2 * lane_id() + 1] = seen.mixed[p].second;
  }
  __syncthreads();
  float largest = kNothing;
  for (std::uint32_t w = 0; w < kWarps; ++w) largest = fmaxf(largest, maxima[w]);
  float weights[kWarps];
  float sum = 0;
#pragma unroll
  for (std::uint32_t w = 0; w < kWarps; ++w) {
    weights[w] = part_weight(maxima[w], largest);
    sum += weights[w] * sums[w];
  }
  const bool whole = attention.splits == 1;
  float* const to = whole ? out + (std::size_t{token} * heads.heads + head) * dim
                          : attention.partial + std::size_t{blockIdx.x} * (dim + 2);
  for (std::uint32_t i = threadIdx.x; i < dim; i += kThreads) {
    float value = 0;
#pragma unroll
    for (std::uint32_t w = 0; w < kWarps; ++w) value += weights[w] * mixed[w][i];
    to[i] = whole ? value / sum : value;
  }
  if (whole || threadIdx.x != 0) return;
  to[dim] = largest;
  to[dim + 1] = sum;
}

/// A warp joins the parts of a head of a token.
__global__ void __launch_bounds__(kBlock)
    join_kernel(StepAttention attention, std::uint32_t dim, float* out, std::uint32_t count) {
  if (warp_id() >= count) return;
  const float* const parts = attention.partial + std::size_t{warp_id()} * attention.splits * (dim + 2);
  float largest = kNothing;
  for (std::uint32_t s = 0; s < attention.splits; ++s) largest = fmaxf(largest, parts[s * (dim + 2) + dim]);
  for (std::uint32_t i = lane_id(); i < dim; i += kWarp) {
    float value = 0;
    float sum = 0;
    for (std::uint32_t s = 0; s < attention.splits; ++s) {
      const float* const part = parts + std::size_t{s} * (dim + 2);
      const float weight = part_weight(part[dim], largest);
      value += weight * part[i];
      sum += weight * part[dim + 1];
    }
    out[std::size_t{warp_id()} * dim + i] = value / sum;
  }
}

template <typename Cache>
void attend_cache(const StepHeads& heads, const StepAttention& attention, const float* qkv,
                  const StepCache& cache, float* out, std::uint32_t blocks, Stream stream) {
  const auto kernel = heads.head_dim <= 64    ? attend_kernel<Cache, 1>
                      : heads.head_dim <= 128 ? attend_kernel<Cache, 2>
                                              : attend_kernel<Cache, 4>;
  launch(kernel, blocks, kThreads, stream, heads, attention, qkv, cache, out);
}

}  // namespace

void attend_heads(const StepHeads& heads, const StepAttention& attention, const float* qkv,
                  const StepCache& cache, float* out, std::uint32_t tokens, Stream stream) {
  const std::uint32_t count = tokens * heads.heads;
  const auto attend = cache.half ? attend_cache<Half> : attend_cache<float>;
  attend(heads, attention, qkv, cache, out, count * attention.splits, stream);
  if (attention.splits == 1) return;
  launch(join_kernel, blocks_of_warps(count), kBlock, stream, attention, heads.head_dim, out, count);
}

}  // namespace twofold::device
