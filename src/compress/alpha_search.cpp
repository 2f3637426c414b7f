#include "compress/alpha_search.h"

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "codec/entropy.h"
#include "compress/calibration_run.h"
#include "compress/memory_tensor.h"
#include "compress/stage_one.h"
#include "runtime/logits.h"

namespace twofold {

namespace {

constexpr int kSteps = 10;  // alpha = 0, 1/10 ... 1

struct Candidate {
  Recipe recipe;
  CalibrationRun run;
  double bits = 0;  // entropy of what has been quantized so far
  double weights = 0;
  double kl = 0;  // sum over tokens

  /// Quantizes the layer's linears with this alpha and carries the hidden states through it.
  void step(Model& model, std::size_t layer, const StatisticsCollector& statistics) {
    ThreadPool& pool = model.workspace().pool();
    std::vector<std::unique_ptr<MemoryTensor>> tensors;
    const auto quantized = [&](const LinearSpec& linear) -> const CodedTensor* {
      if (recipe.skips(linear.weight())) return nullptr;
      QuantizedMatrix matrix = stage_one(load_linear(model.checkpoint(), linear, pool), linear.rows,
                                         linear.cols, statistics.at(linear), recipe, pool);
      Histogram histogram{};
      count_values(matrix.q, histogram);
      bits += order0_entropy(histogram) * static_cast<double>(matrix.q.size());
      weights += static_cast<double>(matrix.q.size());
      tensors.push_back(std::make_unique<MemoryTensor>(std::move(matrix)));
      return &tensors.back()->tensor();
    };
    run.step(model, layer, model.load_layer(layer, quantized, recipe.activations), nullptr);
  }
};

/// A matrix with one step per row as it would be stored, or nullptr when the recipe skips it.
std::unique_ptr<MemoryTensor> row_quantized(Model& model, const std::string& name, const Recipe& recipe) {
  if (recipe.skips(name)) return nullptr;
  const TensorView& tensor = model.checkpoint().at(name);
  ThreadPool& pool = model.workspace().pool();
  return std::make_unique<MemoryTensor>(
      quantize_per_row(load_weights(tensor, pool), tensor.shape.at(0), tensor.shape.at(1), pool));
}

/// Adds up every candidate's divergence, a block of tokens at a time.
void measure_divergence(Model& model, CalibrationRun& reference, std::vector<Candidate>& candidates,
                        const Recipe& recipe) {
  const ModelSpec& spec = model.spec();
  const auto width = static_cast<std::size_t>(spec.hidden_size);
  const auto vocab = static_cast<std::size_t>(spec.vocab_size);
  const auto head_weights = row_quantized(model, spec.head.weight(), recipe);
  const auto head =
      head_weights ? make_coded_linear(head_weights->tensor(), recipe.activations, {}) : nullptr;
  constexpr std::size_t kBlock = 64;  // tokens
  const std::size_t tokens = reference.hidden().size() / width;
  std::vector<float> expected(kBlock * vocab);
  std::vector<float> found(kBlock * vocab);
  std::vector<double> divergence(kBlock);
  for (std::size_t begin = 0; begin < tokens; begin += kBlock) {
    check_interrupt();
    const std::size_t rows = std::min(kBlock, tokens - begin);
    model.head(&reference.hidden()[begin * width], static_cast<std::int64_t>(rows), expected.data());
    for (Candidate& candidate : candidates) {
      model.head(&candidate.run.hidden()[begin * width], static_cast<std::int64_t>(rows), found.data(),
                 head.get());
      model.workspace().pool().run(rows, [&](std::size_t first, std::size_t last, int) {
        for (std::size_t r = first; r < last; ++r) {
          divergence[r] = kl_divergence({&expected[r * vocab], vocab}, {&found[r * vocab], vocab});
        }
      });
      for (std::size_t r = 0; r < rows; ++r) candidate.kl += divergence[r];
    }
  }
}

}  // namespace

std::vector<AlphaPoint> try_alphas(Model& model, const CalibrationText& text, const Recipe& recipe) {
  const ModelSpec& spec = model.spec();
  CalibrationRun reference(text, embed_text(model, text));
  AlignedVector<float> start = reference.hidden();
  if (const auto embedding = row_quantized(model, spec.embedding, recipe)) {
    start = embed_text(model, text, make_coded_embedding(embedding->tensor()).get());
  }
  std::vector<Candidate> candidates;
  for (int i = 0; i <= kSteps; ++i) {
    Candidate candidate{recipe, CalibrationRun(text, start)};
    candidate.recipe.alpha = static_cast<double>(i) / kSteps;
    candidates.push_back(std::move(candidate));
  }
  Progress progress("Searching alpha", spec.layers.size() * candidates.size());
  StatisticsCollector statistics(model.workspace().pool());
  for (std::size_t layer = 0; layer < spec.layers.size(); ++layer) {
    reference.step(model, layer, model.layer(layer), &statistics);
    for (Candidate& candidate : candidates) {
      check_interrupt();
      candidate.step(model, layer, statistics);
      progress.advance(1);
    }
    statistics.clear();
    model.release_layer(layer);
  }
  measure_divergence(model, reference, candidates, recipe);
  std::vector<AlphaPoint> points;
  points.reserve(candidates.size());
  for (const Candidate& candidate : candidates) {
    points.push_back({candidate.recipe.alpha, candidate.kl / static_cast<double>(text.tokens()),
                      candidate.weights > 0 ? candidate.bits / candidate.weights : 0});
  }
  return points;
}

const AlphaPoint& best_alpha(const std::vector<AlphaPoint>& points, double max_kl) {
  const AlphaPoint* best = nullptr;
  const AlphaPoint* nearest = &points.front();
  for (const AlphaPoint& point : points) {
    if (point.kl <= max_kl && (best == nullptr || point.bits_per_weight < best->bits_per_weight))
      best = &point;
    if (point.kl < nearest->kl) nearest = &point;
  }
  if (best == nullptr) {
    fail("--max-kl {}: no alpha stays under it; the least divergence is {:.6f} at alpha {:.1f}", max_kl,
         nearest->kl, nearest->alpha);
  }
  return *best;
}

}  // namespace twofold
