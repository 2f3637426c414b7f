// The codec `ans`: a warp takes a chunk. The table of a class is in shared memory, the words come through a
// ring there.

#include "kernels/cuda/launch.h"
#include "kernels/cuda/warp.cuh"

namespace twofold::device {

namespace {

constexpr std::uint32_t kSlots = 4096;
constexpr std::uint32_t kStepsAtOnce = 4;
constexpr std::uint32_t kFillWords = 64 * kStepsAtOnce;  // copied at once: what the steps take at most
constexpr std::uint32_t kRingWords = 4 * kFillWords;
static_assert(2 * kFillWords == 16 * kWarp);

/// A warp's window of the words, which begin at even places. Positions count words from `base`, a multiple of
/// 16 bytes; from byte `end` on there are zeros.
class WordRing {
 public:
  __device__ __forceinline__ WordRing(std::uint16_t* ring, const std::uint8_t* base, std::uint32_t position,
                                      std::uint32_t end)
      : ring_(ring), base_(base), end_(end), filled_(position / kFillWords) {}

  /// Makes kFillWords words from `position` on ready. Positions rise, by as many at most.
  __device__ __forceinline__ void need(std::uint32_t position) {
    const std::uint32_t fills = position / kFillWords + kRingWords / kFillWords;
    if (filled_ == fills) return;
    __syncwarp();  // others may still read what is overwritten
#pragma unroll 1
    for (; filled_ < fills; ++filled_) {
      const std::uint32_t at = filled_ * kFillWords + 8 * lane_id();
      const std::uint32_t left = 2 * at < end_ ? end_ - 2 * at : 0;
      // Where nothing is copied the place must be one all the same.
      start_copy(ring_ + at % kRingWords, base_ + (left > 0 ? 2 * at : 0), left < 16 ? left : 16);
      end_copies();
    }
    wait_copies<kRingWords / kFillWords - 2>();  // the last two are not needed yet
    __syncwarp();
  }

  __device__ __forceinline__ std::uint32_t word(std::uint32_t position) const {
    return ring_[position % kRingWords];
  }

