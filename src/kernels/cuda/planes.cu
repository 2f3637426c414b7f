// The codecs `packed` and `tiered`, and weights as they are. Where a tensor has levels a warp goes through a
// whole chunk, because only who has read all bits before knows where the next ones are.

#include "kernels/cuda/launch.h"
#include "kernels/cuda/warp.cuh"

namespace twofold::device {

namespace {

/// The task's weights, four groups at a time: sink.weights(class, row of the chunk, group of the row, lane's
/// place in the group, its 8 weights), and behind each row of a class sink.end_row(class, its first group,
/// row).
template <typename Sink>
__device__ __forceinline__ void plane_task(const PlaneMatrixView& matrix, const PlaneTask& task,
                                           const std::uint8_t* bytes, Sink& sink) {
  const std::uint32_t lane = lane_id();
  const std::uint8_t* plane = bytes + task.plane;
  std::uint64_t position[kPlaneLevels] = {};
  std::uint32_t first = 0;
  for (std::uint32_t k = 0; k < matrix.class_count; ++k) {
    const PlaneClassView& c = matrix.classes[k];
    const std::uint32_t groups = task.groups > 0 ? task.groups : matrix.groups[k];
    for (std::uint32_t row = task.first; row < task.first + task.rows; ++row) {
      const std::uint8_t* const row_plane = plane + std::uint64_t{row} * groups * c.group_bytes();
      for (std::uint32_t begin = 0; begin < groups; begin += 4) {
        const std::uint32_t group = begin + lane / 8;
        const bool there = group < groups;
        PlaneLane weights{};
        if (there) weights.open(c, row_plane + group * c.group_bytes(), lane % 8);
#pragma unroll
        for (int level = 0; level < kPlaneLevels; ++level) {
          if (level >= c.levels) break;
          const std::uint32_t on = there ? weights.count(c, level) : 0;
          const std::uint32_t before = scan(on) - on;
          const std::uint32_t of_group = __shfl_sync(kWholeWarp, before, lane / 8 * 8);
          if (there) {
            weights.take(c, level, bytes + task.level[level], position[level] + of_group, before - of_group);
          }
          position[level] += __shfl_sync(kWholeWarp, before + on, kWarp - 1);
        }
        if (there) sink.weights(c, row, first + group, lane % 8, weights);
      }
      sink.end_row(c, first, groups, row);
    }
    plane += std::uint64_t{task.chunk_rows} * groups * c.group_bytes();
    first += groups;
  }
}

template <int kVectors>
struct DotSink {
  const PlaneTask& task;
  const Products& products;
  std::int32_t sum[kVectors] = {};

  __device__ __forceinline__ void weights(const PlaneClassView& c, std::uint32_t, std::uint32_t group,
                                          std::uint32_t place, const PlaneLane& lane) {
    const std::int8_t* const x = products.x + 64 * group + 8 * place;
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      const auto* at =
          reinterpret_cast<const std::uint8_t*>(x + static_cast<std::size_t>(v) * products.stride);
      sum[v] = dot4(lane.unsigned_values(c, 0), load_word(at, 0), sum[v]);
      sum[v] = dot4(lane.unsigned_values(c, 1), load_word(at, 1), sum[v]);
    }
  }
  __device__ __forceinline__ void end_row(const PlaneClassView& c, std::uint32_t first, std::uint32_t groups,
                                          std::uint32_t row) {
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      const std::int32_t* const group_sums =
          products.group_sums + static_cast<std::size_t>(v) * (products.stride / 64) + first;
      std::int32_t base = 0;
      for (std::uint32_t g = lane_id(); g < groups; g += kWarp) base += group_sums[g];
      const std::int32_t total = sum_lanes<kWarp>(sum[v] + c.unsigned_base() * base);
      sum[v] = 0;
      if (lane_id() != 0) continue;
      atomicAdd(products.sums + static_cast<std::size_t>(v) * products.rows + task.row + row - task.first,
                total);
    }
  }
};

struct StoreSink {
  const PlaneTask& task;
  std::int8_t* out;
  std::size_t stride;

  __device__ __forceinline__ void weights(const PlaneClassView& c, std::uint32_t row, std::uint32_t group,
                                          std::uint32_t place, const PlaneLane& lane) {
    std::int8_t* const to = out + (task.row + row - task.first) * stride + 64 * group + 8 * place;
    store_word(to, add_bytes(lane.values(c, 0), four_bytes(c.base)));
    store_word(to + 4, add_bytes(lane.values(c, 1), four_bytes(c.base)));
  }
  __device__ __forceinline__ void end_row(const PlaneClassView&, std::uint32_t, std::uint32_t,
                                          std::uint32_t) {}
};

