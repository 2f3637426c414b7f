#include "compress/rate_plan.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "compress/calibration_run.h"
#include "compress/feedback.h"
#include "compress/memory_tensor.h"
#include "compress/shape_linear.h"
#include "compress/stage_one.h"
#include "compress/watersic.h"
#include "runtime/logits.h"

namespace twofold {

namespace {

constexpr double kTrialStep = 0.4;  // of the unit: about 3 bits per weight
constexpr std::size_t kCurvePoints = 12;
constexpr std::int64_t kSampleRows = 64;

double squared_distance(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - b[i];
    sum += d * d;
  }
  return sum;
}

double standard_deviation(std::span<const float> weights) {
  double sum = 0;
  for (const float w : weights) sum += static_cast<double>(w) * w;
  return std::sqrt(sum / static_cast<double>(std::max<std::size_t>(weights.size(), 1)));
}

/// Bits per weight of a coder with a table per class of columns.
double class_bits(std::span<const std::int8_t> q, std::size_t cols) {
  const SymbolPrices prices = make_prices(q, cols, 1.0);
  double bits = 0;
  for (std::size_t i = 0; i < q.size(); ++i) {
    bits += prices.classes[prices.column_class[i % cols]][static_cast<std::size_t>(q[i] + 128)];
  }
  return bits / static_cast<double>(q.size());
}

/// A part of the text to measure divergence on: sequences spread over it, about `tokens` of them.
CalibrationText sample_text(const CalibrationText& text, std::int64_t tokens) {
  CalibrationText sample;
  const auto all = static_cast<std::int64_t>(text.sequences.size());
  const std::int64_t length = std::max<std::int64_t>(text.tokens() / std::max<std::int64_t>(all, 1), 1);
  const std::int64_t count = std::clamp<std::int64_t>(tokens / length, 1, all);
  for (std::int64_t i = 0; i < count; ++i) {
    sample.sequences.push_back(text.sequences[static_cast<std::size_t>(i * all / count)]);
  }
  return sample;
}

class Survey {
 public:
  Survey(Model& model, const CalibrationText& text, const Recipe& recipe)
      : model_(model),
        recipe_(recipe),
        pool_(model.workspace().pool()),
        text_(text),
        sample_(sample_text(
            text, std::clamp<std::int64_t>(
                      text.tokens() / static_cast<std::int64_t>(model.spec().layers.size()), 128, 4096))) {}

  RatePlan run() {
    const ModelSpec& spec = model_.spec();
    Progress progress("Measuring sensitivity", spec.layers.size());
    CalibrationRun all(text_, embed_text(model_, text_));
    CalibrationRun reference(sample_, embed_text(model_, sample_));
    std::vector<CalibrationRun> versions;  // version l: all linears of layer l quantized, no others
    for (std::size_t layer = 0; layer < spec.layers.size(); ++layer) {
      check_interrupt();
      StatisticsCollector statistics(pool_, true);
      all.step(model_, layer, model_.layer(layer), &statistics);
      for (CalibrationRun& version : versions) version.step(model_, layer, model_.layer(layer), nullptr);
      CalibrationRun version = try_layer(layer, statistics, reference);
      if (recipe_.allocation == "sensitivity") versions.push_back(std::move(version));
      model_.release_layer(layer);
      progress.advance(1);
    }
    for (std::size_t layer = 0; layer < versions.size(); ++layer) {
      AlignedVector<float> expected = reference.hidden();
      const double kl = divergence(model_, expected, versions[layer].hidden());
      settle(shares_[layer], kl);
    }
    for (const LayerSpec& layer : spec.layers) fill_unseen(layer);
    return std::move(plan_);
  }

 private:
  /// A linear's part in the error of its layer's output, and the error of its own output, both of the trial.
  struct Share {
    std::string name;
    double layer_error = 0;
    double own_error = 0;
  };

