#include "text/bpe_family.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "text/byte_level.h"

namespace twofold {

namespace {

// The expressions are those of the families' own tokenizer.json or code.
#define TWOFOLD_CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define TWOFOLD_CASED_WORDS(suffix)                                                        \
  R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)" suffix \
  R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)" suffix

constexpr std::string_view kLlama3 = TWOFOLD_CONTRACTIONS
    R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 = TWOFOLD_CONTRACTIONS
    R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen35 = TWOFOLD_CONTRACTIONS
    R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken =
    TWOFOLD_CASED_WORDS("") R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kGpt4o = TWOFOLD_CASED_WORDS(
    TWOFOLD_CONTRACTIONS "?") R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kSeedCoder = TWOFOLD_CONTRACTIONS
    R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kBailing =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr std::string_view kDeepSeekV3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
    R"(| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kDeepSeekLetters =
    R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+)";
constexpr std::string_view kDeepSeekHan = "[一-龥\\u0800-一가-\\ud7ff]+";
constexpr std::string_view kBloom = R"( ?[^(\s|.,!?…。，、।۔،)]+)";
constexpr std::string_view kPunctuation = R"([\p{P}$+<=>^~|]+)";
constexpr std::string_view kPunctuationAndTick = R"([\p{P}$+<=>^~|`]+)";

struct NamedFamily {
  std::string_view names;  // with a space before and behind each
  BpeFamily family;
};
const NamedFamily kFamilies[] = {
    {" gpt-2 phi-2 mpt olmo jais trillion granite-docling exaone4 roberta-bpe modern-bert mellum a.x-4.0 "
     "jina-es "
     "jina-de jina-v2-es jina-v2-de jina-v2-code jina-v1-en ",
     {{kGpt2Expression}}},
    {" llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano ",
     {{kLlama3}, false, true, true}},
    {" dbrx smaug-bpe chatglm-bpe glm4 ", {{kLlama3}}},
    {" qwen2 deepseek-r1-qwen stablelm2 hunyuan megrez grok-2 solar-open ", {{kQwen2}}},
    {" qwen35 ", {{kQwen35}}},
    {" tekken ", {{kTekken}, false, true, true}},
    {" gpt-4o llama4 kanana2 minimax-m2 ", {{kGpt4o}}},
    {" falcon ", {{kPunctuationAndTick, kGpt2Expression, "[0-9][0-9][0-9]"}}},
    {" starcoder refact command-r smollm codeshell exaone minerva-7b mellum2 ",
     {{"\\p{N}", kGpt2Expression}}},
    {" deepseek-llm ",
     {{"[\\r\\n]", kDeepSeekLetters, R"(\s?[!-/:-~！-／：-～‘-‟　-。]+)", "\\s+$", kDeepSeekHan, "\\p{N}+"}}},
    {" deepseek-coder ", {{"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", kDeepSeekHan, "\\p{N}"}}},
    {" deepseek-v3 hunyuan-dense joyai-llm ", {{"\\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", kDeepSeekV3}}},
    {" seed-coder ", {{kSeedCoder}}},
    {" bailingmoe bailingmoe2 llada-moe ", {{kBailing}}},
    {" bloom poro-chat gpt3-finnish ", {{kBloom}}},
    {" viking ", {{kBloom, "\\p{N}"}}},
    {" default ", {{kPunctuation, kGpt2Expression, "\\p{N}+", "[0-9][0-9][0-9]"}}},
};

#undef TWOFOLD_CASED_WORDS
#undef TWOFOLD_CONTRACTIONS

}  // namespace

const BpeFamily* find_bpe_family(std::string_view name) {
  if (name.empty() || name.find(' ') != std::string_view::npos) return nullptr;
  const std::string sought = " " + std::string(name) + " ";
  for (const NamedFamily& entry : kFamilies) {
    if (entry.names.find(sought) != std::string_view::npos) return &entry.family;
  }
  return nullptr;
}

std::string bpe_family_names() {
  std::string names;
  for (const NamedFamily& entry : kFamilies) {
    for (std::size_t at = 1; at < entry.names.size();) {
      const std::size_t end = entry.names.find(' ', at);
      names += (names.empty() ? "" : ", ") + std::string(entry.names.substr(at, end - at));
      at = end + 1;
    }
  }
  return names;
}

std::unique_ptr<PreTokenizer> make_byte_level_pre_tokenizer(const BpeFamily& family,
                                                            const std::string& where) {
  Json steps = Json::array();
  for (const std::string_view expression : family.expressions) {
    if (expression.empty()) continue;
    steps.push_back({{"type", "Split"}, {"pattern", {{"Regex", expression}}}, {"behavior", "Isolated"}});
  }
  steps.push_back({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}});
  return parse_pre_tokenizer({{"type", "Sequence"}, {"pretokenizers", steps}}, where);
}

std::unique_ptr<Normalizer> make_family_normalizer(const BpeFamily& family) {
  return family.nfc ? parse_normalizer({{"type", "NFC"}}, "") : nullptr;
}

std::unique_ptr<TextDecoder> make_byte_level_decoder() {
  return parse_decoder({{"type", "ByteLevel"}}, "");
}

}  // namespace twofold
