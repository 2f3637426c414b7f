#include "compress/calibration_run.h"

#include <algorithm>

namespace twofold {

void CalibrationRun::step(Model& model, std::size_t layer, const LayerWeights& weights,
                          InputObserver* observer) {
  std::vector<LayerCache> caches(text_.sequences.size());
  std::vector<LayerSlice> slices;
  std::int64_t longest = 0;
  for (std::size_t i = 0; i < caches.size(); ++i) {
    const auto tokens = static_cast<std::int64_t>(text_.sequences[i].size());
    slices.push_back({&caches[i], 0, tokens});
    longest = std::max(longest, tokens);
  }
  const ModelSpec& spec = model.spec();
  run_layer(spec, spec.layers[layer], weights, slices, model.rope(longest), hidden_.data(), model.workspace(),
            observer);
}

AlignedVector<float> embed_text(Model& model, const CalibrationText& text) {
  const std::vector<TokenId> tokens = all_tokens(text);
  AlignedVector<float> hidden(tokens.size() * static_cast<std::size_t>(model.spec().hidden_size));
  model.embed(tokens, hidden.data());
  return hidden;
}

}  // namespace twofold