  CalibrationRun try_layer(std::size_t layer, const StatisticsCollector& statistics,
                           CalibrationRun& reference) {
    const LayerSpec& spec = model_.spec().layers[layer];
    MetricCache metrics(recipe_, pool_);
    std::vector<std::unique_ptr<MemoryTensor>> trials;
    std::map<const LinearSpec*, const CodedTensor*> by_linear;
    const AlignedVector<float> before = reference.hidden();
    reference.step(model_, layer, model_.layer(layer), nullptr);
    std::vector<Share>& shares = shares_.emplace_back();
    for (const LinearSpec* linear : spec.linears()) {
      if (recipe_.skips(linear->weight())) continue;
      check_interrupt();
      const ChannelStatistics& inputs = statistics.at(*linear);
      const ErrorMetric& metric = metrics.of(inputs);
      AlignedVector<float> weights = load_linear(model_.checkpoint(), *linear, pool_);
      RatePlan::Linear& rate = plan_.linears[linear->name];
      rate.weights = static_cast<double>(weights.size());
      const double deviation = standard_deviation(weights);
      rate.unit = (deviation > 0 ? deviation : 1.0) * geometric_mean(metric.diagonal);
      measure_rates(*linear, weights, inputs, metric, rate);
      QuantizedLinear trial =
          shape_linear(*linear, weights, inputs, &metric, rate.unit * kTrialStep, recipe_, pool_);
      trials.push_back(std::make_unique<MemoryTensor>(std::move(trial.matrix)));
      by_linear[linear] = &trials.back()->tensor();
      if (inputs.tokens == 0 || recipe_.allocation == "equal") continue;
      const double layer_error = squared_distance(
          run_with(layer, before, {{linear, by_linear[linear]}}).hidden(), reference.hidden());
      shares.push_back({linear->name, layer_error, trial.error});
    }
    return run_with(layer, before, by_linear);
  }

  CalibrationRun run_with(std::size_t layer, const AlignedVector<float>& hidden,
                          const std::map<const LinearSpec*, const CodedTensor*>& replaced) {
    CalibrationRun run(sample_, hidden);
    const auto find = [&](const LinearSpec& linear) -> const CodedTensor* {
      for (const auto& [spec, tensor] : replaced) {
        if (spec->name == linear.name) return tensor;
      }
      return nullptr;
    };
    run.step(model_, layer, model_.load_layer(layer, find, ActivationMode::kNone), nullptr);
    return run;
  }

  /// Bits per weight of some rows at steps half an octave apart.
  void measure_rates(const LinearSpec& linear, std::span<const float> weights,
                     const ChannelStatistics& inputs, const ErrorMetric& metric, RatePlan::Linear& rate) {
    LinearSpec some = linear;
    some.rows = std::min(linear.rows, kSampleRows);
    const auto cols = static_cast<std::size_t>(linear.cols);
    std::vector<float> rows;
    for (std::int64_t i = 0; i < some.rows; ++i) {
      const auto row = static_cast<std::size_t>(i * linear.rows / some.rows);
      rows.insert(rows.end(), weights.begin() + static_cast<std::ptrdiff_t>(row * cols),
                  weights.begin() + static_cast<std::ptrdiff_t>((row + 1) * cols));
    }
    for (std::size_t i = 0; i < kCurvePoints; ++i) {
      std::vector<float> copy = rows;
      const double step = rate.unit * RatePlan::kFinest * std::exp2(static_cast<double>(i) / 2);
      const QuantizedLinear trial = shape_linear(some, copy, inputs, &metric, step, recipe_, pool_);
      rate.bits.push_back(class_bits(trial.matrix.q, cols));
    }
  }

  /// The KL divergence that a layer's trial caused is shared among its linears by their parts in the error.
  void settle(const std::vector<Share>& shares, double kl) {
    double total = 0;
    for (const Share& share : shares) total += share.layer_error;
    for (const Share& share : shares) {
      if (!(share.own_error > 0 && share.layer_error > 0 && kl > 0)) continue;
      plan_.linears.at(share.name).sensitivity = kl * share.layer_error / total / share.own_error;
    }
  }

  /// Linears that no token came to, or that made no difference, get as many bits as the others on average;
  /// no other takes a step far from that.
  void fill_unseen(const LayerSpec& layer) {
    double sum = 0;
    double count = 0;
    for (const auto& [name, linear] : plan_.linears) {
      if (linear.sensitivity > 0) {
        sum += std::log(linear.sensitivity * linear.unit * linear.unit);
        count += 1;
      }
    }
    const double typical = count > 0 ? std::exp(sum / count) : 1.0;  // sensitivity in units^2
    constexpr double kRange = 4096;                                  // 6 bits
    for (const LinearSpec* linear : layer.linears()) {
      const auto it = plan_.linears.find(linear->name);
      if (it == plan_.linears.end()) continue;
      const double unit = it->second.unit * it->second.unit;
      double& sensitivity = it->second.sensitivity;
      sensitivity = sensitivity > 0
                        ? std::clamp(sensitivity, typical / unit / kRange, typical / unit * kRange)
                        : typical / unit;
    }
  }

