#include "compress/synth_tokenizer.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "text/byte_token.h"

namespace twofold {

namespace {

constexpr const char* kBos = "<s>";
constexpr const char* kEos = "</s>";
constexpr const char* kUnknown = "<unk>";

}  // namespace

TokenizerFiles byte_tokenizer(const ModelSpec& spec) {
  std::vector<std::string> pieces(static_cast<std::size_t>(spec.vocab_size));
  Json special = Json::array();
  const auto add_special = [&](std::int64_t id, const char* content) {
    if (id < 0 || id >= spec.vocab_size || !pieces[static_cast<std::size_t>(id)].empty()) return false;
    pieces[static_cast<std::size_t>(id)] = content;
    special.push_back({{"id", id},
                       {"content", content},
                       {"single_word", false},
                       {"lstrip", false},
                       {"rstrip", false},
                       {"normalized", false},
                       {"special", true}});
    return true;
  };
  const bool has_bos = spec.bos && add_special(*spec.bos, kBos);
  const bool has_eos = !spec.eos.empty() && add_special(spec.eos[0], kEos);
  bool has_unknown = false;
  int byte = 0;
  Json vocab = Json::object();
  for (std::size_t id = 0; id < pieces.size(); ++id) {
    std::string& piece = pieces[id];
    if (piece.empty() && !has_unknown) {
      has_unknown = add_special(static_cast<std::int64_t>(id), kUnknown);
    } else if (piece.empty()) {
      piece = byte < 256 ? byte_token(static_cast<std::uint8_t>(byte++)) : fmt::format("<{}>", id);
    }
    vocab[piece] = id;
  }
  Json model = {{"type", "BPE"},          {"fuse_unk", true},          {"byte_fallback", true},
                {"ignore_merges", false}, {"vocab", std::move(vocab)}, {"merges", Json::array()}};
  if (has_unknown) model["unk_token"] = kUnknown;
  const Json tokenizer = {
      {"version", "1.0"},
      {"added_tokens", special},
      {"normalizer", nullptr},
      {"pre_tokenizer", nullptr},
      {"post_processor", nullptr},
      {"decoder", {{"type", "Sequence"}, {"decoders", {{{"type", "ByteFallback"}}, {{"type", "Fuse"}}}}}},
      {"model", std::move(model)}};
  Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                 {"add_bos_token", has_bos},
                 {"add_eos_token", false},
                 {"model_max_length", spec.max_positions}};
  if (has_bos) config["bos_token"] = kBos;
  if (has_eos) config["eos_token"] = kEos;
  if (has_unknown) config["unk_token"] = kUnknown;
  return {tokenizer.dump(1, ' ') + "\n", config.dump(2, ' ') + "\n"};
}

}  // namespace twofold
