// A synthetic model as INT8, without its floats ever being in memory: rows are made as often as they are
// needed.

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/aligned.h"
#include "base/interrupt.h"
#include "codec/entropy.h"
#include "compress/stage_one.h"
#include "compress/synth_writers.h"
#include "kernels/ops.h"
#include "tensor/dtype.h"

namespace twofold {

namespace {

constexpr double kFreeStepEntropy = 3.0;  // bits; what the free-step recipes aim at when nothing is asked
constexpr double kDcAlpha = 0.9;
// Log-normal sigma of per-channel steps: classes of channels with similar integers are then worth 0.12 bits
// per weight, as measured for steps inverse to the Cholesky diagonal on books-llama-8m.
constexpr double kStepSigma = 0.35;
constexpr std::size_t kSampleWeights = 1 << 18;  // their histogram gives the entropy to about 0.005 bits

std::vector<float> round_bf16(std::vector<float> values) {
  for (float& value : values) value = bf16_to_float(float_to_bf16(value));
  return values;
}

std::vector<float> input_scale(const SynthTensor& tensor, const SynthOptions& options) {
  const auto cols = static_cast<std::size_t>(tensor.cols);
  switch (options.recipe) {
    case SynthRecipe::kTensor:
      return {};
    case SynthRecipe::kChannel:
      return round_bf16(synth_spread(options.seed, tensor.input + "/steps", kStepSigma, cols));
    case SynthRecipe::kDc:
      break;
  }
  return dc_scales(synth_channel_maxima(options.seed, tensor.input, tensor.input_kind, cols), kDcAlpha);
}

/// The linear layer's largest |W_ij s_j|.
float largest(const SynthMatrix& matrix, const SynthTensor& tensor, const float* scale, ThreadPool& pool) {
  const auto cols = static_cast<std::size_t>(tensor.cols);
  std::vector<float> max(static_cast<std::size_t>(pool.size()));
  pool.run(static_cast<std::size_t>(tensor.rows), [&](std::size_t begin, std::size_t end, int worker) {
    AlignedVector<float> row(cols);
    float& mine = max[static_cast<std::size_t>(worker)];
    for (std::size_t i = begin; i < end; ++i) {
      matrix.row(static_cast<std::int64_t>(i), row.data());
      mine = std::max(mine, ops().abs_max(row.data(), scale, cols));
    }
  });
  return *std::max_element(max.begin(), max.end());
}

/// The step at which the integers have `target` bits of order-0 entropy, found by bisection on a sample of
/// rows spread over the matrix.
float step_for_entropy(const SynthMatrix& matrix, const SynthTensor& tensor, const float* scale,
                       double target) {
  const auto cols = static_cast<std::size_t>(tensor.cols);
  const auto all_rows = static_cast<std::size_t>(tensor.rows);
  const std::size_t rows = std::min(all_rows, (kSampleWeights + cols - 1) / cols);
  AlignedVector<float> sample(rows * cols);
  double squares = 0;
  for (std::size_t i = 0; i < rows; ++i) {
    float* row = &sample[i * cols];
    matrix.row(static_cast<std::int64_t>(i * all_rows / rows), row);
    for (std::size_t j = 0; j < cols; ++j) {
      if (scale != nullptr) row[j] *= scale[j];
      squares += static_cast<double>(row[j]) * row[j];
    }
  }
  const double size = std::sqrt(squares / static_cast<double>(sample.size()));
  AlignedVector<std::int8_t> q(sample.size());
  // The entropy falls as the step grows, from where the clamp at 127 begins to cut what is common.
  double low = std::log(3 * size / 127);
  double high = std::log(20 * size);
  for (int i = 0; i < 24; ++i) {
    const double middle = (low + high) / 2;
    ops().quantize(sample.data(), nullptr, static_cast<float>(std::exp(-middle)), sample.size(), q.data());
    Histogram histogram = {};
    count_values(q, histogram);
    (order0_entropy(histogram) > target ? low : high) = middle;
  }
  return static_cast<float>(std::exp(low));
}

class ContainerSynth {
 public:
  ContainerSynth(const SynthPlan& plan, ThreadPool& pool, Progress& progress, SynthReport& report)
      : plan_(plan),
        options_(plan.options),
        pool_(pool),
        progress_(progress),
        report_(report),
        codec_(find_codec(options_.codec)),
        writer_(options_.destination, names(plan), options_.max_shard_bytes) {}

  void run() {
    double bits = 0;
    for (const SynthTensor& tensor : plan_.tensors) {
      check_interrupt();
      if (tensor.kind == SynthTensor::Kind::kLinear) {
        bits += add_linear(tensor) * static_cast<double>(tensor.elements());
        report_.linear_weights += tensor.elements();
      } else if (tensor.kind == SynthTensor::Kind::kEmbedding) {
        add_by_row(tensor);
      } else {
        add_plain(tensor);
      }
      progress_.advance(tensor.elements(), tensor.name);
    }
    report_.linear_entropy = bits / static_cast<double>(report_.linear_weights);
    writer_.add_file("tokenizer.json", plan_.tokenizer.tokenizer);
    writer_.add_file("tokenizer_config.json", plan_.tokenizer.config);
    writer_.commit(plan_.config, recipe());
  }