template <int kVectors>
__global__ void __launch_bounds__(kBlock)
    multiply_kernel(const PlaneMatrixView* __restrict__ matrix, const PlaneTask* __restrict__ tasks,
                    std::uint32_t count, const std::uint8_t* __restrict__ bytes, Products products) {
  if (warp_id() >= count) return;
  const PlaneTask task = tasks[warp_id()];
  DotSink<kVectors> sink{task, products, {}};
  plane_task(*matrix, task, bytes, sink);
}

__global__ void __launch_bounds__(kBlock)
    decode_kernel(const PlaneMatrixView* __restrict__ matrix, const PlaneTask* __restrict__ tasks,
                  std::uint32_t count, const std::uint8_t* __restrict__ bytes, std::int8_t* out,
                  std::size_t stride) {
  if (warp_id() >= count) return;
  const PlaneTask task = tasks[warp_id()];
  StoreSink sink{task, out, stride};
  plane_task(*matrix, task, bytes, sink);
}

/// Calls correct(row of the matrix, column, difference) for a chunk's corrections; a warp takes 32 at a time.
template <typename Correct>
__device__ __forceinline__ void corrections(const PlaneMatrixView& matrix, const PlaneCorrectionTask& task,
                                            const std::uint8_t* bytes, const Correct& correct) {
  std::uint64_t place = 0;
  const std::uint64_t width = std::uint64_t{64} * (task.groups > 0 ? task.groups : matrix.row_groups);
  for (std::uint64_t begin = 0; begin < task.count; begin += kWarp) {
    PlaneCorrection own{0, 0};
    if (begin + lane_id() < task.count) {
      own = plane_correction(bytes + task.list, begin + lane_id(), matrix.gap_bits, matrix.delta_bits);
    }
    const std::uint32_t gap = scan(own.gap);
    const std::uint64_t at = place + gap;
    if (own.difference != 0 && at < std::uint64_t{task.rows} * width) {
      correct(task.row + at / width, static_cast<std::uint32_t>(at % width), own.difference);
    }
    place += __shfl_sync(kWholeWarp, gap, kWarp - 1);
  }
}

__global__ void __launch_bounds__(kBlock)
    correct_products_kernel(const PlaneMatrixView* __restrict__ matrix,
                            const PlaneCorrectionTask* __restrict__ tasks, std::uint32_t count,
                            const std::uint8_t* __restrict__ bytes, Products products, int vectors) {
  if (warp_id() >= count) return;
  corrections(*matrix, tasks[warp_id()], bytes,
              [&](std::uint64_t row, std::uint32_t column, std::int32_t difference) {
                for (int v = 0; v < vectors; ++v) {
                  const auto vector = static_cast<std::size_t>(v);
                  atomicAdd(products.sums + vector * products.rows + row,
                            difference * products.x[vector * products.stride + column]);
                }
              });
}

__global__ void __launch_bounds__(kBlock)
    correct_weights_kernel(const PlaneMatrixView* __restrict__ matrix,
                           const PlaneCorrectionTask* __restrict__ tasks, std::uint32_t count,
                           const std::uint8_t* __restrict__ bytes, std::int8_t* out, std::size_t stride) {
  if (warp_id() >= count) return;
  corrections(*matrix, tasks[warp_id()], bytes,
              [&](std::uint64_t row, std::uint32_t column, std::int32_t difference) {
                // Several may meet in one word.
                std::int8_t* const weight = out + row * stride + column;
                auto* const word = reinterpret_cast<std::uint32_t*>(weight - column % 4);
                const std::uint32_t shift = column % 4 * 8;
                std::uint32_t found = *word;
                for (std::uint32_t expected = ~found; found != expected;) {
                  expected = found;
                  const std::uint32_t changed =
                      add_bytes(expected, static_cast<std::uint32_t>(difference & 255) << shift);
                  found = atomicCAS(word, expected, changed);
                }
              });
}

/// A warp takes a chunk, 32 weights a lane at a time.
__global__ void __launch_bounds__(kBlock)
    spread_kernel(const SpreadTask* __restrict__ tasks, std::uint32_t count,
                  const std::int8_t* __restrict__ sequences, std::int8_t* __restrict__ out,
                  std::uint32_t* bad) {
  if (warp_id() >= count) return;
  const SpreadTask task = tasks[warp_id()];
  const auto* const masks = reinterpret_cast<const std::uint8_t*>(sequences + task.masks);
  const std::int8_t* const nonzeros = sequences + task.nonzeros;
  out += task.out;
  const std::uint32_t limit = 64 * task.nonzero_groups;
  std::uint32_t used = 0;
  bool good = true;
  for (std::uint32_t begin = 0; begin < task.count; begin += 32 * kWarp) {
    const std::uint32_t at = begin + 32 * lane_id();
    const std::uint32_t left = at < task.count ? task.count - at : 0;
    std::uint32_t bits = 0;
    for (std::uint32_t i = 0; i < 8 && 4 * i < left; ++i) {
      const std::uint32_t mask = masks[at / 4 + i];
      if (mask > 15) good = false;
      bits |= (mask & 15) << (4 * i);
    }
    if (left < 32 && bits >> left != 0) {
      good = false;
      bits &= (1U << left) - 1;
    }
    const std::uint32_t own = count_bits(bits);
    const std::uint32_t through = scan(own);
    std::uint32_t from = used + through - own;
    used += __shfl_sync(kWholeWarp, through, kWarp - 1);
    for (std::uint32_t i = 0; i < 32 && i < left; ++i) {
      const bool nonzero = (bits >> i & 1) != 0;
      out[at + i] = nonzero && from < limit ? nonzeros[from] : std::int8_t{0};
      from += nonzero ? 1 : 0;
    }
  }
  good = good && (used + 63) / 64 == task.nonzero_groups;
  if (!good) atomicOr(bad, 1U);
}

