#pragma once

#include <cstddef>
#include <cstdint>

// What a transformer computes between its products, on the GPU. As in launch.h, pointers are to the GPU's
// memory and functions return before the kernels are done. Floats are as the CPU's but for the last bits:
// sums have another order, and exponentials are those of the GPU.
namespace twofold::device {

using Stream = void*;

enum class StepFloat : std::uint8_t { kF32, kF16, kBF16 };

/// The vectors that a group of linears multiplies, [tokens, cols]; token t's begin at x + t * stride.
struct StepValues {
  enum class Kind : std::uint8_t {
    kAsIs,    // x
    kNormed,  // x / sqrt(mean(x^2) + eps) * other
    kGated,   // x / (1 + exp(-x)) * other, where `other` has the same stride
  };
  Kind kind;
  const float* x;
  const float* other;
  std::size_t stride;
  std::uint32_t cols;
  float eps;
};

/// The same as INT8, x ~ step * q / inverse (docs/method.md), columns in a matrix's order. Every token has
/// `stride` of them, a multiple of 64, zeros behind the last.
struct StepQuantized {
  const std::uint32_t* column;  // at each place of a row; nullptr: the place itself
  const float* inverse;         // 1 / input scale, by place; nullptr: all 1
  float step;                   // > 0: of every token; 0: each token's own, from its maximum
  std::size_t stride;
  std::int8_t* q;
  std::int32_t* group_sums;  // of 64 places
  float* steps;              // of the tokens
};

/// Computes the values into `floats`, [tokens, cols], unless they are as they are; and quantizes them unless
/// to.q is nullptr. With the same floats the integers are those of Ops::quantize.
void prepare_input(const StepValues& values, float* floats, const StepQuantized& to, std::uint32_t tokens,
                   Stream stream);

/// A linear's products, which become y = sums * step of the token * scale of the row + bias.
struct StepProducts {
  const std::int32_t* sums;  // [tokens, rows]
  const float* steps;
  const float* scale;
  bool scale_per_row;  // else there is one
  const float* bias;   // or nullptr
  std::uint32_t rows;
  float* y;  // token t's at y + t * y_stride
};

inline constexpr int kStepProducts = 3;

/// Up to kStepProducts linears of one input. `add`: to what y has.
void finish_products(const StepProducts* linears, int count, std::size_t y_stride, bool add,
                     std::uint32_t tokens, Stream stream);

/// y = x W' + bias with floats W [rows, cols], cols even.
struct StepDense {
  const void* weights;
  StepFloat type;
  std::uint32_t rows, cols;
  const float* bias;  // or nullptr
};
void multiply_floats(const StepDense& dense, const float* x, std::size_t x_stride, float* y,
                     std::size_t y_stride, bool add, std::uint32_t tokens, Stream stream);

/// Keys and values of a layer, [kv head, capacity, head_dim] each, floats or halves.
struct StepCache {
  void* keys;
  void* values;
  bool half;
  std::uint32_t capacity;  // positions
};

/// Heads of a layer. Token t of a pass is at position *position + t, which is below the cache's capacity.
struct StepHeads {
  std::uint32_t heads, kv_heads, head_dim;  // head_dim even, at most kStepHeadDim
  const std::uint32_t* position;
};
inline constexpr std::uint32_t kStepHeadDim = 256;

struct StepRotation {
  const float* cosines;  // [position, half]
  const float* sines;
  std::uint32_t half;   // pairs (i, i + half) of a head; 0: none
  const float* q_norm;  // weights of a norm of each head before rotation, or nullptr
  const float* k_norm;
  float q_eps, k_eps;
};

/// Norms and rotates queries in place and keys, and appends keys and values to the cache. `qkv` has for each
/// token its queries, keys and values.
void append_heads(const StepHeads& heads, const StepRotation& rotation, float* qkv, const StepCache& cache,
                  std::uint32_t tokens, Stream stream);

/// Causal attention as `attend` of kernels/attention.h. `window` > 0: a token sees so many positions.
struct StepAttention {
  float scale;
  std::uint32_t window;
  std::uint32_t splits;  // parts of the context that blocks take side by side
  float* partial;        // [tokens, heads, splits, head_dim + 2], where there are several
};
void attend_heads(const StepHeads& heads, const StepAttention& attention, const float* qkv,
                  const StepCache& cache, float* out, std::uint32_t tokens, Stream stream);

}  // namespace twofold::device