 private:
  static std::vector<std::string> names(const SynthPlan& plan) {
    std::vector<std::string> names;
    for (const SynthTensor& tensor : plan.tensors) names.push_back(tensor.name);
    return names;
  }

  Json recipe() const {
    Json synthetic = {{"recipe_like", synth_recipe_name(options_.recipe)}};
    if (options_.entropy) synthetic["entropy"] = *options_.entropy;
    return {{"activations", "per-token"}, {"codec", options_.codec}, {"synthetic", synthetic}};
  }

  CodedTensorParts parts_of(const SynthTensor& tensor) const {
    CodedTensorParts parts;
    parts.name = tensor.name;
    parts.rows = tensor.rows;
    parts.cols = tensor.cols;
    return parts;
  }

  /// Returns the entropy of the integers.
  double add_linear(const SynthTensor& tensor) {
    const auto cols = static_cast<std::size_t>(tensor.cols);
    const SynthMatrix matrix(options_.seed, tensor.name, tensor.cols);
    CodedTensorParts parts = parts_of(tensor);
    parts.input_scale = input_scale(tensor, options_);
    const float* scale = parts.input_scale.empty() ? nullptr : parts.input_scale.data();
    const bool by_largest = options_.recipe == SynthRecipe::kDc && !options_.entropy;
    const float step =
        by_largest ? largest(matrix, tensor, scale, pool_) / 127
                   : step_for_entropy(matrix, tensor, scale, options_.entropy.value_or(kFreeStepEntropy));
    parts.scale = {step};
    q_.resize(tensor.elements());
    std::vector<Histogram> histograms(static_cast<std::size_t>(pool_.size()));
    pool_.run(static_cast<std::size_t>(tensor.rows), [&](std::size_t begin, std::size_t end, int worker) {
      AlignedVector<float> row(cols);
      for (std::size_t i = begin; i < end; ++i) {
        matrix.row(static_cast<std::int64_t>(i), row.data());
        ops().quantize(row.data(), scale, 1 / step, cols, &q_[i * cols]);
        count_values({&q_[i * cols], cols}, histograms[static_cast<std::size_t>(worker)]);
      }
    });
    for (std::size_t w = 1; w < histograms.size(); ++w) {
      for (std::size_t v = 0; v < histograms[w].size(); ++v) histograms[0][v] += histograms[w][v];
    }
    report_.linear_bytes += writer_.add_coded(parts, q_, codec_, pool_);
    return order0_entropy(histograms[0]);
  }

  void add_by_row(const SynthTensor& tensor) {
    const auto cols = static_cast<std::size_t>(tensor.cols);
    const SynthMatrix matrix(options_.seed, tensor.name, tensor.cols);
    CodedTensorParts parts = parts_of(tensor);
    parts.scale.resize(static_cast<std::size_t>(tensor.rows));
    q_.resize(tensor.elements());
    pool_.run(parts.scale.size(), [&](std::size_t begin, std::size_t end, int) {
      AlignedVector<float> row(cols);
      for (std::size_t i = begin; i < end; ++i) {
        matrix.row(static_cast<std::int64_t>(i), row.data());
        parts.scale[i] = ops().abs_max(row.data(), nullptr, cols) / 127;
        ops().quantize(row.data(), nullptr, 1 / parts.scale[i], cols, &q_[i * cols]);
      }
    });
    writer_.add_coded(parts, q_, codec_, pool_);
  }

  void add_plain(const SynthTensor& tensor) {
    std::vector<std::uint8_t> bytes;
    if (tensor.is_vector()) {
      bytes = synth_vector(tensor, options_.seed);
    } else {
      bytes.resize(2 * tensor.elements());
      synth_rows(tensor, options_.seed, 0, static_cast<std::size_t>(tensor.rows), pool_, bytes.data());
    }
    TensorView view;
    view.name = tensor.name;
    view.dtype = DType::kBF16;
    view.shape = tensor.shape();
    view.bytes = bytes;
    writer_.add_plain(view);
  }

  const SynthPlan& plan_;
  const SynthOptions& options_;
  ThreadPool& pool_;
  Progress& progress_;
  SynthReport& report_;
  const Codec& codec_;
  ContainerWriter writer_;
  AlignedVector<std::int8_t> q_;  // the tensor at hand
};

}  // namespace

void write_synth_container(const SynthPlan& plan, ThreadPool& pool, Progress& progress, SynthReport& report) {
  ContainerSynth(plan, pool, progress, report).run();
}

}  // namespace twofold