 private:
  std::uint16_t* ring_;
  const std::uint8_t* base_;
  std::uint32_t end_;
  std::uint32_t filled_;
};

/// The thread's two lanes.
struct States {
  std::uint32_t first, second;
};

__device__ __forceinline__ void step(const std::uint32_t* slots, const WordRing& ring, States& states,
                                     std::uint32_t& position, std::int8_t* out) {
  const std::int32_t low = ans_lane_step(slots, states.first);
  const std::int32_t high = ans_lane_step(slots, states.second);
  *reinterpret_cast<std::uint16_t*>(out) = static_cast<std::uint16_t>((low & 255) | (high & 255) << 8);
  const bool first = ans_needs_word(states.first);
  const bool second = ans_needs_word(states.second);
  const std::uint32_t firsts = __ballot_sync(kWholeWarp, first);
  const std::uint32_t seconds = __ballot_sync(kWholeWarp, second);
  const std::uint32_t before = (1U << lane_id()) - 1;
  const std::uint32_t at = position + count_bits(firsts & before) + count_bits(seconds & before);
  // Reading a word that is not needed is cheaper than a branch.
  const std::uint32_t own = ring.word(at);
  const std::uint32_t next = ring.word(at + 1);
  if (second) states.second = ans_with_word(states.second, first ? next : own);
  if (first) states.first = ans_with_word(states.first, own);
  position += count_bits(firsts) + count_bits(seconds);
}

/// False when the words end before the weights. `out`: of the thread's first weight.
__device__ __forceinline__ bool decode_lanes(const std::uint32_t* slots, WordRing& ring, States& states,
                                             std::uint32_t& position, std::uint32_t end, std::int8_t* out,
                                             std::uint32_t steps) {
  for (; steps >= kStepsAtOnce; steps -= kStepsAtOnce) {
    ring.need(position);
#pragma unroll
    for (std::uint32_t i = 0; i < kStepsAtOnce; ++i) step(slots, ring, states, position, out + 64 * i);
    out += 64 * kStepsAtOnce;
    if (2 * position > end) return false;
  }
  if (steps > 0) ring.need(position);
  for (; steps > 0; --steps, out += 64) step(slots, ring, states, position, out);
  return 2 * position <= end;
}

/// Replaces the escapes among the weights that lanes have decoded.
__device__ __forceinline__ void decode_rare(const AnsClassView& c, std::int8_t* weights, std::uint32_t count,
                                            AnsSerial& serial) {
  if (c.rare_count == 0) return;
  const std::uint32_t escapes = four_bytes(c.value);
  for (std::uint32_t begin = 0; begin < count; begin += 4 * kWarp) {
    const std::uint32_t at = begin + 4 * lane_id();
    std::uint32_t other = ~0U;
    if (at < count) other = load_word(reinterpret_cast<const std::uint8_t*>(weights + at), 0) ^ escapes;
    // Some byte is zero.
    std::uint32_t words = __ballot_sync(kWholeWarp, ((other - 0x01010101U) & ~other & 0x80808080U) != 0);
    for (; words != 0; words &= words - 1) {
      std::int8_t* const four = weights + begin + 4 * (__ffs(static_cast<int>(words)) - 1);
      for (int i = 0; i < 4; ++i) {
        if (four[i] != c.value) continue;
        const std::int8_t value = c.rare[serial.index(c.rare_count)];
        __syncwarp();
        if (lane_id() == 0) four[i] = value;
      }
    }
  }
}

__global__ void __launch_bounds__(kBlock)
    decode_kernel(const AnsMatrixView* __restrict__ matrix, std::uint32_t classes,
                  const AnsTask* __restrict__ tasks, std::uint32_t count,
                  const std::uint8_t* __restrict__ bytes, std::int8_t* out, std::uint32_t* bad) {
  __shared__ std::uint32_t slots[kSlots];
  alignas(16) __shared__ std::uint16_t rings[kBlock / kWarp][kRingWords];
  __shared__ std::uint16_t heads[kBlock / kWarp][64];
  const std::uint32_t warp = threadIdx.x / kWarp;
  const std::uint32_t lane = lane_id();
  AnsTask task{};
  if (warp_id() < count) task = tasks[warp_id()];
  out += task.out;
  const bool has_lanes = task.words > 0;
  const std::uint64_t aligned = task.bytes & ~std::uint64_t{15};
  const auto shift = static_cast<std::uint32_t>(task.bytes - aligned);
  const std::uint32_t end = shift + task.size;
  std::uint32_t position = (shift + task.words) / 2;  // words
  WordRing ring(rings[warp], bytes + aligned, position, end);
  States states{};
  bool good = true;
  if (has_lanes) {
    const std::uint8_t* const sizes = bytes + task.bytes + 1;
    const std::uint32_t first = ans_head_bits(sizes, 2 * lane);
    const std::uint32_t second = ans_head_bits(sizes, 2 * lane + 1);
    const std::uint32_t at = scan(first + second) - first - second;
    const std::uint32_t head = task.words - 33;
    states.first = ans_head_state(sizes + 32, head, at, first);
    states.second = ans_head_state(sizes + 32, head, at + first, second);
  }
  for (std::uint32_t c = 0; c < classes; ++c) {
    const AnsClassView& view = matrix->classes[c];
    if (view.slots == nullptr) {
      const std::uint32_t end_of_class = view.end * task.rows;
      for (std::uint32_t i = view.begin * task.rows + lane; i < end_of_class; i += kWarp) {
        out[i] = static_cast<std::int8_t>(view.value);
      }
      continue;
    }
    __syncthreads();
    for (std::uint32_t i = threadIdx.x; i < kSlots; i += kBlock) slots[i] = view.slots[i];
    __syncthreads();
    const AnsRegion region = ans_region(*matrix, task.rows, task.tail, c);
    if (!has_lanes || !good || region.main == 0) continue;
    good = decode_lanes(slots, ring, states, position, end, out + region.begin + 2 * lane, region.main / 64);
  }
  if (task.size == 0) return;
  if (has_lanes) {
    good = __ballot_sync(kWholeWarp, !good || states.first >> 16 != 1 || states.second >> 16 != 1) == 0;
    heads[warp][2 * lane] = static_cast<std::uint16_t>(states.first);
    heads[warp][2 * lane + 1] = static_cast<std::uint16_t>(states.second);
    __syncwarp();
  }
  const std::uint32_t rest = has_lanes ? 2 * position : shift + 1;
  if (good) {
    // All lanes of the warp do the same.
    AnsSerial serial(heads[warp], has_lanes ? 64 : 0, bytes + aligned + rest, end - rest);
    for (std::uint32_t c = 0; c < classes; ++c) {
      const AnsRegion region = ans_region(*matrix, task.rows, task.tail, c);
      decode_rare(matrix->classes[c], out + region.begin,
                  matrix->classes[c].slots == nullptr ? 0 : region.main, serial);
    }
    for (std::uint32_t c = 0; c < classes; ++c) {
      const AnsRegion region = ans_region(*matrix, task.rows, task.tail, c);
      std::int8_t* const tail = out + region.begin + region.main;
      for (std::uint32_t i = 0; i < region.tail; ++i) {
        const std::int8_t value = serial.weight(matrix->classes[c]);
        if (lane == 0) tail[i] = value;
      }
    }
    good = serial.finished();
  }
  if (!good && lane == 0) atomicOr(bad, 1U);
}

constexpr std::uint32_t kRestoreColumns = kBlock;  // of a block, a thread each

/// A block of threads takes 16 rows of the matrix from left to right.
__global__ void __launch_bounds__(kBlock)
    restore_kernel(AnsOrderView order, const RestoreTask* __restrict__ tasks,
                   const std::int8_t* __restrict__ from, std::int8_t* __restrict__ out, std::size_t stride) {
  alignas(16) __shared__ std::int8_t tile[kAnsBlockRows][kRestoreColumns];
  const RestoreTask task = tasks[blockIdx.x];
  const std::uint32_t left = task.rows - task.first;
  const std::uint32_t height = left < kAnsBlockRows ? left : kAnsBlockRows;
  from += task.from;
  out += task.row * stride;
  for (std::uint32_t begin = 0; begin < stride; begin += kRestoreColumns) {
    const std::uint32_t column = begin + threadIdx.x;
    if (column >= order.cols) {
      for (std::uint32_t row = 0; row < height; ++row) tile[row][threadIdx.x] = 0;
    } else if (order.place == nullptr) {
      for (std::uint32_t row = 0; row < height; ++row) {
        tile[row][threadIdx.x] = from[std::uint64_t{task.first + row} * order.cols + column];
      }
    } else {
      const std::int8_t* const at = from + ans_column_at(order, column, task.rows, task.first, height);
      for (std::uint32_t row = 0; row < height; ++row) tile[row][threadIdx.x] = at[row];
    }
    __syncthreads();
    const std::uint32_t words =
        static_cast<std::uint32_t>(stride - begin < kRestoreColumns ? stride - begin : kRestoreColumns) / 4;
    for (std::uint32_t i = threadIdx.x; i < height * (kRestoreColumns / 4); i += kBlock) {
      const std::uint32_t row = i / (kRestoreColumns / 4);
      const std::uint32_t word = i % (kRestoreColumns / 4);
      if (word >= words) continue;
      store_word(out + row * stride + begin + 4 * word,
                 load_word(reinterpret_cast<const std::uint8_t*>(tile[row]), word));
    }
    __syncthreads();
  }
}

}  // namespace

void ans_decode(const AnsMatrixView* matrix, std::uint32_t classes, const AnsTask* tasks, std::uint32_t count,
                const std::uint8_t* bytes, std::int8_t* out, std::uint32_t* bad, Stream stream) {
  launch(decode_kernel, blocks_of_warps(count), kBlock, stream, matrix, classes, tasks, count, bytes, out,
         bad);
}

void restore_order(const AnsOrderView& order, const RestoreTask* tasks, std::uint32_t count,
                   const std::int8_t* from, std::int8_t* out, std::size_t stride, Stream stream) {
  launch(restore_kernel, count, kBlock, stream, order, tasks, from, out, stride);
}

}  // namespace twofold::device
