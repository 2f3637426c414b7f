#pragma once

#include <cstddef>
#include <cstdint>

#include "base/aligned.h"
#include "base/cpu.h"

namespace twofold {

/// Up to this many rows of a, gemm_nt takes dot products; above it packs b first, which pays only when it is
/// used often.
inline constexpr std::size_t kFewRows = 12;

/// Tokens are packed for matmul_i8 in groups of this many.
inline constexpr std::size_t kPackedTokens = 16;

/// Bytes that pack_i8 fills, or fewer; they begin on a cache line when speed matters.
constexpr std::size_t packed_i8_size(std::size_t tokens, std::size_t cols) {
  return tokens * (align_up(cols) + kAlignment);
}

/// Matrices of one float product. None overlaps another; c is [m, n].
struct Gemm {
  const float* a;
  std::size_t a_stride;  // elements from one row of a [m, k] to the next
  const float* b;
  std::size_t b_stride;
  float* c;
  std::size_t c_stride;
  std::size_t m, n, k;
  bool add = false;  // add to c instead of overwriting it
};

/// The inner loops, one table of functions per instruction set, so that the choice is made once. All
/// pointers are unaligned and non-overlapping unless said; n may be 0. Integer results are the same on every
/// instruction set; float results may differ in the last bits (sums in another order).
struct Ops {
  Isa isa;

  /// Sum of a[i] * b[i].
  float (*dot)(const float* a, const float* b, std::size_t n);
  /// y[i] += scale * x[i].
  void (*axpy)(float scale, const float* x, float* y, std::size_t n);

  /// out[i] = x[i] * weight[i] / sqrt(mean(x^2) + eps). out may be x.
  void (*rms_norm)(const float* x, const float* weight, float eps, std::size_t n, float* out);

  /// c = a b' with b [n, k]. An element of c depends on its row of a, its row of b and on whether
  /// m > kFewRows, but not on where those rows stand: blocks of a product equal the whole bit for bit.
  void (*gemm_nt)(const Gemm& product);
  /// c = a b with b [k, n]. An element of c depends only on its row of a and its column of b.
  void (*gemm_nn)(const Gemm& product);

  /// x[i] = exp(x[i] - max) / sum, in place.
  void (*softmax)(float* x, std::size_t n);

  /// One block of a softmax that sees its input in parts: raises `max` to the maximum of itself and x, then
  /// x[i] = exp(x[i] - max), and returns their sum (Milakov and Gimelshein, arXiv 1805.02867).
  float (*softmax_part)(float* x, std::size_t n, float& max);

  /// gate[i] = gate[i] / (1 + exp(-gate[i])) * up[i], in place (SwiGLU).
  void (*swiglu)(float* gate, const float* up, std::size_t n);

  /// Rotates pairs (x[i], x[i + half]) by the angles whose cosine and sine are given: `half` pairs of one
  /// head, the "half-split" order of Hugging Face.
  void (*rope)(float* x, const float* cosines, const float* sines, std::size_t half);

  /// bf16/f16 bits to float.
  void (*bf16_to_float)(const std::uint16_t* x, float* out, std::size_t n);
  void (*f16_to_float)(const std::uint16_t* x, float* out, std::size_t n);

  /// max |x[i] * inv_scale[i]|; inv_scale may be nullptr (all 1).
  float (*abs_max)(const float* x, const float* inv_scale, std::size_t n);

  /// q[i] = clamp(round_to_nearest_even(x[i] * inv_scale[i] * inv_step), -127, 127); inv_scale may be
  /// nullptr. The two products are rounded one after the other in that order on every set, so that all give
  /// the same integers. NaN gives 0.
  void (*quantize)(const float* x, const float* inv_scale, float inv_step, std::size_t n, std::int8_t* q);

  /// Puts the tokens [begin, end) of x [tokens, cols] into the order in which this set's matmul_i8 reads
  /// them; begin is a multiple of kPackedTokens, and so is end unless it is `tokens`. No activation is -128.
  /// `packed`, of packed_i8_size(tokens, cols) bytes, is that of the whole batch.
  void (*pack_i8)(const std::int8_t* x, std::size_t x_stride, std::size_t cols, std::size_t tokens,
                  std::size_t begin, std::size_t end, std::int8_t* packed);

  /// out[t * out_stride + r] = sum over c of w[r * cols + c] * x[t][c], exact in 32 bits, for tokens that
  /// pack_i8 of the same set packed. No weight is -128. cols <= 131072, so that no sum can overflow.
  void (*matmul_i8)(const std::int8_t* w, std::size_t rows, std::size_t cols, const std::int8_t* packed,
                    std::size_t tokens, std::int32_t* out, std::size_t out_stride);
};

const Ops& scalar_ops();
const Ops& avx2_ops();      // x86-64 only
const Ops& avx2vnni_ops();  // x86-64 only
const Ops& avx512_ops();    // x86-64 only
const Ops& neon_ops();      // 64-bit ARM only
const Ops& neondot_ops();   // 64-bit ARM only

/// The table for a set that this CPU runs.
const Ops& ops_for(Isa isa);

/// The table for active_isa().
const Ops& ops();

}  // namespace twofold
