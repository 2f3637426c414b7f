#include "compress/backward/products.h"

#include <algorithm>

#include "compress/stage_one.h"
#include "kernels/ops.h"

namespace twofold {

namespace {

constexpr std::size_t kUnit = 64;  // rows or columns of a product per unit of parallel work

}  // namespace

LinearMatrices::LinearMatrices(const Checkpoint& checkpoint, std::span<const LinearSpec* const> linears,
                               ThreadPool& pool) {
  for (const LinearSpec* linear : linears)
    by_name_.emplace(linear->name, load_linear(checkpoint, *linear, pool));
}

void backward_input(const float* dy, std::size_t tokens, const float* w, std::size_t rows, std::size_t cols,
                    float* dx, bool add, ThreadPool& pool) {
  pool.run((cols + kUnit - 1) / kUnit, [&](std::size_t begin, std::size_t end, int) {
    const std::size_t first = begin * kUnit;
    ops().gemm_nn({.a = dy,
                   .a_stride = rows,
                   .b = w + first,
                   .b_stride = cols,
                   .c = dx + first,
                   .c_stride = cols,
                   .m = tokens,
                   .n = std::min(cols, end * kUnit) - first,
                   .k = rows,
                   .add = add});
  });
}

void backward_weight(const float* dy, const float* x, std::size_t tokens, std::size_t rows, std::size_t cols,
                     float* dw, ThreadPool& pool) {
  pool.run((rows + kUnit - 1) / kUnit, [&](std::size_t begin, std::size_t end, int) {
    const std::size_t first = begin * kUnit;
    const std::size_t count = std::min(rows, end * kUnit) - first;
    AlignedVector<float> turned(count * tokens);
    transpose(dy + first, rows, tokens, count, turned.data());
    ops().gemm_nn({.a = turned.data(),
                   .a_stride = tokens,
                   .b = x,
                   .b_stride = cols,
                   .c = dw + first * cols,
                   .c_stride = cols,
                   .m = count,
                   .n = cols,
                   .k = tokens});
  });
}

void transpose(const float* x, std::size_t stride, std::size_t rows, std::size_t cols, float* out) {
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < cols; ++j) out[j * rows + i] = x[i * stride + j];
  }
}

}  // namespace twofold
