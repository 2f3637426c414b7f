#include "compress/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "kernels/symmetric.h"

namespace twofold {

std::vector<float> ChannelStatistics::mean_abs() const {
  std::vector<float> mean;
  for (const double sum : sum_abs)
    mean.push_back(static_cast<float>(sum / static_cast<double>(std::max<std::int64_t>(tokens, 1))));
  return mean;
}

std::vector<float> ChannelStatistics::l2_norm() const {
  std::vector<float> norm;
  for (const double sum : sum_squares) norm.push_back(static_cast<float>(std::sqrt(sum)));
  return norm;
}

void StatisticsCollector::observe(std::span<const LinearSpec* const> linears, const float* x,
                                  std::int64_t tokens) {
  auto& record = by_linear_[linears[0]->name];
  const auto cols = static_cast<std::size_t>(linears[0]->cols);
  if (!record) {
    record = std::make_shared<ChannelStatistics>();
    record->abs_max.resize(cols);
    record->sum_abs.resize(cols);
    record->sum_squares.resize(cols);
    record->max.resize(cols, -std::numeric_limits<float>::infinity());
    record->min.resize(cols, std::numeric_limits<float>::infinity());
    if (grams_) record->gram.assign(cols * cols, 0.0F);
    for (const LinearSpec* linear : linears) by_linear_[linear->name] = record;
  }
  ChannelStatistics& stats = *record;
  stats.tokens += tokens;
  constexpr std::size_t kChannels = 64;  // per unit of work
  pool_.run((cols + kChannels - 1) / kChannels, [&](std::size_t begin, std::size_t end, int) {
    const std::size_t last = std::min(cols, end * kChannels);
    for (std::int64_t t = 0; t < tokens; ++t) {
      const float* row = x + static_cast<std::size_t>(t) * cols;
      for (std::size_t j = begin * kChannels; j < last; ++j) {
        const float magnitude = std::fabs(row[j]);
        stats.abs_max[j] = std::max(stats.abs_max[j], magnitude);
        stats.sum_abs[j] += magnitude;
        stats.sum_squares[j] += static_cast<double>(magnitude) * magnitude;
        stats.max[j] = std::max(stats.max[j], row[j]);
        stats.min[j] = std::min(stats.min[j], row[j]);
      }
    }
  });
  if (grams_) add_gram(x, static_cast<std::size_t>(tokens), cols, stats.gram.data(), pool_);
}

const ChannelStatistics& StatisticsCollector::at(const LinearSpec& linear) const {
  const auto it = by_linear_.find(linear.name);
  if (it == by_linear_.end()) fail("{}: no calibration statistics", linear.name);
  return *it->second;
}

}  // namespace twofold
