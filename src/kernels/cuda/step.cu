// What stands between the products of a transformer: inputs as INT8, products as floats, heads at their
// positions.

#include <cmath>
#include <cstring>

#include "kernels/cuda/half.cuh"
#include "kernels/cuda/step.h"
#include "kernels/cuda/warp.cuh"

namespace twofold::device {

namespace {

constexpr std::uint32_t kMostThreads = 1024;  // a token's input is one block's: it waits for its maximum

struct Sum {
  __device__ __forceinline__ static float join(float a, float b) { return a + b; }
};
struct Maximum {
  __device__ __forceinline__ static float join(float a, float b) { return fmaxf(a, b); }
};

/// Of the values of a warp, in each lane.
template <typename Join>
__device__ __forceinline__ float join_warp(float value) {
#pragma unroll
  for (std::uint32_t step = kWarp / 2; step > 0; step /= 2) {
    value = Join::join(value, __shfl_xor_sync(kWholeWarp, value, step));
  }
  return value;
}

/// Of the values of a block, in each thread. `room`: one for each warp.
template <typename Join>
__device__ __forceinline__ float join_block(float value, float* room) {
  value = join_warp<Join>(value);
  __syncthreads();  // room may still be read
  if (lane_id() == 0) room[threadIdx.x / kWarp] = value;
  __syncthreads();
  value = room[0];
  for (std::uint32_t i = 1; i < blockDim.x / kWarp; ++i) value = Join::join(value, room[i]);
  return value;
}

/// The integer of one value, as Ops::quantize.
__device__ __forceinline__ std::int32_t quantized(float value) {
  const float bounded = fminf(fmaxf(rintf(value), -127.0F), 127.0F);
  return value == value ? static_cast<std::int32_t>(bounded) : 0;
}

/// A block takes a token.
template <StepValues::Kind kKind>
__global__ void __launch_bounds__(kMostThreads)
    prepare_kernel(StepValues in, float* all_floats, StepQuantized to) {
  __shared__ float room[kMostThreads / kWarp];
  const std::size_t token = blockIdx.x;
  const float* const x = in.x + token * in.stride;
  float* const floats = kKind == StepValues::Kind::kAsIs ? nullptr : all_floats + token * in.cols;
  if (kKind == StepValues::Kind::kNormed) {
    float squares = 0;
    for (std::uint32_t i = threadIdx.x; i < in.cols; i += blockDim.x) squares += x[i] * x[i];
    squares = join_block<Sum>(squares, room);
    const float factor = 1.0F / sqrtf(squares / static_cast<float>(in.cols) + in.eps);
    for (std::uint32_t i = threadIdx.x; i < in.cols; i += blockDim.x) floats[i] = x[i] * factor * in.other[i];
  }
  if (kKind == StepValues::Kind::kGated) {
    const float* const up = in.other + token * in.stride;
    for (std::uint32_t i = threadIdx.x; i < in.cols; i += blockDim.x) {
      floats[i] = x[i] / (1.0F + expf(-x[i])) * up[i];
    }
  }
  if (to.q == nullptr) return;
  __syncthreads();
  const auto scaled = [&](std::uint32_t place) {
    const float* const from = kKind == StepValues::Kind::kAsIs ? x : floats;
    const float value = from[to.column == nullptr ? place : to.column[place]];
    return to.inverse == nullptr ? value : value * to.inverse[place];
  };
  float step = to.step;
  if (!(step > 0)) {
    float largest = 0;
    for (std::uint32_t i = threadIdx.x; i < in.cols; i += blockDim.x)
      largest = fmaxf(largest, fabsf(scaled(i)));
    step = join_block<Maximum>(largest, room) / 127.0F;
  }
  if (threadIdx.x == 0) to.steps[token] = step;
  const float inverse_step = step > 0 ? 1.0F / step : 0.0F;
  auto* const q = reinterpret_cast<std::uint32_t*>(to.q + token * to.stride);
  std::int32_t* const group_sums = to.group_sums + token * (to.stride / 64);
  const auto words = static_cast<std::uint32_t>(to.stride / 4);
  // Four places a thread, a group of 64 half a warp; the lanes of a warp make the same turns.
  for (std::uint32_t first = threadIdx.x - lane_id(); first < words; first += blockDim.x) {
    const std::uint32_t word = first + lane_id();
    std::uint32_t bytes = 0;
    std::int32_t sum = 0;
    for (std::uint32_t i = 0; i < 4; ++i) {
      const std::uint32_t place = 4 * word + i;
      if (place >= in.cols) break;
      const std::int32_t value = quantized(scaled(place) * inverse_step);
      bytes |= (static_cast<std::uint32_t>(value) & 255U) << 8 * i;
      sum += value;
    }
    sum = sum_lanes<16>(sum);
    if (word >= words) continue;
    q[word] = bytes;
    if (word % 16 == 0) group_sums[word / 16] = sum;
  }
}

struct ProductsOfOneInput {
  StepProducts linears[kStepProducts];
  std::uint32_t count;
  std::uint32_t rows;  // of all
};

/// A thread takes a row of a token.
template <bool kAdd>
__global__ void __launch_bounds__(kBlock)
    finish_kernel(ProductsOfOneInput all, std::size_t y_stride, std::uint32_t blocks_per_token) {
  const std::size_t token = blockIdx.x / blocks_per_token;
  std::uint32_t row = blockIdx.x % blocks_per_token * kBlock + threadIdx.x;
  if (row >= all.rows) return;
  // Without an index that is not known when this is compiled: the parts stay where parameters are.
  StepProducts linear = all.linears[0];
#pragma unroll
  for (std::uint32_t i = 1; i < kStepProducts; ++i) {
    if (i < all.count && row >= linear.rows) {
      row -= linear.rows;
      linear = all.linears[i];
    }
  }
  float value = static_cast<float>(linear.sums[token * linear.rows + row]) * linear.steps[token] *
                linear.scale[linear.scale_per_row ? row : 0];
  if (linear.bias != nullptr) value += linear.bias[row];
  float* const y = linear.y + token * y_stride + row;
  *y = kAdd ? *y + value : value;
}

constexpr std::uint32_t kDenseTokens = 8;

/// A warp takes a row, and up to kDenseTokens tokens.
template <typename T>
__global__ void __launch_bounds__(kBlock)
    dense_kernel(StepDense dense, const float* __restrict__ x, std::size_t x_stride, float* y,
                 std::size_t y_stride, bool add, std::uint32_t tokens) {
  const std::uint32_t row = warp_id() % dense.rows;
  const std::uint32_t first = warp_id() / dense.rows * kDenseTokens;
  if (first >= tokens) return;
  const std::uint32_t n = tokens - first < kDenseTokens ? tokens - first : kDenseTokens;
  const T* const weights = static_cast<const T*>(dense.weights) + std::size_t{row} * dense.cols;
  float sums[kDenseTokens] = {};
#pragma unroll 4
  for (std::uint32_t i = 2 * lane_id(); i < dense.cols; i += 2 * kWarp) {
    const Pair w = load_pair(weights, i);
#pragma unroll
    for (std::uint32_t t = 0; t < kDenseTokens; ++t) {
      if (t >= n) break;
      const float* const at = x + (first + t) * x_stride + i;
      sums[t] += w.first * at[0] + w.second * at[1];
    }
  }
#pragma unroll
  for (std::uint32_t t = 0; t < kDenseTokens; ++t) {
    if (t >= n) break;
    float value = join_warp<Sum>(sums[t]);
    if (lane_id() != 0) continue;
    if (dense.bias != nullptr) value += dense.bias[row];
    float* const to = y + (first + t) * y_stride + row;
    *to = add ? *to + value : value;
  }
}

/// A warp takes a head of a token: queries, then keys, then values.
template <typename Cache>
__global__ void __launch_bounds__(kBlock)
    append_kernel(StepHeads heads, StepRotation rotation, float* qkv, StepCache cache, std::uint32_t tokens) {
  const std::uint32_t all = heads.heads + 2 * heads.kv_heads;
  const std::uint32_t token = warp_id() / all;
  if (token >= tokens) return;
  const std::uint32_t head = warp_id() % all;
  const std::uint32_t dim = heads.head_dim;
  const std::size_t position = std::size_t{*heads.position} + token;
  float* const x = qkv + (std::size_t{token} * all + head) * dim;
  const auto place = [&](void* to, std::uint32_t kv_head) {
    return static_cast<Cache*>(to) + (std::size_t{kv_head} * cache.capacity + position) * dim;
  };
  if (head >= heads.heads + heads.kv_heads) {
    Cache* const to = place(cache.values, head - heads.heads - heads.kv_heads);
    for (std::uint32_t i = lane_id(); i < dim; i += kWarp) store(to + i, x[i]);
    return;
  }
  const bool is_key = head >= heads.heads;
  const float* const norm = is_key ? rotation.k_norm : rotation.q_norm;
  float factor = 1;
  if (norm != nullptr) {
    float squares = 0;
    for (std::uint32_t i = lane_id(); i < dim; i += kWarp) squares += x[i] * x[i];
    squares = join_warp<Sum>(squares);
    factor = 1.0F / sqrtf(squares / static_cast<float>(dim) + (is_key ? rotation.k_eps : rotation.q_eps));
  }
  const auto value = [&](std::uint32_t i) { return norm == nullptr ? x[i] : x[i] * factor * norm[i]; };
  Cache* const key = is_key ? place(cache.keys, head - heads.heads) : nullptr;
  const auto put = [&](std::uint32_t i, float what) {
    if (is_key) {
      store(key + i, what);
    } else {
      x[i] = what;
    }
  };
  const std::uint32_t half = rotation.half;
  for (std::uint32_t i = lane_id(); i < half; i += kWarp) {
    const float a = value(i);
    const float b = value(i + half);
    const float c = rotation.cosines[position * half + i];
    const float s = rotation.sines[position * half + i];
    put(i, a * c - b * s);
    put(i + half, b * c + a * s);
  }
  for (std::uint32_t i = 2 * half + lane_id(); i < dim; i += kWarp) put(i, value(i));
}

}  // namespace

void prepare_input(const StepValues& values, float* floats, const StepQuantized& to, std::uint32_t tokens,
                   Stream stream) {
  std::uint32_t threads = (values.cols / 4 + kWarp - 1) / kWarp * kWarp;
  if (threads < kWarp) threads = kWarp;
  if (threads > kMostThreads) threads = kMostThreads;
  using Kind = StepValues::Kind;
  const auto kernel = values.kind == Kind::kNormed  ? prepare_kernel<Kind::kNormed>
                      : values.kind == Kind::kGated ? prepare_kernel<Kind::kGated>
                                                    : prepare_kernel<Kind::kAsIs>;
  launch(kernel, tokens, threads, stream, values, floats, to);
}

void finish_products(const StepProducts* linears, int count, std::size_t y_stride, bool add,
                     std::uint32_t tokens, Stream stream) {
  ProductsOfOneInput all{};
  all.count = static_cast<std::uint32_t>(count);
  for (int i = 0; i < count; ++i) {
    all.linears[i] = linears[i];
    all.rows += linears[i].rows;
  }
  const std::uint32_t blocks = (all.rows + kBlock - 1) / kBlock;
  launch(add ? finish_kernel<true> : finish_kernel<false>, tokens * blocks, kBlock, stream, all, y_stride,
         blocks);
}

void multiply_floats(const StepDense& dense, const float* x, std::size_t x_stride, float* y,
                     std::size_t y_stride, bool add, std::uint32_t tokens, Stream stream) {
  const std::uint32_t warps = dense.rows * ((tokens + kDenseTokens - 1) / kDenseTokens);
  const auto kernel = dense.type == StepFloat::kF32   ? dense_kernel<float>
                      : dense.type == StepFloat::kF16 ? dense_kernel<Half>
                                                      : dense_kernel<BFloat>;
  launch(kernel, blocks_of_warps(warps), kBlock, stream, dense, x, x_stride, y, y_stride, add, tokens);
}

void append_heads(const StepHeads& heads, const StepRotation& rotation, float* qkv, const StepCache& cache,
                  std::uint32_t tokens, Stream stream) {
  const std::uint32_t warps = tokens * (heads.heads + 2 * heads.kv_heads);
  launch(cache.half ? append_kernel<Half> : append_kernel<float>, blocks_of_warps(warps), kBlock, stream,
         heads, rotation, qkv, cache, tokens);
}

}  // namespace twofold::device
