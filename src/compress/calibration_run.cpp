#include "compress/calibration_run.h"

#include <limits>

namespace twofold {

void CalibrationRun::step(Model& model, std::size_t layer, const LayerWeights& weights,
                          InputObserver* observer, bool at_once) {
  // Unless a sequence is longer.
  const std::int64_t most = at_once ? std::numeric_limits<std::int64_t>::max() : 8192;
  const ModelSpec& spec = model.spec();
  float* hidden = hidden_.data();
  for (std::size_t first = 0; first < text_.sequences.size();) {
    std::int64_t tokens = 0;
    std::size_t last = first;
    while (last < text_.sequences.size()) {
      const auto more = static_cast<std::int64_t>(text_.sequences[last].size());
      if (tokens > 0 && tokens + more > most) break;
      tokens += more;
      ++last;
    }
    std::vector<LayerCache> caches(last - first);
    std::vector<LayerSlice> slices;
    for (std::size_t i = first; i < last; ++i) {
      slices.push_back({&caches[i - first], 0, static_cast<std::int64_t>(text_.sequences[i].size())});
    }
    run_layer(spec, spec.layers[layer], weights, slices, model.positions(slices), hidden, model.workspace(),
              observer);
    hidden += tokens * spec.hidden_size;
    first = last;
  }
}

AlignedVector<float> embed_text(Model& model, const CalibrationText& text, const Embedding* replacement) {
  const std::vector<TokenId> tokens = all_tokens(text);
  std::vector<std::int64_t> positions;
  for (const auto& sequence : text.sequences) {
    for (std::size_t i = 0; i < sequence.size(); ++i) positions.push_back(static_cast<std::int64_t>(i));
  }
  AlignedVector<float> hidden(tokens.size() * static_cast<std::size_t>(model.spec().hidden_size));
  model.embed(tokens, positions, hidden.data(), replacement);
  return hidden;
}

}  // namespace twofold