/// A warp takes a row.
template <int kVectors>
__global__ void __launch_bounds__(kBlock)
    raw_kernel(const std::int8_t* __restrict__ weights, Products products) {
  const std::size_t row = warp_id();
  if (row >= products.rows) return;
  const auto* const w = reinterpret_cast<const uint4*>(weights + row * products.stride);
  std::int32_t sum[kVectors] = {};
  for (std::uint32_t i = lane_id(); i < products.stride / 16; i += kWarp) {
    const uint4 four = w[i];
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      const auto* const x =
          reinterpret_cast<const uint4*>(products.x + static_cast<std::size_t>(v) * products.stride);
      const uint4 other = x[i];
      sum[v] = __dp4a(static_cast<int>(four.x), static_cast<int>(other.x), sum[v]);
      sum[v] = __dp4a(static_cast<int>(four.y), static_cast<int>(other.y), sum[v]);
      sum[v] = __dp4a(static_cast<int>(four.z), static_cast<int>(other.z), sum[v]);
      sum[v] = __dp4a(static_cast<int>(four.w), static_cast<int>(other.w), sum[v]);
    }
  }
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
    const std::int32_t total = sum_lanes<kWarp>(sum[v]);
    if (lane_id() == 0) products.sums[static_cast<std::size_t>(v) * products.rows + row] = total;
  }
}

}  // namespace

void plane_multiply(const PlaneMatrixView* matrix, const PlaneTask* tasks, std::uint32_t count,
                    const std::uint8_t* bytes, const Products& products, int vectors, Stream stream) {
  const std::uint32_t blocks = blocks_of_warps(count);
  if (vectors == 1) {
    launch(multiply_kernel<1>, blocks, kBlock, stream, matrix, tasks, count, bytes, products);
  } else if (vectors <= 4) {
    launch(multiply_kernel<4>, blocks, kBlock, stream, matrix, tasks, count, bytes, products);
  } else {
    launch(multiply_kernel<8>, blocks, kBlock, stream, matrix, tasks, count, bytes, products);
  }
}

void plane_decode(const PlaneMatrixView* matrix, const PlaneTask* tasks, std::uint32_t count,
                  const std::uint8_t* bytes, std::int8_t* out, std::size_t stride, Stream stream) {
  launch(decode_kernel, blocks_of_warps(count), kBlock, stream, matrix, tasks, count, bytes, out, stride);
}

void plane_correct_products(const PlaneMatrixView* matrix, const PlaneCorrectionTask* tasks,
                            std::uint32_t count, const std::uint8_t* bytes, const Products& products,
                            int vectors, Stream stream) {
  launch(correct_products_kernel, blocks_of_warps(count), kBlock, stream, matrix, tasks, count, bytes,
         products, vectors);
}

void plane_correct_weights(const PlaneMatrixView* matrix, const PlaneCorrectionTask* tasks,
                           std::uint32_t count, const std::uint8_t* bytes, std::int8_t* out,
                           std::size_t stride, Stream stream) {
  launch(correct_weights_kernel, blocks_of_warps(count), kBlock, stream, matrix, tasks, count, bytes, out,
         stride);
}

void spread_nonzeros(const SpreadTask* tasks, std::uint32_t count, const std::int8_t* sequences,
                     std::int8_t* out, std::uint32_t* bad, Stream stream) {
  launch(spread_kernel, blocks_of_warps(count), kBlock, stream, tasks, count, sequences, out, bad);
}

void raw_multiply(const std::int8_t* weights, const Products& products, int vectors, Stream stream) {
  const auto rows = static_cast<std::uint32_t>(products.rows);
  if (vectors == 1) {
    launch(raw_kernel<1>, blocks_of_warps(rows), kBlock, stream, weights, products);
  } else if (vectors <= 4) {
    launch(raw_kernel<4>, blocks_of_warps(rows), kBlock, stream, weights, products);
  } else {
    launch(raw_kernel<8>, blocks_of_warps(rows), kBlock, stream, weights, products);
  }
}

}  // namespace twofold::device
