#include <algorithm>
#include <cmath>

#include "compress/pruner.h"
#include "kernels/symmetric.h"

namespace twofold {

/// SparseGPT (Frantar and Alistarh, arXiv 2301.00774, algorithm 1): for each block of 128 columns the weights
/// with the smallest w^2 / [H^-1]_jj, in the Cholesky form w^2 D_j^2, go, and those of the columns still to
/// come make up for it. As in their code the score is compared over all rows of the block.
void prune_sparsegpt(const LinearTask& task) {
  constexpr std::size_t kBlock = 128;
  constexpr std::size_t kRows = 64;  // a unit of work
  const ErrorMetric& metric = *task.metric;
  const std::size_t cols = task.width();
  const auto rows = static_cast<std::size_t>(task.rows);
  AlignedVector<float> delta(rows * cols);  // weight - new weight, by place in the metric
  AlignedVector<float> target(rows * kBlock);
  std::vector<float> scores(rows * kBlock);
  const std::size_t units = (rows + kRows - 1) / kRows;
  std::size_t end = cols;
  while (end > 0) {
    const std::size_t begin = (end - 1) / kBlock * kBlock;
    const std::size_t width = end - begin;
    task.pool.run(units, [&](std::size_t first_unit, std::size_t last_unit, int) {
      for (std::size_t unit = first_unit; unit < last_unit; ++unit) {
        const std::size_t first = unit * kRows;
        const std::size_t count = std::min(kRows, rows - first);
        for (std::size_t r = first; r < first + count; ++r) {
          for (std::size_t k = 0; k < width; ++k) {
            target[r * width + k] = task.weights[r * cols + metric.channel(begin + k)];
          }
        }
        gemm_add(&delta[first * cols + end % cols], cols, &metric.factor[end < cols ? end * cols + begin : 0],
                 cols, &target[first * width], width, count, width, cols - end);
        // The weights that the block would have if none of them went.
        std::vector<float> kept(width);
        for (std::size_t r = first; r < first + count; ++r) {
          kept.assign(&target[r * width], &target[r * width] + width);
          for (std::size_t k = width; k-- > 0;) {
            scores[r * width + k] = std::fabs(kept[k]) * metric.diagonal[begin + k];
            const float difference = task.weights[r * cols + metric.channel(begin + k)] - kept[k];
            const float* factor = &metric.factor[(begin + k) * cols + begin];
            for (std::size_t left = 0; left < k; ++left) kept[left] += difference * factor[left];
          }
        }
      }
    });
    std::vector<float> sorted(scores.begin(), scores.begin() + static_cast<std::ptrdiff_t>(rows * width));
    const auto count = static_cast<std::size_t>(task.recipe.sparsity * static_cast<double>(sorted.size()));
    const auto nth = sorted.begin() + static_cast<std::ptrdiff_t>(count);
    std::nth_element(sorted.begin(), nth, sorted.end());
    const float threshold = *nth;  // there is one: the sparsity is below 1
    task.pool.run(rows, [&](std::size_t first, std::size_t last, int) {
      for (std::size_t r = first; r < last; ++r) {
        float* t = &target[r * width];
        for (std::size_t k = width; k-- > 0;) {
          float& weight = task.weights[r * cols + metric.channel(begin + k)];
          const float value = scores[r * width + k] < threshold ? 0.0F : t[k];
          const float difference = weight - value;
          delta[r * cols + begin + k] = difference;
          weight = value;
          const float* factor = &metric.factor[(begin + k) * cols + begin];
          for (std::size_t left = 0; left < k; ++left) t[left] += difference * factor[left];
        }
      }
    });
    end = begin;
  }
}

}  // namespace twofold
