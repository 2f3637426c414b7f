#include "compress/channel_scales.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "compress/scaler.h"
#include "compress/watersic.h"

namespace twofold {

namespace {

/// max_i |w_ij| and the sum of w_ij^2 for every column.
struct Columns {
  std::vector<float> max;
  std::vector<double> squares;
};

Columns measure_columns(std::span<const float> weights, std::size_t cols, ThreadPool& pool) {
  Columns columns{std::vector<float>(cols), std::vector<double>(cols)};
  constexpr std::size_t kColumns = 256;  // per unit of work
  pool.run((cols + kColumns - 1) / kColumns, [&](std::size_t begin, std::size_t end, int) {
    const std::size_t last = std::min(cols, end * kColumns);
    for (std::size_t row = 0; row < weights.size(); row += cols) {
      for (std::size_t j = begin * kColumns; j < last; ++j) {
        const float w = weights[row + j];
        columns.max[j] = std::max(columns.max[j], std::fabs(w));
        columns.squares[j] += static_cast<double>(w) * w;
      }
    }
  });
  return columns;
}

/// The squared error of the outputs as a function of f, see channel_scales().
class Tradeoff {
 public:
  Tradeoff(std::span<const double> diagonal, const ChannelStatistics& inputs, ThreadPool& pool)
      : diagonal_(diagonal), cols_(diagonal.size()), pool_(pool), inverse_(cols_), normed_(inputs.sample) {
    for (std::size_t j = 0; j < cols_; ++j) inverse_[j] = static_cast<float>(1 / diagonal[j]);
    for (std::size_t i = 0; i < normed_.size(); ++i) normed_[i] = std::fabs(normed_[i]) * inverse_[i % cols_];
    drop_outlying_tokens();
    size_.resize(cols_);
    const double tokens = static_cast<double>(normed_.size()) / static_cast<double>(cols_);
    for (std::size_t i = 0; i < normed_.size(); ++i) {
      const double square = static_cast<double>(normed_[i]) * normed_[i];
      size_[i % cols_] += square * square / tokens;
    }
    for (double& size : size_) size = std::pow(size, 0.25);
    gain_.resize(cols_);
  }

  void add(const Columns& columns, double step, double rows, double sensitivity) {
    weight_error_ += sensitivity * step * step / 12 * rows;
    for (std::size_t j = 0; j < cols_; ++j) {
      gain_[j] += sensitivity * diagonal_[j] * diagonal_[j] * columns.squares[j] / (12.0 * 127 * 127);
    }
  }

  /// f of geometric mean 1.
  std::vector<double> best() const {
    std::vector<double> best(cols_, 1.0);
    double least = error(best);
    std::vector<double> sorted = size_;
    std::sort(sorted.begin(), sorted.end());
    for (const double place : {0.0, 0.5, 0.8, 0.95, 0.99}) {
      const double threshold = sorted[static_cast<std::size_t>(place * static_cast<double>(cols_ - 1))];
      if (!(threshold > 0)) continue;
      for (const double exponent : {0.25, 0.5, 0.75, 1.0}) {
        std::vector<double> f(cols_);
        double mean = 0;
        for (std::size_t j = 0; j < cols_; ++j) {
          f[j] = exponent * std::log(std::max(1.0, size_[j] / threshold));
          mean += f[j] / static_cast<double>(cols_);
        }
        for (double& x : f) x = std::exp(x - mean);
        const double found = error(f);
        if (found < least) {
          least = found;
          best = std::move(f);
        }
      }
    }
    return best;
  }

 private:
  /// The first token of a text may have inputs thousands of times as large as those of the others, and what
  /// is wrong with it means little to them.
  void drop_outlying_tokens() {
    std::vector<float> largest;
    for (std::size_t i = 0; i < normed_.size(); i += cols_) {
      largest.push_back(*std::max_element(&normed_[i], &normed_[i] + cols_));
    }
    if (largest.empty()) return;
    std::vector<float> sorted = largest;
    std::sort(sorted.begin(), sorted.end());
    const float most = 10 * sorted[sorted.size() / 2];
    std::size_t kept = 0;
    for (std::size_t t = 0; t < largest.size(); ++t) {
      if (largest[t] > most) continue;
      std::copy_n(&normed_[t * cols_], cols_, &normed_[kept * cols_]);
      ++kept;
    }
    normed_.resize(kept * cols_);
  }

  double error(std::span<const double> f) const {
    double of_weights = 0;
    double of_inputs = 0;
    std::vector<float> inverse(cols_);
    for (std::size_t j = 0; j < cols_; ++j) {
      of_weights += weight_error_ / (f[j] * f[j]);
      of_inputs += gain_[j] * f[j] * f[j];
      inverse[j] = static_cast<float>(1 / f[j]);
    }
    const std::size_t tokens = normed_.size() / cols_;
    std::vector<double> largest(tokens);
    pool_.run(tokens, [&](std::size_t begin, std::size_t end, int) {
      for (std::size_t t = begin; t < end; ++t) {
        float max = 0;
        for (std::size_t j = 0; j < cols_; ++j) max = std::max(max, normed_[t * cols_ + j] * inverse[j]);
        largest[t] = static_cast<double>(max) * max;
      }
    });
    double step_squares = 0;
    for (const double x : largest) step_squares += x / static_cast<double>(std::max<std::size_t>(tokens, 1));
    return of_weights + step_squares * of_inputs;
  }

  std::span<const double> diagonal_;  // by channel
  std::size_t cols_;
  ThreadPool& pool_;
  std::vector<float> inverse_;
  AlignedVector<float> normed_;  // |x_tj| / D_j
  std::vector<double> size_;     // of normed_, by channel
  double weight_error_ = 0;      // of a channel with f = 1
  std::vector<double> gain_;     // error for inputs with a step of 127, by channel with f = 1
};

}  // namespace

ChannelScales channel_scales(const ErrorMetric& metric, const ChannelStatistics& inputs,
                             std::span<const SteppedLinear> linears, bool activations, ThreadPool& pool) {
  const std::size_t cols = metric.cols;
  std::vector<double> diagonal(cols);
  for (std::size_t k = 0; k < cols; ++k) diagonal[metric.channel(k)] = metric.diagonal[k];
  Tradeoff tradeoff(diagonal, inputs, pool);
  std::vector<double> most(cols, std::numeric_limits<double>::infinity());
  for (const SteppedLinear& linear : linears) {
    const Columns columns = measure_columns(linear.weights, cols, pool);
    tradeoff.add(columns, linear.step, static_cast<double>(linear.weights.size() / cols), linear.sensitivity);
    constexpr double kLevels = 126;  // some room for what feedback adds
    for (std::size_t j = 0; j < cols; ++j) {
      if (columns.max[j] > 0) {
        most[j] =
            std::min(most[j], kLevels * linear.step / (diagonal[j] * static_cast<double>(columns.max[j])));
      }
    }
  }
  std::vector<double> scales(cols, 1.0);
  if (activations && !inputs.sample.empty()) scales = tradeoff.best();
  double sum = 0;
  for (std::size_t j = 0; j < cols; ++j) {
    scales[j] = std::min(scales[j], most[j]) * diagonal[j];
    sum += std::log(scales[j]);
  }
  ChannelScales out;
  out.norm = std::exp(sum / static_cast<double>(cols));
  for (double& s : scales) s /= out.norm;
  out.scales = storable_scales(std::move(scales));
  return out;
}

}  // namespace twofold
