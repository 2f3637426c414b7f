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
  const AttentionVariant& variant;
  const float* bias;  // of the first of its queries, or nullptr
  float* scores;      // [rows, kKeyBlock]
  float* queries;     // [rows, head_dim], times the scale
  float* mixed;       // [rows, head_dim], sum over the positions so far of exp(s - max) * value
  float* maxima;      // [rows], of s
  float* sums;        // [rows], of exp(s - max)

  static Size floats(Size rows, Size head_dim) { return rows * (2 * head_dim + kKeyBlock + 2); }

  HeadState(Size tokens, Size query_heads, Size width, Size first_position, const AttentionVariant& changed,
            Size key_head, float* memory)
      : rows(tokens * query_heads),
        heads(query_heads),
        head_dim(width),
        position(first_position),
        variant(changed),
        bias(changed.bias == nullptr ? nullptr : changed.bias + key_head * heads * changed.bias_stride) {
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

  /// Turns a row's scores into weights relative to the maximum so far, zero for positions after its own and
  /// before its window.
  void weigh(Size row, Size begin, Size end) {
    float* s = scores + row * kKeyBlock;
    const Size after = position + row / heads + 1;
    const Size visible = std::min(end, after) - begin;
    Size hidden = 0;
    if (variant.window > 0 && after > begin + variant.window) {
      hidden = std::min(after - variant.window - begin, visible);
      std::fill(s, s + hidden, 0.0F);
    }
    std::fill(s + visible, s + (end - begin), 0.0F);
    if (hidden == visible) return;
    change(row, s, begin, hidden, visible);
    const float old_max = maxima[row];
    const float sum = ops().softmax_part(s + hidden, visible - hidden, maxima[row]);
    if (maxima[row] != old_max) {
      const float factor = std::exp(old_max - maxima[row]);
      sums[row] *= factor;
      for (Size i = 0; i < head_dim; ++i) mixed[row * head_dim + i] *= factor;
    }
    sums[row] += sum;
  }

  /// Soft cap and bias of the scores of positions [begin + first, begin + last).
  void change(Size row, float* s, Size begin, Size first, Size last) const {
    if (variant.soft_cap > 0) {
      for (Size j = first; j < last; ++j) s[j] = variant.soft_cap * std::tanh(s[j] / variant.soft_cap);
    }
    if (bias == nullptr) return;
    const float* added = bias + row % heads * variant.bias_stride + begin;
    for (Size j = first; j < last; ++j) s[j] += variant.bias_scale * added[j];
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
            float* out, Size out_stride, Size kv_heads, const AttentionVariant& variant) {
  if (tokens == 0 || heads == 0) return;
  const Size width = heads * head_dim;
  const Size floats = HeadState::floats(tokens * heads, head_dim);
  if (scratch.size() < kv_heads * floats) {
    scratch.clear();
    scratch.resize(kv_heads * floats);
  }
  const auto state = [&](Size g) {
    return HeadState(tokens, heads, head_dim, position, variant, g, scratch.data() + g * floats);
  };
  for (Size g = 0; g < kv_heads; ++g) state(g).begin(q + g * width, q_stride, scale);

  const bool few = tokens * heads <= kFewRows;
  const Size block = few ? kFewKeyBlock : kKeyBlock;
  const Size end = position + tokens;
  Size next = 0;
  for (Size j = variant.window > 0 && position >= variant.window ? position + 1 - variant.window : 0; j < end;
       j = next) {
    next = std::min(j / block * block + block, end);
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
