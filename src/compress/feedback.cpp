#include "compress/feedback.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/interrupt.h"
#include "kernels/ops.h"
#include "kernels/symmetric.h"

namespace twofold {

namespace {

constexpr std::size_t kBlock = 128;  // columns between two matrix products

std::size_t strip_rows(std::size_t cols) {
  return cols >= 2048 ? 256 : 64;  // small matrices still have work for several threads
}

/// Nearest integer, ties to even, of |x| < 2^22, in a form that compilers vectorize.
inline float nearest(float x) {
  constexpr float kMagic = 12582912.0F;  // 1.5 * 2^23
  return (x + kMagic) - kMagic;
}

/// A strip of rows on its way through the columns.
class Strip {
 public:
  Strip(const FeedbackTask& task, std::size_t first, std::size_t rows, std::int8_t* q)
      : task_(task), cols_(task.metric.cols), first_(first), rows_(rows), q_(q), delta_(rows * cols_) {
    inverse_row_step_.resize(rows);
    row_step_.resize(rows);
    row_error_.resize(rows);
    for (std::size_t r = 0; r < rows; ++r) {
      row_step_[r] = task.row_step[task.row_step.size() > 1 ? first + r : 0];
      inverse_row_step_[r] = 1.0F / row_step_[r];
    }
  }

  /// Squared error of the output of each row.
  std::span<const double> run() {
    std::size_t end = cols_;
    while (end > 0) {
      const std::size_t begin = (end - 1) / kBlock * kBlock;
      run_block(begin, end);
      end = begin;
    }
    return row_error_;
  }

 private:
  void run_block(std::size_t begin, std::size_t end) {
    const std::size_t width = end - begin;
    pulled_.assign(rows_ * width, 0.0F);
    gemm_add(delta_.data() + end, cols_, &task_.metric.factor[end < cols_ ? end * cols_ + begin : 0], cols_,
             pulled_.data(), width, rows_, width, cols_ - end);
    for (std::vector<float>* buffer : {&weight_, &target_, &difference_, &level_})
      buffer->resize(width * rows_);
    by_tiles(width, [&](std::size_t r, std::size_t k) {
      const float w = task_.weights[(first_ + r) * cols_ + task_.metric.channel(begin + k)];
      weight_[k * rows_ + r] = w;
      target_[k * rows_ + r] = w + pulled_[r * width + k];
    });
    for (std::size_t k = width; k-- > 0;) {
      const std::size_t at = k * rows_;
      quantize_column(begin + k, &weight_[at], &target_[at], &level_[at], &difference_[at]);
      const float* factor = &task_.metric.factor[(begin + k) * cols_ + begin];
      for (std::size_t left = 0; left < k; ++left) {
        ops().axpy(factor[left], &difference_[at], &target_[left * rows_], rows_);
      }
    }
    by_tiles(width, [&](std::size_t r, std::size_t k) {
      delta_[r * cols_ + begin + k] = difference_[k * rows_ + r];
      q_[r * cols_ + task_.metric.channel(begin + k)] = static_cast<std::int8_t>(level_[k * rows_ + r]);
    });
  }

  /// body(row, k) for every row and k < width: few rows at a time, so that their cache lines stay while one
  /// column follows the other.
  template <typename Body>
  void by_tiles(std::size_t width, const Body& body) {
    constexpr std::size_t kTile = 8;
    for (std::size_t first = 0; first < rows_; first += kTile) {
      const std::size_t last = std::min(rows_, first + kTile);
      for (std::size_t k = 0; k < width; ++k) {
        for (std::size_t r = first; r < last; ++r) body(r, k);
      }
    }
  }