  Model& model_;
  const Recipe& recipe_;
  ThreadPool& pool_;
  const CalibrationText& text_;
  CalibrationText sample_;
  RatePlan plan_;
  std::vector<std::vector<Share>> shares_;  // by layer
};

}  // namespace

double RatePlan::step(const Linear& linear, double base) {
  // Within the curve: a step beyond it would leave nothing of the weights.
  const double last = std::exp2(static_cast<double>(kCurvePoints - 1) / 2);
  return std::clamp(base / std::sqrt(linear.sensitivity), linear.unit * kFinest,
                    linear.unit * kFinest * last);
}

double RatePlan::bits(const Linear& linear, double base) {
  const double place = 2 * std::log2(step(linear, base) / (linear.unit * kFinest));
  const auto low = std::min(static_cast<std::size_t>(std::max(place, 0.0)), linear.bits.size() - 2);
  const double part = place - static_cast<double>(low);
  return linear.bits[low] + part * (linear.bits[low + 1] - linear.bits[low]);
}

double RatePlan::bits(double base) const {
  double sum = 0;
  double weights = 0;
  for (const auto& [name, linear] : linears) {
    sum += bits(linear, base) * linear.weights;
    weights += linear.weights;
  }
  return weights > 0 ? sum / weights : 0;
}

namespace {

/// Where a falling function of the logarithm is `target`; the nearest end when it is nowhere.
template <typename Function>
double solve(const Function& falling, double target) {
  double low = 1e-12;
  double high = 1e12;
  for (int i = 0; i < 100; ++i) {
    const double middle = std::sqrt(low * high);
    (falling(middle) > target ? low : high) = middle;
  }
  return std::sqrt(low * high);
}

}  // namespace

double RatePlan::base_for(double target) const {
  return solve([&](double base) { return bits(base); }, target);
}

void RatePlan::coded(const std::string& name, double bits_taken, double target) {
  const Linear& done = linears.at(name);
  if (first_base_ == 0) first_base_ = base_step;
  expected_bits_ += bits(done, base_step) * done.weights;
  coded_bits_ += bits_taken;
  coded_weights_ += done.weights;
  done_.insert(name);
  double weights = 0;
  for (const auto& [other, linear] : linears) weights += done_.contains(other) ? 0 : linear.weights;
  if (weights == 0) return;
  const double left = target * (weights + coded_weights_) - coded_bits_;
  const double excess = coded_bits_ / expected_bits_;
  const double base = solve(
      [&](double candidate) {
        double sum = 0;
        for (const auto& [other, linear] : linears) {
          if (!done_.contains(other)) sum += bits(linear, candidate) * linear.weights;
        }
        return sum * excess;
      },
      left);
  constexpr double kMost = 1.2;  // the steps of two layers are never further apart than they have to be
  base_step = std::clamp(base, first_base_ / kMost, first_base_ * kMost);
}

RatePlan make_rate_plan(Model& model, const CalibrationText& text, const Recipe& recipe) {
  return Survey(model, text, recipe).run();
}

double divergence(Model& model, std::span<float> reference, std::span<float> hidden, const Linear* head) {
  const ModelSpec& spec = model.spec();
  const auto width = static_cast<std::size_t>(spec.hidden_size);
  const auto vocab = static_cast<std::size_t>(spec.vocab_size);
  constexpr std::size_t kBlock = 64;  // tokens
  const std::size_t tokens = reference.size() / width;
  std::vector<float> expected(kBlock * vocab);
  std::vector<float> found(kBlock * vocab);
  std::vector<double> each(tokens);
  for (std::size_t begin = 0; begin < tokens; begin += kBlock) {
    check_interrupt();
    const std::size_t rows = std::min(kBlock, tokens - begin);
    model.head(&reference[begin * width], static_cast<std::int64_t>(rows), expected.data());
    model.head(&hidden[begin * width], static_cast<std::int64_t>(rows), found.data(), head);
    model.workspace().pool().run(rows, [&](std::size_t first, std::size_t last, int) {
      for (std::size_t r = first; r < last; ++r) {
        each[begin + r] = kl_divergence({&expected[r * vocab], vocab}, {&found[r * vocab], vocab});
      }
    });
  }
  double sum = 0;
  for (const double kl : each) sum += kl / static_cast<double>(tokens);
  return sum;
}

}  // namespace twofold
