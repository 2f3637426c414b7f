#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "runtime/layer.h"

namespace twofold {

/// What calibration knows of a linear layer's input channels, over all calibration tokens.
struct ChannelStatistics {
  std::vector<float> abs_max;       // a_j = max |x_tj|
  std::vector<double> sum_abs;      // sum of |x_tj|
  std::vector<double> sum_squares;  // sum of x_tj^2
  std::vector<float> max, min;      // of x_tj; [cols] as the others
  AlignedVector<float> gram;        // where wanted: X^T X, the lower triangle of [cols, cols]
  std::int64_t tokens = 0;

  std::vector<float> mean_abs() const;
  std::vector<float> l2_norm() const;  // ||X_j||_2
};

/// Collects statistics while layers run. Layers that share an input share one record.
class StatisticsCollector final : public InputObserver {
 public:
  /// With `grams` it also collects X^T X, which takes cols^2 floats and as many operations per token.
  explicit StatisticsCollector(ThreadPool& pool, bool grams = false) : pool_(pool), grams_(grams) {}

  void observe(std::span<const LinearSpec* const> linears, const float* x, std::int64_t tokens) override;

  /// Statistics of the linear's input; throws Error when none were seen.
  const ChannelStatistics& at(const LinearSpec& linear) const;
  /// Frees the second moments of the linear's input.
  void drop_gram(const LinearSpec& linear) { by_linear_.at(linear.name)->gram = {}; }
  /// Forgets everything, before the next layer.
  void clear() { by_linear_.clear(); }

 private:
  ThreadPool& pool_;
  bool grams_;
  std::map<std::string, std::shared_ptr<ChannelStatistics>> by_linear_;
};

}  // namespace twofold