  void quantize_column(std::size_t place, const float* weight, const float* target, float* level,
                       float* difference) {
    const std::size_t column = task_.metric.channel(place);
    const float step = task_.column_step[column];
    const float inverse = 1.0F / step;
    const auto levels = static_cast<float>(task_.levels);
    for (std::size_t r = 0; r < rows_; ++r) {
      const float x = target[r] * inverse * inverse_row_step_[r];
      level[r] = nearest(std::min(std::max(x, -levels), levels));
    }
    if (task_.prices != nullptr) {
      const auto& prices = task_.prices->classes[task_.prices->column_class[column]];
      const auto price_of = [&](float q) {
        return prices[static_cast<std::uint8_t>(static_cast<int>(q) + 128)];
      };
      for (std::size_t r = 0; r < rows_; ++r) {
        const float x = target[r] * inverse * inverse_row_step_[r];
        const float z = level[r];
        const float nearer = z - (z > 0 ? 1.0F : z < 0 ? -1.0F : 0.0F);
        const float cost = (x - z) * (x - z) + price_of(z);
        const float other = (x - nearer) * (x - nearer) + price_of(nearer);
        if (other < cost) level[r] = nearer;
      }
    }
    if (task_.keep_zeros) {
      for (std::size_t r = 0; r < rows_; ++r) level[r] = weight[r] == 0 ? 0 : level[r];
    }
    const float diagonal = task_.metric.diagonal[place];
    for (std::size_t r = 0; r < rows_; ++r) {
      const float value = level[r] * step * row_step_[r];
      difference[r] = weight[r] - value;
      const float error = (target[r] - value) * diagonal;
      row_error_[r] += static_cast<double>(error) * error;
    }
  }

  const FeedbackTask& task_;
  std::size_t cols_;
  std::size_t first_;
  std::size_t rows_;
  std::int8_t* q_;
  AlignedVector<float> delta_;  // [rows, cols] weight - value, by place in the metric
  std::vector<float> inverse_row_step_, row_step_, pulled_;
  std::vector<float> weight_, target_, level_, difference_;  // [width, rows] of a block
  std::vector<double> row_error_;
};

}  // namespace

SymbolPrices make_prices(std::span<const std::int8_t> q, std::size_t cols, double kappa) {
  constexpr double kPerOctave = 2;  // classes
  constexpr int kClasses = 32;
  SymbolPrices prices;
  const std::size_t rows = q.size() / std::max<std::size_t>(cols, 1);
  std::vector<std::uint64_t> sums(cols);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < cols; ++c) {
      sums[c] += static_cast<std::uint64_t>(std::abs(static_cast<int>(q[r * cols + c])));
    }
  }
  std::vector<std::array<double, 256>> counts(kClasses);
  for (auto& table : counts) table.fill(0.3);  // what has not been seen costs much, but not everything
  prices.column_class.resize(cols);
  for (std::size_t c = 0; c < cols; ++c) {
    const double mean = static_cast<double>(sums[c]) / static_cast<double>(std::max<std::size_t>(rows, 1));
    const double octave = std::log2(mean + 1.0 / 256);  // from -8 on
    const int id = static_cast<int>(std::lround((octave + 8) * kPerOctave));
    prices.column_class[c] = static_cast<std::uint8_t>(std::clamp(id, 0, kClasses - 1));
  }
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < cols; ++c) {
      counts[prices.column_class[c]][static_cast<std::size_t>(q[r * cols + c] + 128)] += 1;
    }
  }
  for (const auto& table : counts) {
    double total = 0;
    for (const double count : table) total += count;
    auto& price = prices.classes.emplace_back();
    for (std::size_t i = 0; i < table.size(); ++i) {
      price[i] = static_cast<float>(kappa * std::log2(total / table[i]));
    }
  }
  return prices;
}

FeedbackResult quantize_with_feedback(const FeedbackTask& task, ThreadPool& pool) {
  const std::size_t cols = task.metric.cols;
  const std::size_t rows = task.weights.size() / std::max<std::size_t>(cols, 1);
  FeedbackResult result;
  result.q.resize(rows * cols);
  const std::size_t strip = strip_rows(cols);
  result.row_error.resize(rows);
  pool.run((rows + strip - 1) / strip, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t i = begin; i < end; ++i) {
      check_interrupt();
      const std::size_t first = i * strip;
      Strip work(task, first, std::min(strip, rows - first), result.q.data() + first * cols);
      std::ranges::copy(work.run(), result.row_error.begin() + static_cast<std::ptrdiff_t>(first));
    }
  });
  return result;
}

}  // namespace twofold
