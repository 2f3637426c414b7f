#include "compress/calibration_run.h"

namespace twofold {

void CalibrationRun::step(Model& model, std::size_t layer, const LayerWeights& weights,
                          InputObserver* observer) {
  std::vector<LayerCache> caches(text_.sequences.size());
  std::vector<LayerSlice> slices;
  for (std::size_t i = 0; i < caches.size(); ++i)
    slices.push_back({&caches[i], 0, static_cast<std::int64_t>(text_.sequences[i].size())});
  const ModelSpec& spec = model.spec();
  run_layer(spec, spec.layers[layer], weights, slices, model.positions(slices), hidden_.data(),
            model.workspace(), observer);
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
