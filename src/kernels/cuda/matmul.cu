// Products with several vectors by tensor cores: of weights as they are, and of the codes of `packed`.

#include "kernels/cuda/launch.h"
#include "kernels/cuda/warp.cuh"

namespace twofold::device {

namespace {

constexpr std::uint32_t kRows = 128;     // of a block
constexpr std::uint32_t kVectors = 128;  // of a block
constexpr std::uint32_t kColumns = 64;   // of a turn
constexpr std::uint32_t kPitch = 80;     // bytes from row to row: eight rows of four words are in 32 banks
constexpr std::uint32_t kWarpRows = 32;
constexpr std::uint32_t kWarpVectors = 64;
static_assert(kRows / kWarpRows * (kVectors / kWarpVectors) == kBlock / kWarp);

using Tile = std::int8_t[kRows][kPitch];
static_assert(kRows == kVectors);

/// Starts to copy 64 columns of up to 128 rows; zeros where there is no row.
__device__ __forceinline__ void start_tile(Tile& tile, const std::int8_t* from, std::size_t stride,
                                           std::uint32_t rows) {
#pragma unroll
  for (std::uint32_t i = 0; i < kRows * kColumns / 16; i += kBlock) {
    const std::uint32_t row = (i + threadIdx.x) / (kColumns / 16);
    const std::uint32_t at = (i + threadIdx.x) % (kColumns / 16) * 16;
    const bool there = row < rows;
    start_copy(&tile[row][at], from + (there ? row * stride + at : 0), there ? 16 : 0);
  }
}

__device__ __forceinline__ std::uint32_t fragment(const Tile& tile, std::uint32_t row, std::uint32_t column) {
  return *reinterpret_cast<const std::uint32_t*>(&tile[row + lane_id() / 4][column + lane_id() % 4 * 4]);
}

/// A block takes 128 rows and 128 vectors, a warp 32 and 64.
__global__ void __launch_bounds__(kBlock)
    raw_matmul_kernel(const std::int8_t* __restrict__ weights, Products products, std::uint32_t vectors,
                      std::uint32_t row_blocks) {
  alignas(16) __shared__ Tile w[2];
  alignas(16) __shared__ Tile x[2];
  const std::uint32_t first_row = blockIdx.x % row_blocks * kRows;
  const std::uint32_t first_vector = blockIdx.x / row_blocks * kVectors;
  const auto all_rows = static_cast<std::uint32_t>(products.rows);
  const std::uint32_t rows = all_rows - first_row < kRows ? all_rows - first_row : kRows;
  const std::uint32_t n = vectors - first_vector < kVectors ? vectors - first_vector : kVectors;
  const std::int8_t* const from = weights + first_row * products.stride;
  const std::int8_t* const from_x = products.x + first_vector * products.stride;
  const std::uint32_t warp = threadIdx.x / kWarp;
  const std::uint32_t row = warp / (kVectors / kWarpVectors) * kWarpRows;
  const std::uint32_t vector = warp % (kVectors / kWarpVectors) * kWarpVectors;
  std::int32_t c[kWarpRows / 16][kWarpVectors / 8][4] = {};
  const auto turns = static_cast<std::uint32_t>(products.stride / kColumns);
  start_tile(w[0], from, products.stride, rows);
  start_tile(x[0], from_x, products.stride, n);
  end_copies();
  for (std::uint32_t turn = 0; turn < turns; ++turn) {
    if (turn + 1 < turns) {
      start_tile(w[(turn + 1) % 2], from + (turn + 1) * kColumns, products.stride, rows);
      start_tile(x[(turn + 1) % 2], from_x + (turn + 1) * kColumns, products.stride, n);
    }
    end_copies();
    wait_copies<1>();
    __syncthreads();
#pragma unroll
    for (std::uint32_t k = 0; k < kColumns; k += 32) {
      std::uint32_t a[kWarpRows / 16][4];
#pragma unroll
      for (std::uint32_t i = 0; i < kWarpRows / 16; ++i) {
#pragma unroll
        for (std::uint32_t j = 0; j < 4; ++j) {
          a[i][j] = fragment(w[turn % 2], row + 16 * i + 8 * (j % 2), k + j / 2 * 16);
        }
      }
#pragma unroll
      for (std::uint32_t j = 0; j < kWarpVectors / 8; ++j) {
        const std::uint32_t b[2] = {fragment(x[turn % 2], vector + 8 * j, k),
                                    fragment(x[turn % 2], vector + 8 * j, k + 16)};
#pragma unroll
        for (std::uint32_t i = 0; i < kWarpRows / 16; ++i) multiply_tiles<true>(c[i][j], a[i], b);
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (std::uint32_t i = 0; i < kWarpRows / 16; ++i) {
#pragma unroll
    for (std::uint32_t j = 0; j < kWarpVectors / 8; ++j) {
#pragma unroll
      for (std::uint32_t k = 0; k < 4; ++k) {
        const std::uint32_t r = row + 16 * i + lane_id() / 4 + k / 2 * 8;
        const std::uint32_t v = vector + 8 * j + lane_id() % 4 * 2 + k % 2;
        if (r < rows && v < n) {
          products.sums[std::size_t{first_vector + v} * products.rows + first_row + r] = c[i][j][k];
        }
      }
    }
  }
}

/// A class of `packed`: a warp takes 16 rows and `segment` groups of columns, and 8 kTiles vectors.
template <int kBits, int kTiles>
__global__ void __launch_bounds__(kBlock)
    packed_tensor_kernel(PackedClass c, const PlaneTask* __restrict__ tasks, std::uint32_t count,
                         std::uint32_t segment, std::uint32_t segments,
                         const std::uint8_t* __restrict__ bytes, Products products, std::uint32_t vectors) {
  const std::uint32_t first_row = warp_id() / segments * 16;
  if (first_row >= count) return;
  const std::uint32_t begin = warp_id() % segments * segment;
  const std::uint32_t end = begin + segment < c.groups ? begin + segment : c.groups;
  const std::uint32_t own = first_row + lane_id() / 4;
  const std::uint32_t t = lane_id() % 4;
  const std::uint8_t* rows[2];
#pragma unroll
  for (std::uint32_t i = 0; i < 2; ++i) {
    // Where there is no row another one is multiplied for nothing.
    const PlaneTask& task = tasks[own + 8 * i < count ? own + 8 * i : first_row];
    rows[i] = bytes + task.plane + std::uint64_t{task.chunk_rows} * c.before +
              (std::uint64_t{task.first} * c.groups + begin) * (8 * kBits);
  }
  // The lane's vector of each tile of the right operand.
  const std::int8_t* const x = products.x + lane_id() / 4 * products.stride + 64 * (c.first + begin);
  std::int32_t sums[kTiles][4] = {};
#pragma unroll 1
  for (std::uint32_t g = 0; g < end - begin; ++g) {
    std::uint32_t codes[2][4];
    plane_four_quads<kBits>(rows[0] + g * (8 * kBits), t, codes[0]);
    plane_four_quads<kBits>(rows[1] + g * (8 * kBits), t, codes[1]);
    if (kBits == 8) {
#pragma unroll
      for (int i = 0; i < 8; ++i) codes[i / 4][i % 4] ^= 0x80808080U;
    }
    const std::uint32_t low[4] = {codes[0][0], codes[1][0], codes[0][2], codes[1][2]};
    const std::uint32_t high[4] = {codes[0][1], codes[1][1], codes[0][3], codes[1][3]};
#pragma unroll
    for (std::uint32_t tile = 0; tile < kTiles; ++tile) {
      const auto* const at = reinterpret_cast<const std::uint8_t*>(x + 8 * tile * products.stride + 64 * g);
      std::uint32_t b[2];
      load_two_words(at, t, b[0], b[1]);
      multiply_tiles<false>(sums[tile], low, b);
      load_two_words(at, t + 4, b[0], b[1]);
      multiply_tiles<false>(sums[tile], high, b);
    }
  }
#pragma unroll
  for (std::uint32_t tile = 0; tile < kTiles; ++tile) {
#pragma unroll
    for (std::uint32_t i = 0; i < 2; ++i) {
      const std::uint32_t v = 8 * tile + 2 * t + i;
      const std::int32_t* const group_sums =
          products.group_sums + std::size_t{v} * (products.stride / 64) + c.first;
      std::int32_t base = 0;
      for (std::uint32_t g = begin + lane_id() / 4; g < end; g += 8) base += group_sums[g];
      base = c.base * sum_over_rows(base);
      if (v >= vectors) continue;
      std::int32_t* const to = products.sums + std::size_t{v} * products.rows;
      if (own < count) atomicAdd(to + tasks[own].row, sums[tile][i] + base);
      if (own + 8 < count) atomicAdd(to + tasks[own + 8].row, sums[tile][i + 2] + base);
    }
  }
}

template <int kBits>
void multiply_packed(const PackedClass& c, const PlaneTask* tasks, std::uint32_t count,
                     const std::uint8_t* bytes, const Products& products, int vectors, Stream stream) {
  // Enough warps for a large GPU, each with some work.
  constexpr std::uint32_t kWarps = 4096;
  constexpr std::uint32_t kLeastGroups = 8;
  const std::uint32_t tiles = (count + 15) / 16;
  std::uint32_t segments = kWarps / tiles + 1;
  if (segments > c.groups / kLeastGroups) segments = c.groups / kLeastGroups;
  if (segments < 1) segments = 1;
  const std::uint32_t segment = (c.groups + segments - 1) / segments;
  segments = (c.groups + segment - 1) / segment;
  const std::uint32_t blocks = blocks_of_warps(tiles * segments);
  const auto n = static_cast<std::uint32_t>(vectors);
  if (vectors <= 8) {
    launch(packed_tensor_kernel<kBits, 1>, blocks, kBlock, stream, c, tasks, count, segment, segments, bytes,
           products, n);
  } else {
    launch(packed_tensor_kernel<kBits, 4>, blocks, kBlock, stream, c, tasks, count, segment, segments, bytes,
           products, n);
  }
}

}  // namespace

void packed_multiply(const PackedClass& c, const PlaneTask* tasks, std::uint32_t count,
                     const std::uint8_t* bytes, const Products& products, int vectors, Stream stream) {
  constexpr decltype(&multiply_packed<1>) kByBits[] = {
      multiply_packed<1>, multiply_packed<2>, multiply_packed<3>, multiply_packed<4>,
      multiply_packed<5>, multiply_packed<6>, multiply_packed<7>, multiply_packed<8>};
  kByBits[c.bits - 1](c, tasks, count, bytes, products, vectors, stream);
}

void raw_matmul(const std::int8_t* weights, const Products& products, int vectors, Stream stream) {
  const auto row_blocks = static_cast<std::uint32_t>((products.rows + kRows - 1) / kRows);
  const auto n = static_cast<std::uint32_t>(vectors);
  launch(raw_matmul_kernel, row_blocks * ((n + kVectors - 1) / kVectors), kBlock, stream, weights, products,
         n, row_blocks);
}

}  // namespace twofold::device
