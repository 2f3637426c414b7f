#pragma once

#include <cstddef>

#include "base/aligned.h"

namespace twofold {

/// What some models change of attention.
struct AttentionVariant {
  float soft_cap = 0;           // c > 0: c tanh(s / c) instead of the score s
  std::size_t window = 0;       // > 0: a token sees the last `window` positions only, its own included
  const float* bias = nullptr;  // bias_scale * bias[n * bias_stride + j] is added to head n's score of key j
  std::size_t bias_stride = 0;
  float bias_scale = 1;
};

/// Causal attention for consecutive tokens of one sequence, where `heads` query heads share each key and
/// value head (grouped-query attention). For token t < tokens and query head h < heads of key head g <
/// kv_heads, with n = g * heads + h:
///
///   s[j]      = scale * sum over i of q[t * q_stride + n * head_dim + i] * keys[j * kv_stride + g * head_dim
///   + i] out[t, n] = sum over j of softmax(s)[j] * values[j * kv_stride + g * head_dim ...], 0 <= j <=
///   position + t
///
/// with out[t, n] at out[t * out_stride + n * head_dim]. The cache holds at least position + tokens
/// positions, the tokens' own included; all pointers are those of the first head and of position 0. `scratch`
/// grows to what is needed, kv_heads * heads * tokens * (2 * head_dim + 258) floats however long the sequence
/// is; its contents are lost.
///
/// Runs on the calling thread; split heads, and blocks of some dozen tokens, among threads. One call for
/// several neighbouring key heads of one token reads memory in longer pieces than a call for each. The result
/// for a token is the same bit for bit however heads and tokens are split, except that blocks of tokens *
/// heads <= kFewRows sum in another order than larger ones, and that with a window the last bits depend on
/// where the first token's begins. Keys before the first token's window are not read.
void attend(const float* q, std::size_t q_stride, const float* keys, const float* values,
            std::size_t kv_stride, std::size_t position, std::size_t tokens, std::size_t heads,
            std::size_t head_dim, float scale, AlignedVector<float>& scratch, float* out,
            std::size_t out_stride, std::size_t kv_heads = 1, const AttentionVariant& variant = {});

}  // namespace twofold
