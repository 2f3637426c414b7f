#include "compress/backward/products.h"

#include <algorithm>

#include "compress/stage_one.h"

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
    AlignedVector<float> turned;
    gemm_tn({.a = dy + first,
             .a_stride = rows,
             .b = x,
             .b_stride = cols,
             .c = dw + first * cols,
             .c_stride = cols,
             .m = count,
             .n = cols,
             .k = tokens},
            turned);
  });
}

void gemm_tn(Gemm product, AlignedVector<float>& turned) {
  turned.resize(product.m * product.k);
  for (std::size_t i = 0; i < product.k; ++i) {
    for (std::size_t j = 0; j < product.m; ++j)
      turned[j * product.k + i] = product.a[i * product.a_stride + j];
  }
  product.a = turned.data();
  product.a_stride = product.k;
  ops().gemm_nn(product);
}

}  // namespace twofold
