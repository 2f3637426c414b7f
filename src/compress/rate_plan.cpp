#include "compress/rate_plan.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "compress/calibration_run.h"
#include "compress/feedback.h"
#include "compress/memory_tensor.h"
#include "compress/shape_linear.h"
#include "compress/stage_one.h"
#include "compress/watersic.h"
#include "kernels/sgemm.h"
#include "runtime/logits.h"

namespace twofold {

namespace {

constexpr double kTrialStep = 0.4;  // of the unit: about 3 bits per weight
constexpr std::size_t kCurvePoints = 16;
constexpr std::int64_t kSurveyTokens = 4096;
constexpr std::int64_t kSampleTokens =
    4096;  // over the layers: each layer's trial is carried through those after it

double squared_distance(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - b[i];
    sum += d * d;
  }
  return sum;
}

/// Bits per weight of a coder with a table per class of columns.
double class_bits(std::span<const std::int8_t> q, std::size_t cols) {
  const SymbolPrices prices = make_prices(q, cols, 1.0);
  double bits = 0;
  for (std::size_t row = 0; row < q.size(); row += cols) {
    for (std::size_t c = 0; c < cols; ++c) {
      bits += prices.classes[prices.column_class[c]][static_cast<std::size_t>(q[row + c] + 128)];
    }
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

/// Keeps what enters the linears.
class InputKeeper final : public InputObserver {
 public:
  void observe(std::span<const LinearSpec* const> linears, const float* x, std::int64_t tokens) override {
    std::shared_ptr<std::vector<float>>& kept = inputs_[linears[0]->name];
    if (!kept) kept = std::make_shared<std::vector<float>>();
    kept->insert(kept->end(), x, x + tokens * linears[0]->cols);
    for (const LinearSpec* linear : linears) inputs_[linear->name] = kept;
  }

  std::span<const float> of(const LinearSpec& linear) const { return *inputs_.at(linear.name); }

 private:
  std::map<std::string, std::shared_ptr<std::vector<float>>> inputs_;
};

/// Mean over the inputs x [tokens, cols] of the squared error of the output.
double output_error(std::span<const float> x, std::span<const float> weights,
                    const QuantizedMatrix& quantized, ThreadPool& pool) {
  const auto cols = static_cast<std::size_t>(quantized.parts.cols);
  const std::size_t tokens = x.size() / cols;
  const std::size_t rows = weights.size() / cols;
  if (tokens == 0) return 0;
  std::vector<float> column_step;
  for (const float s : quantized.parts.input_scale) column_step.push_back(quantized.parts.scale[0] / s);
  constexpr std::size_t kRows = 128;  // per unit of work: sgemm packs all inputs for each
  std::vector<double> errors((rows + kRows - 1) / kRows);
  pool.run(errors.size(), [&](std::size_t begin, std::size_t end, int) {
    AlignedVector<float> difference;
    AlignedVector<float> y(tokens * kRows);
    for (std::size_t block = begin; block < end; ++block) {
      const std::size_t count = std::min(kRows, rows - block * kRows);
      const std::size_t first = block * kRows * cols;
      difference.resize(count * cols);
      for (std::size_t i = 0; i < count * cols; i += cols) {
        const float* row = &weights[first + i];
        const std::int8_t* q = &quantized.q[first + i];
        for (std::size_t c = 0; c < cols; ++c) {
          difference[i + c] = row[c] - static_cast<float>(q[c]) * column_step[c];
        }
      }
      sgemm(x.data(), tokens, cols, difference.data(), count, y.data(), count);
      for (std::size_t i = 0; i < tokens * count; ++i) errors[block] += static_cast<double>(y[i]) * y[i];
    }
  });
  double sum = 0;
  for (const double error : errors) sum += error;
  return sum / static_cast<double>(tokens);
}

class Survey {
 public:
  Survey(Model& model, const CalibrationText& text, const Recipe& recipe)
      : model_(model),
        recipe_(recipe),
        pool_(model.workspace().pool()),
        text_(sample_text(text, kSurveyTokens)),
        sample_(sample_text(
            text_, std::max<std::int64_t>(
                       kSampleTokens / static_cast<std::int64_t>(model.spec().layers.size()), 128))) {}

  RatePlan run() {
    const ModelSpec& spec = model_.spec();
    Progress progress("Measuring sensitivity", spec.layers.size());
    CalibrationRun all(text_, embed_text(model_, text_));
    CalibrationRun reference(sample_, embed_text(model_, sample_));
    // Version l has all linears of layer l quantized, no others; they go on side by side.
    CalibrationText version_text;
    CalibrationRun versions(version_text, {});
    for (std::size_t layer = 0; layer < spec.layers.size(); ++layer) {
      check_interrupt();
      StatisticsCollector statistics(pool_, true);
      all.step(model_, layer, model_.layer(layer), &statistics);
      versions.step(model_, layer, model_.layer(layer), nullptr);
      CalibrationRun version = try_layer(layer, statistics, reference);
      if (recipe_.allocation == "sensitivity") {
        versions.hidden().insert(versions.hidden().end(), version.hidden().begin(), version.hidden().end());
        version_text.sequences.insert(version_text.sequences.end(), sample_.sequences.begin(),
                                      sample_.sequences.end());
      }
      model_.release_layer(layer);
      progress.advance(1);
    }
    const std::size_t size = reference.hidden().size();
    for (std::size_t layer = 0; layer * size < versions.hidden().size(); ++layer) {
      AlignedVector<float> expected = reference.hidden();
      const double kl =
          divergence(model_, expected, std::span(versions.hidden()).subspan(layer * size, size));
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
    InputKeeper inputs_of_sample;
    reference.step(model_, layer, model_.layer(layer), &inputs_of_sample);
    std::vector<Share>& shares = shares_.emplace_back();
    for (const LinearSpec* linear : spec.linears()) {
      if (recipe_.skips(linear->weight())) continue;
      check_interrupt();
      const ChannelStatistics& inputs = statistics.at(*linear);
      const ErrorMetric& metric = metrics.of(inputs);
      weights_ = load_linear(model_.checkpoint(), *linear, pool_, std::move(weights_));
      RatePlan::Linear& rate = plan_.linears[linear->name];
      rate.weights = static_cast<double>(weights_.size());
      rate.cols = linear->cols;
      rate.unit = rate_unit(weights_, metric, pool_);
      measure_rates(*linear, metric, rate);
      QuantizedLinear trial =
          shape_linear(*linear, weights_, inputs, &metric, rate.unit * kTrialStep, recipe_, pool_);
      const double own_error = output_error(inputs_of_sample.of(*linear), weights_, trial.matrix, pool_);
      trials.push_back(std::make_unique<MemoryTensor>(std::move(trial.matrix)));
      by_linear[linear] = &trials.back()->tensor();
      if (own_error == 0 || recipe_.allocation == "equal") continue;
      const double layer_error = squared_distance(
          run_with(layer, before, {{linear, by_linear[linear]}}).hidden(), reference.hidden());
      shares.push_back({linear->name, layer_error, own_error});
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

  /// Bits per weight of some rows at steps half an octave apart: as rows of one matrix, each with its step.
  void measure_rates(const LinearSpec& linear, const ErrorMetric& metric, RatePlan::Linear& rate) {
    const auto cols = static_cast<std::size_t>(linear.cols);
    const auto all = static_cast<std::size_t>(linear.rows);
    const std::size_t count = std::min<std::size_t>(all, cols >= 2048 ? 32 : 64);
    const std::vector<float> scales = watersic_scales(metric);
    std::vector<float> column_step;
    column_step.reserve(cols);
    for (const float s : scales) column_step.push_back(1.0F / s);
    const double norm = geometric_mean(metric.diagonal);
    std::vector<float> rows;
    std::vector<float> steps;
    for (std::size_t point = 0; point < kCurvePoints; ++point) {
      for (std::size_t i = 0; i < count; ++i) {
        const float* row = weights_.data() + i * all / count * cols;
        rows.insert(rows.end(), row, row + cols);
      }
      const double step = rate.unit * RatePlan::kFinest * std::exp2(static_cast<double>(point) / 2);
      steps.insert(steps.end(), count, static_cast<float>(step / norm));
    }
    const FeedbackResult result = quantize_with_feedback(
        {.metric = metric, .weights = rows, .column_step = column_step, .row_step = steps}, pool_);
    rate.bits.resize(kCurvePoints);
    rate.errors.resize(kCurvePoints);
    pool_.run(kCurvePoints, [&](std::size_t begin, std::size_t end, int) {
      for (std::size_t point = begin; point < end; ++point) {
        rate.bits[point] = class_bits(std::span(result.q).subspan(point * count * cols, count * cols), cols);
        const std::span<const double> errors = std::span(result.row_error).subspan(point * count, count);
        rate.errors[point] = std::accumulate(errors.begin(), errors.end(), 0.0) /
                             static_cast<double>(count * cols) / (rate.unit * rate.unit);
      }
    });
    // Where the finest steps do worse, |q| has met its limit: the error rises with the step all the same.
    for (std::size_t i = kCurvePoints - 1; i-- > 0;)
      rate.errors[i] = std::min(rate.errors[i], rate.errors[i + 1]);
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
  CalibrationText text_;
  CalibrationText sample_;  // a part of it, to measure divergence on
  AlignedVector<float> weights_;
  RatePlan plan_;
  std::vector<std::vector<Share>> shares_;  // by layer
};

}  // namespace

double RatePlan::unit(const Linear& linear) const {
  const auto drift = drifts_.find(linear.cols);
  if (linear.found || drift == drifts_.end()) return linear.unit;
  return linear.unit * std::exp(drift->second.sum / drift->second.count);
}

namespace {

/// Value of a curve at a place between its points; the nearest end outside.
double at(const std::vector<double>& curve, double place) {
  place = std::clamp(place, 0.0, static_cast<double>(curve.size() - 1));
  const auto low = std::min(static_cast<std::size_t>(place), curve.size() - 2);
  return curve[low] + (place - static_cast<double>(low)) * (curve[low + 1] - curve[low]);
}

}  // namespace

double RatePlan::step(const Linear& linear, double base) const {
  // Within the curve: a step beyond it would leave nothing of the weights.
  const double finest = unit(linear) * kFinest;
  const double last = std::exp2(static_cast<double>(kCurvePoints - 1) / 2);
  return std::clamp(base / std::sqrt(linear.sensitivity), finest, finest * last);
}

double RatePlan::place(const Linear& linear, double step) const {
  return 2 * std::log2(step / (unit(linear) * kFinest));
}

double RatePlan::bits_at(const Linear& linear, double step) const {
  return at(linear.bits, place(linear, step));
}

double RatePlan::divergence(double base) const {
  double sum = 0;
  for (const auto& [name, linear] : linears) {
    const double error = at(linear.errors, place(linear, step(linear, base))) * unit(linear) * unit(linear);
    sum += linear.sensitivity * error * linear.weights;
  }
  return sum;
}

double RatePlan::bits(double base) const {
  double sum = 0;
  double weights = 0;
  for (const auto& [name, linear] : linears) {
    sum += bits_at(linear, step(linear, base)) * linear.weights;
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
  for (int i = 0; i < 60; ++i) {
    const double middle = std::sqrt(low * high);
    (falling(middle) > target ? low : high) = middle;
  }
  return std::sqrt(low * high);
}

}  // namespace

double RatePlan::base_for(double wanted) const {
  return solve([&](double base) { return bits(base); }, wanted);
}

double RatePlan::base_for_divergence(double wanted) const {
  return solve([&](double base) { return -divergence(base); }, -wanted);
}

void RatePlan::found_unit(const std::string& name, double unit) {
  Linear& linear = linears.at(name);
  if (linear.found) return;
  Drift& drift = drifts_[linear.cols];
  drift.sum += std::log(unit / linear.unit);
  drift.count += 1;
  linear.unit = unit;
  linear.found = true;
  solve_again();
}

double RatePlan::take_step(const std::string& name) {
  Linear& linear = linears.at(name);
  linear.taken = step(linear, base_step);
  return linear.taken;
}

void RatePlan::coded(const std::string& name, double bits_taken) {
  const Linear& done = linears.at(name);
  expected_bits_ += bits_at(done, done.taken) * done.weights;
  coded_bits_ += bits_taken;
  coded_weights_ += done.weights;
  done_.insert(name);
  if (first_base_ == 0) first_base_ = base_step;
  solve_again();
}

void RatePlan::solve_again() {
  double weights = 0;
  for (const auto& [name, linear] : linears) weights += done_.contains(name) ? 0 : linear.weights;
  if (weights == 0 || !target) return;
  const double left = *target * (weights + coded_weights_) - coded_bits_;
  const double excess = expected_bits_ > 0 ? coded_bits_ / expected_bits_ : 1;
  const double base = solve(
      [&](double candidate) {
        double sum = 0;
        for (const auto& [name, linear] : linears) {
          if (!done_.contains(name)) sum += bits_at(linear, step(linear, candidate)) * linear.weights;
        }
        return sum * excess;
      },
      left);
  constexpr double kMost = 1.2;  // the steps of two layers are never further apart than they have to be
  base_step = first_base_ > 0 ? std::clamp(base, first_base_ / kMost, first_base_ * kMost) : base;
}

double rate_unit(std::span<const float> weights, const ErrorMetric& metric, ThreadPool& pool) {
  std::vector<double> squares(weights.size() / metric.cols);  // by row
  pool.run(squares.size(), [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t row = begin; row < end; ++row) {
      for (const float w : weights.subspan(row * metric.cols, metric.cols)) {
        squares[row] += static_cast<double>(w) * w;
      }
    }
  });
  double sum = 0;
  for (const double square : squares) sum += square;
  const double deviation = std::sqrt(sum / static_cast<double>(std::max<std::size_t>(weights.size(), 1)));
  return (deviation > 0 ? deviation : 1.0) * geometric_mean(metric.diagonal);
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
