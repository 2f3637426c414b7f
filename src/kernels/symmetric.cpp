#include "kernels/symmetric.h"

#include <cblas.h>

#include <algorithm>
#include <climits>
#include <cmath>
#include <utility>
#include <vector>

#include "base/error.h"
#include "kernels/blas_turn.h"

namespace twofold {

namespace {

constexpr std::size_t kPanel = 128;  // columns factorized at once

int blas_int(std::size_t n) {
  if (n > INT_MAX) fail("a matrix dimension is over {}", INT_MAX);
  return static_cast<int>(n);
}

/// Pairs (i, j) of block numbers, j <= i, from `first` on.
std::vector<std::pair<std::size_t, std::size_t>> lower_blocks(std::size_t first, std::size_t count) {
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  for (std::size_t i = first; i < count; ++i) {
    for (std::size_t j = first; j <= i; ++j) pairs.emplace_back(i, j);
  }
  return pairs;
}

/// The factor of one diagonal block, in double.
bool factor_block(float* a, std::size_t stride, std::size_t n) {
  std::vector<double> l(n * n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double sum = a[i * stride + j];
      for (std::size_t k = 0; k < j; ++k) sum -= l[i * n + k] * l[j * n + k];
      if (i == j && !(sum > 0)) return false;
      l[i * n + j] = i == j ? std::sqrt(sum) : sum / l[j * n + j];
      a[i * stride + j] = static_cast<float>(l[i * n + j]);
    }
  }
  return true;
}

std::size_t gram_block(std::size_t cols) {
  return cols >= 2048 ? 512 : 128;  // small matrices still have work for several threads
}

}  // namespace

void add_gram(const float* x, std::size_t tokens, std::size_t cols, float* gram, ThreadPool& pool) {
  const std::size_t block = gram_block(cols);
  const auto pairs = lower_blocks(0, (cols + block - 1) / block);
  pool.run(pairs.size(), [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t p = begin; p < end; ++p) {
      const std::size_t row = pairs[p].first * block;
      const std::size_t col = pairs[p].second * block;
      const auto turn = blas_turn();
      cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, blas_int(std::min(block, cols - row)),
                  blas_int(std::min(block, cols - col)), blas_int(tokens), 1.0F, x + row, blas_int(cols),
                  x + col, blas_int(cols), 1.0F, gram + row * cols + col, blas_int(cols));
    }
  });
}

bool cholesky(float* a, std::size_t n, ThreadPool& pool) {
  const int stride = blas_int(n);
  const std::size_t blocks = (n + kPanel - 1) / kPanel;
  const auto size = [&](std::size_t block) { return std::min(kPanel, n - block * kPanel); };
  const auto at = [&](std::size_t i, std::size_t j) { return a + i * kPanel * n + j * kPanel; };
  for (std::size_t k = 0; k < blocks; ++k) {
    if (!factor_block(at(k, k), n, size(k))) return false;
    pool.run(blocks - k - 1, [&](std::size_t begin, std::size_t end, int) {
      for (std::size_t i = k + 1 + begin; i < k + 1 + end; ++i) {
        const auto turn = blas_turn();
        cblas_strsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, blas_int(size(i)),
                    blas_int(size(k)), 1.0F, at(k, k), stride, at(i, k), stride);
      }
    });
    const auto pairs = lower_blocks(k + 1, blocks);
    pool.run(pairs.size(), [&](std::size_t begin, std::size_t end, int) {
      for (std::size_t p = begin; p < end; ++p) {
        const auto [i, j] = pairs[p];
        const auto turn = blas_turn();
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_int(size(i)), blas_int(size(j)),
                    blas_int(size(k)), -1.0F, at(i, k), stride, at(j, k), stride, 1.0F, at(i, j), stride);
      }
    });
  }
  return true;
}

void gemm_add(const float* a, std::size_t a_stride, const float* b, std::size_t b_stride, float* c,
              std::size_t c_stride, std::size_t m, std::size_t n, std::size_t k) {
  if (m == 0 || n == 0 || k == 0) return;
  const auto turn = blas_turn();
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_int(m), blas_int(n), blas_int(k), 1.0F, a,
              blas_int(a_stride), b, blas_int(b_stride), 1.0F, c, blas_int(c_stride));
}

}  // namespace twofold
