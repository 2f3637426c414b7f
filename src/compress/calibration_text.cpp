#include "compress/calibration_text.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "runtime/sampler.h"

namespace twofold {

namespace {

constexpr std::int64_t kWindow = 512;     // tokens of a sequence cut from a file
constexpr std::int64_t kSelfWindow = 64;  // tokens of a sampled sequence
constexpr std::size_t kSelfBatch = 32;  // sequences sampled side by side: one pass over the weights each step
constexpr std::uint64_t kMaxTextBytes = std::uint64_t{64} << 20;  // far more than calibration can use

std::vector<std::vector<TokenId>> from_file(const Model& model, const CalibrationOptions& options) {
  const ModelSpec& spec = model.spec();
  const File file(options.source);
  std::string text(std::min(file.size(), kMaxTextBytes), '\0');
  file.read(0, {reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  const auto tokenizer = load_tokenizer(model.checkpoint().directory());
  const std::vector<TokenId> ids = tokenizer->encode(text);
  if (ids.empty()) fail("{}: the calibration text is empty", options.source);
  const auto total = static_cast<std::int64_t>(ids.size());
  const bool with_bos = tokenizer->bos().has_value();
  const std::int64_t length = std::min({kWindow, spec.max_positions - (with_bos ? 1 : 0), total});
  if (length < 1)
    fail("{}: the model's context of {} is too short to calibrate", options.source, spec.max_positions);
  const std::int64_t windows =
      std::clamp<std::int64_t>(options.tokens / length, 1, std::max<std::int64_t>(total / length, 1));
  std::vector<std::vector<TokenId>> sequences;
  for (std::int64_t i = 0; i < windows; ++i) {
    const std::int64_t begin = windows > 1 ? (total - length) * i / (windows - 1) : 0;
    std::vector<TokenId>& sequence = sequences.emplace_back();
    if (with_bos) sequence.push_back(*tokenizer->bos());
    sequence.insert(sequence.end(), ids.begin() + begin, ids.begin() + begin + length);
  }
  return sequences;
}

std::vector<std::vector<TokenId>> from_model(Model& model, const CalibrationOptions& options) {
  const ModelSpec& spec = model.spec();
  const std::int64_t length = std::min(kSelfWindow, spec.max_positions);
  const auto count = static_cast<std::size_t>(std::max<std::int64_t>(options.tokens / length, 1));
  Random random(options.seed);
  Sampler sampler({.temperature = 1.0F, .top_k = 0, .top_p = 1.0F, .min_p = 0.0F, .seed = random.next()});
  Progress progress("Sampling calibration text", count * static_cast<std::size_t>(length));
  std::vector<std::vector<TokenId>> sequences;
  while (sequences.size() < count) {
    const std::size_t first = sequences.size();
    const std::size_t batch_size = std::min(kSelfBatch, count - first);
    std::vector<KvCache> caches(batch_size, KvCache(spec));
    for (std::size_t i = 0; i < batch_size; ++i) {
      const std::int64_t start = spec.bos.value_or(
          static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(spec.vocab_size))));
      sequences.push_back({static_cast<TokenId>(start)});
      caches[i].reserve(spec, length);
    }
    for (std::int64_t t = 1; t < length; ++t) {
      check_interrupt();
      std::vector<Sequence> batch;
      for (std::size_t i = 0; i < batch_size; ++i)
        batch.push_back({&caches[i], {&sequences[first + i].back(), 1}});
      std::vector<float> logits = model.forward(batch, Model::Logits::kLast);
      for (std::size_t i = 0; i < batch_size; ++i) {
        const std::span<float> row(&logits[i * static_cast<std::size_t>(spec.vocab_size)],
                                   static_cast<std::size_t>(spec.vocab_size));
        for (const std::int64_t id : spec.eos) {  // a text that has ended would calibrate on nothing
          if (id < spec.vocab_size)
            row[static_cast<std::size_t>(id)] = -std::numeric_limits<float>::infinity();
        }
        sequences[first + i].push_back(sampler.sample(row, {}));
      }
      progress.advance(batch_size);
    }
    progress.advance(batch_size);
  }
  return sequences;
}

}  // namespace

std::vector<TokenId> all_tokens(const CalibrationText& text) {
  std::vector<TokenId> all;
  for (const auto& sequence : text.sequences) all.insert(all.end(), sequence.begin(), sequence.end());
  return all;
}

std::int64_t CalibrationText::tokens() const {
  std::int64_t total = 0;
  for (const auto& sequence : sequences) total += static_cast<std::int64_t>(sequence.size());
  return total;
}

CalibrationText make_calibration_text(Model& model, const CalibrationOptions& options) {
  CalibrationText text;
  const bool self = options.source == "self";
  text.sequences = self ? from_model(model, options) : from_file(model, options);
  text.source = self ? "self" : std::filesystem::path(options.source).filename().string();
  const std::vector<TokenId> all = all_tokens(text);
  text.hash = hex64(xxh3({reinterpret_cast<const std::uint8_t*>(all.data()), all.size() * sizeof(TokenId)}));
  return text;
}

}  // namespace twofold
