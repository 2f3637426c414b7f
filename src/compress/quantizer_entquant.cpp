#include <cmath>
#include <limits>

#include "compress/quantizer.h"

namespace twofold {

/// EntQuant (Putzky et al., arXiv 2601.22787): data-free; the step of each row minimises the relative error
/// of the weights plus lambda times the mean |q|, which stands for the rate. Theirs are found by L-BFGS; a
/// row has but one, and a grid over its whole range, 24 to the octave, finds the same.
QuantizedLinear quantize_entquant(const LinearTask& task, std::vector<float> input_scale) {
  constexpr double kPerOctave = 24;
  const std::size_t cols = task.width();
  const std::vector<float> maxima = row_maxima(task, input_scale);
  QuantizedLinear out;
  out.matrix.q.resize(task.weights.size());
  std::vector<float> steps(maxima.size());
  task.pool.run(maxima.size(), [&](std::size_t begin, std::size_t end, int) {
    std::vector<float> row(cols);
    for (std::size_t r = begin; r < end; ++r) {
      double energy = 0;
      for (std::size_t j = 0; j < cols; ++j) {
        row[j] = task.weights[r * cols + j] * (input_scale.empty() ? 1.0F : input_scale[j]);
        energy += static_cast<double>(row[j]) * row[j];
      }
      const float finest = usable_step(maxima[r], 127);
      float best = finest;
      double least = std::numeric_limits<double>::infinity();
      for (int g = 0; g <= 7 * kPerOctave && energy > 0; ++g) {
        const float step = finest * static_cast<float>(std::exp2(g / kPerOctave));
        double error = 0;
        double magnitudes = 0;
        for (const float w : row) {
          const float q = std::nearbyint(w / step);
          error += static_cast<double>((w - q * step) * (w - q * step));
          magnitudes += std::fabs(q);
        }
        const double cost = error / energy + task.recipe.lambda * magnitudes / static_cast<double>(cols);
        if (cost < least) {
          least = cost;
          best = step;
        }
      }
      steps[r] = best;
      for (std::size_t j = 0; j < cols; ++j) {
        const float q = std::nearbyint(row[j] / best);
        out.matrix.q[r * cols + j] = static_cast<std::int8_t>(std::fmin(std::fmax(q, -127.0F), 127.0F));
      }
    }
  });
  out.matrix.parts = parts_of(task, std::move(steps), std::move(input_scale));
  return out;
}

}  // namespace twofold
