#include "kernels/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/ops.h"

namespace twofold {

namespace {

using Size = std::size_t;

constexpr Size kKeyBlock = 256;    // positions per step: their scores and values stay in L2
constexpr Size kFewKeyBlock = 64;  // the same for a few queries, where only memory counts

/// The queries of one key head and what they have seen of it so far (Dao et al., "FlashAttention",
/// arXiv 2205.14135, algorithm 1). Row = token * heads + head.
struct HeadState {
  Size rows, heads, head_dim, position;
  float* scores;   // [rows, kKeyBlock]
  float* queries;  // [rows, head_dim], times the scale
  float* mixed;    // [rows, head_dim], sum over the positions so far of exp(s - max) * value
  float* maxima;   // [rows], of s
  float* sums;     // [rows], of exp(s - max)

  static Size floats(Size rows, Size head_dim) { return rows * (2 * head_dim + kKeyBlock + 2); }

  HeadState(Size tokens, Size query_heads, Size width, Size first_position, float* memory)
      : rows(tokens * query_heads), heads(query_heads), head_dim(width), position(first_position) {
    scores = memory;
    queries = scores + rows * kKeyBlock;
    mixed = queries + rows * head_dim;
    maxima = mixed + rows * head_dim;
    sums = maxima + rows;
  }

  void begin(const float* q, Size q_stride, float scale) {
    const Size width = heads * head_dim;
    for (Size t = 0; t < rows / heads; ++t) {
      for (Size i = 0; i < width; ++i) queries[t * width + i] = scale * q[t * q_stride + i];
    }
    std::fill_n(mixed, rows * head_dim, 0.0F);
    std::fill_n(maxima, rows, -std::numeric_limits<float>::infinity());
    std::fill_n(sums, rows, 0.0F);
  }

  /// Positions [begin, end), at most kKeyBlock.
  void add(const float* keys, const float* values, Size kv_stride, Size begin, Size end) {
    const Size first = begin > position ? (begin - position) * heads : 0;  // row that sees some of them
    // Some more when few are left, so that gemm_nt sums in the same order for every block of the sequence.
    const Size scored = std::min(first, rows - std::min(rows, kFewRows + 1));
    ops().gemm_nt({.a = queries + scored * head_dim,
                   .a_stride = head_dim,
                   .b = keys + begin * kv_stride,
                   .b_stride = kv_stride,
                   .c = scores + scored * kKeyBlock,
                   .c_stride = kKeyBlock,
                   .m = rows - scored,
                   .n = end - begin,
                   .k = head_dim});
    for (Size row = first; row < rows; ++row) weigh(row, begin, end);
    ops().gemm_nn({.a = scores + first * kKeyBlock,
                   .a_stride = kKeyBlock,
                   .b = values + begin * kv_stride,
                   .b_stride = kv_stride,
                   .c = mixed + first * head_dim,
                   .c_stride = head_dim,
                   .m = rows - first,
                   .n = head_dim,
                   .k = end - begin,
                   .add = true});
  }

  /// Turns a row's scores into weights relative to the maximum so far, zero for positions after its own.
  void weigh(Size row, Size begin, Size end) {
    float* s = scores + row * kKeyBlock;
    const Size visible = std::min(end, position + row / heads + 1) - begin;
    const float old_max = maxima[row];
    const float sum = ops().softmax_part(s, visible, maxima[row]);
    std::fill(s + visible, s + (end - begin), 0.0F);
    if (maxima[row] != old_max) {
      const float factor = std::exp(old_max - maxima[row]);
      sums[row] *= factor;
      for (Size i = 0; i < head_dim; ++i) mixed[row * head_dim + i] *= factor;
    }
    sums[row] += sum;
  }

  void finish(float* out, Size out_stride) const {
    for (Size row = 0; row < rows; ++row) {
      float* result = out + row / heads * out_stride + row % heads * head_dim;
      for (Size i = 0; i < head_dim; ++i) result[i] = mixed[row * head_dim + i] / sums[row];
    }
  }
};

/// Asks for `rows` pieces of `count` floats, `stride` apart: too far for the hardware to see the pattern.
void prefetch(const float* data, Size stride, Size rows, Size count) {
  constexpr Size kLine = kAlignment / sizeof(float);
  for (Size row = 0; row < rows; ++row) {
    for (Size i = 0; i < count; i += kLine) __builtin_prefetch(data + row * stride + i, 0, 2);
  }
}

}  // namespace

void attend(const float* q, Size q_stride, const float* keys, const float* values, Size kv_stride,
            Size position, Size tokens, Size heads, Size head_dim, float scale, AlignedVector<float>& scratch,
            float* out, Size out_stride, Size kv_heads) {
  if (tokens == 0 || heads == 0) return;
  const Size width = heads * head_dim;
  const Size floats = HeadState::floats(tokens * heads, head_dim);
  if (scratch.size() < kv_heads * floats) {
    scratch.clear();
    scratch.resize(kv_heads * floats);
  }
  const auto state = [&](Size g) {
    return HeadState(tokens, heads, head_dim, position, scratch.data() + g * floats);
  };
  for (Size g = 0; g < kv_heads; ++g) state(g).begin(q + g * width, q_stride, scale);

  const bool few = tokens * heads <= kFewRows;
  const Size block = few ? kFewKeyBlock : kKeyBlock;
  const Size end = position + tokens;
  for (Size j = 0; j < end; j += block) {
    const Size next = std::min(j + block, end);
    for (Size g = 0; g < kv_heads; ++g) {
      const Size offset = g * head_dim;
      if (few) {
        const Size ahead = std::min(block, end - next);
        prefetch(keys + next * kv_stride + offset, kv_stride, ahead, head_dim);
        prefetch(values + next * kv_stride + offset, kv_stride, ahead, head_dim);
      }
      state(g).add(keys + offset, values + offset, kv_stride, j, next);
    }
  }
  for (Size g = 0; g < kv_heads; ++g) state(g).finish(out + g * width, out_stride);
}

}  // namespace twofold
