#include "compress/backward/loss.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "compress/backward/norm.h"
#include "compress/backward/products.h"
#include "runtime/logits.h"
#include "runtime/weight_loader.h"
#include "tensor/tensor_floats.h"

namespace twofold {

namespace {

using Size = std::size_t;

constexpr Size kTokens = 128;     // whose logits are in memory at once
constexpr Size kHeadRows = 2048;  // of the head as floats

/// dx [rows, width] = dlogits W for the head's W, a block of its rows at a time.
void backward_head(Model& model, const AlignedVector<float>& dlogits, Size rows, AlignedVector<float>& dx) {
  const TensorView& head = model.checkpoint().at(model.spec().head.weight());
  const auto vocab = static_cast<Size>(head.shape.at(0));
  const auto width = static_cast<Size>(head.shape.at(1));
  dx.resize(rows * width);
  AlignedVector<float> part, weights;
  for (Size first = 0; first < vocab; first += kHeadRows) {
    const Size count = std::min(kHeadRows, vocab - first);
    weights.resize(count * width);
    read_floats(head, first * width, weights);
    part.resize(rows * count);
    for (Size r = 0; r < rows; ++r)
      std::memcpy(&part[r * count], &dlogits[r * vocab + first], count * sizeof(float));
    backward_input(part.data(), rows, weights.data(), count, width, dx.data(), first > 0,
                   model.workspace().pool());
  }
}

}  // namespace

double backward_loss(Model& model, std::span<const std::int32_t> sequence, const float* hidden,
                     float* gradient) {
  const ModelSpec& spec = model.spec();
  ThreadPool& pool = model.workspace().pool();
  const auto width = static_cast<Size>(spec.hidden_size);
  const auto vocab = static_cast<Size>(spec.vocab_size);
  std::fill(gradient, gradient + sequence.size() * width, 0.0F);
  if (sequence.size() < 2) return 0;
  const Size predictions = sequence.size() - 1;
  const NormWeights norm = WeightLoader(model.checkpoint().directory()).norm(spec.final_norm);
  std::vector<const LinearSpec*> projections;
  if (spec.project_out.present()) projections.push_back(&spec.project_out);
  const LinearMatrices matrices(model.checkpoint(), projections, pool);
  double loss = 0;
  AlignedVector<float> copy, logits, dx;
  for (Size begin = 0; begin < predictions; begin += kTokens) {
    const Size rows = std::min(kTokens, predictions - begin);
    copy.assign(hidden + begin * width, hidden + (begin + rows) * width);
    logits.resize(rows * vocab);
    model.head(copy.data(), static_cast<std::int64_t>(rows), logits.data());
    // d loss / d logit = softmax - 1 at the target, over the number of predictions.
    for (Size r = 0; r < rows; ++r) {
      const std::span<float> row(&logits[r * vocab], vocab);
      const auto target = static_cast<Size>(sequence[begin + r + 1]);
      const double norm_of = log_sum_exp(row);
      loss += (norm_of - row[target]) / static_cast<double>(predictions);
      for (Size i = 0; i < vocab; ++i) {
        double d = std::exp(row[i] - norm_of) - (i == target ? 1 : 0);
        if (const double cap = spec.logit_soft_cap; cap > 0) d *= 1 - (row[i] / cap) * (row[i] / cap);
        row[i] = static_cast<float>(d / static_cast<double>(predictions));
      }
    }
    backward_head(model, logits, rows, dx);
    if (spec.project_out.present()) {
      AlignedVector<float> wide(rows * width);
      backward_input(dx.data(), rows, matrices.of(spec.project_out), static_cast<Size>(spec.embedding_size),
                     width, wide.data(), false, pool);
      dx = std::move(wide);
    }
    float* out = gradient + begin * width;
    if (spec.final_norm.present()) {
      backward_norm(spec.final_norm, norm, hidden + begin * width, dx.data(), rows, out, pool);
    } else {
      std::memcpy(out, dx.data(), rows * width * sizeof(float));
    }
  }
  return loss;
}

}  // namespace twofold
