// The codec `quad`: a warp takes a tile, the look-up table is in shared memory.

#include "kernels/cuda/launch.h"
#include "kernels/cuda/warp.cuh"

namespace twofold::device {

namespace {

constexpr std::uint32_t kEntries = 4096;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
// Shared memory of a kernel begins at 1 KB there, whatever the alignment asked for: with twice the room there
// is a multiple of the table's size in it.
constexpr std::uint32_t kRoom = 2 * kEntries;
constexpr std::uint32_t kAlignment = 16;  // more would be taken for granted
#else
constexpr std::uint32_t kRoom = kEntries;
constexpr std::uint32_t kAlignment = kQuadTableBytes;
#endif

/// Copies the table to the place in `room` that QuadBits takes it from.
__device__ __forceinline__ const std::uint32_t* load_lookup(const std::uint32_t* from, std::uint32_t* room) {
#if defined(__CUDA_ARCH__)
  const auto place = static_cast<std::uint32_t>(__cvta_generic_to_shared(room));
  const std::uint32_t before = (kQuadTableBytes - place % kQuadTableBytes) % kQuadTableBytes;
  if (before > 4 * (kRoom - kEntries)) __trap();  // rather than wrong weights
  room += before / 4;
#endif
  for (std::uint32_t i = threadIdx.x; i < kEntries; i += blockDim.x) room[i] = from[i];
  __syncthreads();
  return room;
}

__device__ __forceinline__ QuadTileView view_of(const QuadTask& task, const std::uint8_t* bytes) {
  return {bytes + task.bytes, task.lengths_words, task.stream_at, task.stream_words, task.rows, task.groups};
}

/// All of it to L2: each lane reads its stream bit by bit, and would wait for each sector.
__device__ __forceinline__ void prefetch_tile(const QuadTileView& tile) {
  const std::uint32_t bytes = 4 * (tile.stream_at + tile.stream_words);
  for (std::uint32_t at = 128 * lane_id(); at < bytes; at += 128 * kWarp) prefetch(tile.bytes + at);
}

template <int kLow, int kVectors>
__global__ void __launch_bounds__(kBlock)
    multiply_kernel(QuadClassView c, const QuadTask* __restrict__ tasks, std::uint32_t count,
                    const std::uint8_t* __restrict__ bytes, Products products, std::uint32_t* bad) {
  alignas(kAlignment) __shared__ std::uint32_t room[kRoom];
  c.lookup = load_lookup(c.lookup, room);
  const std::uint32_t warp = warp_id();
  if (warp >= count) return;
  const QuadTask task = tasks[warp];
  const std::uint32_t lane = lane_id();
  const QuadTileView tile = view_of(task, bytes);
  const std::uint32_t length = quad_lane_bits(tile, lane);
  const std::uint32_t start = scan(length) - length;
  QuadDot<kVectors> dot(products.x + task.column, products.stride, lane);
  if (!quad_lane<kLow, false>(c, tile, lane, start, length, dot)) atomicOr(bad, 1U);
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

/// Tiles of 16 rows by tensor cores, with 8 kTiles vectors.
template <int kLow, int kTiles>
__global__ void __launch_bounds__(kBlock)
    tensor_kernel(QuadClassView c, const QuadTask* __restrict__ tasks, std::uint32_t count,
                  const std::uint8_t* __restrict__ bytes, Products products, std::uint32_t vectors,
                  std::uint32_t* bad) {
  alignas(kAlignment) __shared__ std::uint32_t room[kRoom];
  c.lookup = load_lookup(c.lookup, room);
  const std::uint32_t warp = warp_id();
  if (warp >= count) return;
  const QuadTask task = tasks[warp];
  const std::uint32_t lane = lane_id();
  QuadTileView tile = view_of(task, bytes);
  tile.rows = 16;
  prefetch_tile(tile);
  const std::uint32_t length = quad_lane_bits(tile, lane);
  const std::uint32_t start = scan(length) - length;
  std::int32_t sums[kTiles][4] = {};
  std::int32_t* const to = products.sums + task.row + lane / 4;
  // The lane's vector of each tile of the right operand.
  const auto* x = reinterpret_cast<const std::uint8_t*>(products.x + task.column +
                                                        lane / 4 * products.stride + lane % 4 * 4);
  const auto product = [&](std::uint32_t block, const std::uint32_t* a) {
#pragma unroll
    for (std::uint32_t n = 0; n < kTiles; ++n) {
      const std::uint8_t* const at = x + 8 * n * products.stride + 32 * (block % 2);
      const std::uint32_t b[2] = {load_word(at, 0), load_word(at, 4)};
      multiply_tiles<false>(sums[n], a, b);
    }
    if (block % 2 == 1) x += 64;
  };
  const auto correct = [&](bool second, std::uint32_t column, std::int32_t difference) {
    for (std::uint32_t v = 0; v < vectors; ++v) {
      atomicAdd(to + std::size_t{v} * products.rows + (second ? 8 : 0),
                difference * products.x[std::size_t{v} * products.stride + task.column + column]);
    }
  };
  QuadTensor<decltype(product), decltype(correct)> sink(product, correct);
  if (!quad_lane<kLow, false>(c, tile, lane, start, length, sink)) atomicOr(bad, 1U);
#pragma unroll
  for (std::uint32_t n = 0; n < kTiles; ++n) {
#pragma unroll
    for (std::uint32_t i = 0; i < 2; ++i) {
      const std::uint32_t v = 8 * n + lane % 4 * 2 + i;
      const std::int32_t* const group_sums =
          products.group_sums + std::size_t{v} * (products.stride / 64) + task.column / 64;
      std::int32_t base = 0;
      for (std::uint32_t g = lane / 4; g < task.groups; g += 8) base += group_sums[g];
      base = c.base * sum_over_rows(base);
      if (v >= vectors) continue;
      atomicAdd(to + std::size_t{v} * products.rows, (sums[n][i] >> (5 - kLow)) + base);
      atomicAdd(to + std::size_t{v} * products.rows + 8, (sums[n][i + 2] >> (5 - kLow)) + base);
    }
  }
}

template <int kLow>
__global__ void __launch_bounds__(kBlock)
    decode_kernel(QuadClassView c, const QuadTask* __restrict__ tasks, std::uint32_t count,
                  const std::uint8_t* __restrict__ bytes, std::int8_t* out, std::size_t stride,
                  std::uint32_t* bad) {
  alignas(kAlignment) __shared__ std::uint32_t room[kRoom];
  c.lookup = load_lookup(c.lookup, room);
  const std::uint32_t warp = warp_id();
  if (warp >= count) return;
  const QuadTask task = tasks[warp];
  const QuadTileView tile = view_of(task, bytes);
  const std::uint32_t length = quad_lane_bits(tile, lane_id());
  const std::uint32_t start = scan(length) - length;
  QuadStore store(c, lane_id(), out + task.row * stride + task.column, stride);
  if (!quad_lane<kLow, false>(c, tile, lane_id(), start, length, store)) atomicOr(bad, 1U);
}

template <int kLow>
void multiply(const QuadClassView& c, const QuadTask* tasks, std::uint32_t full, std::uint32_t count,
              const std::uint8_t* bytes, const Products& products, int vectors, std::uint32_t* bad,
              Stream stream) {
  const auto n = static_cast<std::uint32_t>(vectors);
  if (vectors <= 8) {
    launch(tensor_kernel<kLow, 1>, blocks_of_warps(full), kBlock, stream, c, tasks, full, bytes, products, n,
           bad);
  } else {
    launch(tensor_kernel<kLow, 4>, blocks_of_warps(full), kBlock, stream, c, tasks, full, bytes, products, n,
           bad);
  }
  // What is left has fewer rows.
  for (std::size_t v = 0; v < n; v += 8) {
    Products part = products;
    part.x += v * products.stride;
    part.group_sums += v * (products.stride / 64);
    part.sums += v * products.rows;
    launch(multiply_kernel<kLow, 8>, blocks_of_warps(count - full), kBlock, stream, c, tasks + full,
           count - full, bytes, part, bad);
  }
}

}  // namespace

void quad_multiply(const QuadClassView& c, const QuadTask* tasks, std::uint32_t full, std::uint32_t count,
                   const std::uint8_t* bytes, const Products& products, int vectors, std::uint32_t* bad,
                   Stream stream) {
  constexpr decltype(&multiply<0>) kByLowBits[] = {multiply<0>, multiply<1>, multiply<2>,
                                                   multiply<3>, multiply<4>, multiply<5>};
  kByLowBits[c.low_bits](c, tasks, full, count, bytes, products, vectors, bad, stream);
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
