// The codec `quad`: a warp takes a tile, the look-up table is in shared memory.

#include "kernels/cuda/launch.h"
#include "kernels/cuda/warp.cuh"

namespace twofold::device {

namespace {

__device__ __forceinline__ void load_lookup(const std::uint32_t* from, std::uint32_t* to) {
  for (std::uint32_t i = threadIdx.x; i < 4096; i += blockDim.x) to[i] = from[i];
  __syncthreads();
}

__device__ __forceinline__ QuadTileView view_of(const QuadTask& task, const std::uint8_t* bytes) {
  return {bytes + task.bytes, task.lengths_words, task.stream_at, task.stream_words, task.rows, task.groups};
}

template <int kLow, int kVectors>
__global__ void __launch_bounds__(kBlock)
    multiply_kernel(QuadClassView c, const QuadTask* __restrict__ tasks, std::uint32_t count,
                    const std::uint8_t* __restrict__ bytes, Products products, std::uint32_t* bad) {
  __shared__ std::uint32_t lookup[4096];
  load_lookup(c.lookup, lookup);
  c.lookup = lookup;
  const std::uint32_t warp = warp_id();
  if (warp >= count) return;
  const QuadTask task = tasks[warp];
  const std::uint32_t lane = lane_id();
  const QuadTileView tile = view_of(task, bytes);
  const std::uint32_t length = quad_lane_bits(tile, lane);
  const std::uint32_t start = scan(length) - length;
  QuadDot<kVectors> dot(products.x + task.column, products.stride, lane);
  if (!quad_lane<kLow>(c, tile, lane, start, length, dot)) atomicOr(bad, 1U);
  const std::uint32_t row = lane / 4;
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
    const std::int32_t sum = sum_lanes<4>(dot.sum(v, kLow));
    const std::int32_t sum8 = sum_lanes<4>(dot.sum8(v, kLow));
    // Each of the four lanes adds up a quarter of the base's part.
    const std::int32_t* const group_sums =
        products.group_sums + static_cast<std::size_t>(v) * (products.stride / 64) + task.column / 64;
    std::int32_t base = 0;
    for (std::uint32_t g = lane % 4; g < task.groups; g += 4) base += group_sums[g];
    base = c.base * sum_lanes<4>(base);
    if (lane % 4 != 0) continue;
    std::int32_t* const sums = products.sums + static_cast<std::size_t>(v) * products.rows + task.row;
    if (row < task.rows) atomicAdd(sums + row, sum + base);
    if (row + 8 < task.rows) atomicAdd(sums + row + 8, sum8 + base);
  }
}

template <int kLow>
__global__ void __launch_bounds__(kBlock)
    decode_kernel(QuadClassView c, const QuadTask* __restrict__ tasks, std::uint32_t count,
                  const std::uint8_t* __restrict__ bytes, std::int8_t* out, std::size_t stride,
                  std::uint32_t* bad) {
  __shared__ std::uint32_t lookup[4096];
  load_lookup(c.lookup, lookup);
  c.lookup = lookup;
  const std::uint32_t warp = warp_id();
  if (warp >= count) return;
  const QuadTask task = tasks[warp];
  const QuadTileView tile = view_of(task, bytes);
  const std::uint32_t length = quad_lane_bits(tile, lane_id());
  const std::uint32_t start = scan(length) - length;
  QuadStore store(c, lane_id(), out + task.row * stride + task.column, stride);
  if (!quad_lane<kLow>(c, tile, lane_id(), start, length, store)) atomicOr(bad, 1U);
}

template <int kLow>
void multiply(const QuadClassView& c, const QuadTask* tasks, std::uint32_t count, const std::uint8_t* bytes,
              const Products& products, int vectors, std::uint32_t* bad, Stream stream) {
  const std::uint32_t blocks = blocks_of_warps(count);
  if (vectors == 1) {
    launch(multiply_kernel<kLow, 1>, blocks, kBlock, stream, c, tasks, count, bytes, products, bad);
  } else if (vectors <= 4) {
    launch(multiply_kernel<kLow, 4>, blocks, kBlock, stream, c, tasks, count, bytes, products, bad);
  } else {
    launch(multiply_kernel<kLow, 8>, blocks, kBlock, stream, c, tasks, count, bytes, products, bad);
  }
}

}  // namespace

void quad_multiply(const QuadClassView& c, const QuadTask* tasks, std::uint32_t count,
                   const std::uint8_t* bytes, const Products& products, int vectors, std::uint32_t* bad,
                   Stream stream) {
  constexpr decltype(&multiply<0>) kByLowBits[] = {multiply<0>, multiply<1>, multiply<2>,
                                                   multiply<3>, multiply<4>, multiply<5>};
  kByLowBits[c.low_bits](c, tasks, count, bytes, products, vectors, bad, stream);
}

void quad_decode(const QuadClassView& c, const QuadTask* tasks, std::uint32_t count,
                 const std::uint8_t* bytes, std::int8_t* out, std::size_t stride, std::uint32_t* bad,
                 Stream stream) {
  constexpr decltype(&decode_kernel<0>) kByLowBits[] = {decode_kernel<0>, decode_kernel<1>, decode_kernel<2>,
                                                        decode_kernel<3>, decode_kernel<4>, decode_kernel<5>};
  const auto kernel = kByLowBits[c.low_bits];
  launch(kernel, blocks_of_warps(count), kBlock, stream, c, tasks, count, bytes, out, stride, bad);
}

}  // namespace twofold::device
