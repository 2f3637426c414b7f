// Text of any bytes through two small tokenizers: ids are in range and decode; text that is UTF-8 comes back
// where no special token is in it, and the pieces of its ids join to it.
#include <fmt/core.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

using namespace twofold;

namespace {

const std::string kSpace = "\xe2\x96\x81";

/// Like Llama's, with byte tokens for all characters but a few. `merges` are pairs of pieces.
std::unique_ptr<Tokenizer> make_tokenizer(const std::vector<std::pair<std::string, std::string>>& merges) {
  Json vocab = {{"<unk>", 0}, {"<s>", 1}};
  const auto add = [&](const std::string& piece) {
    if (!vocab.contains(piece)) vocab[piece] = vocab.size();
  };
  for (int byte = 0; byte < 256; ++byte) add(fmt::format("<0x{:02X}>", byte));
  for (const std::string piece : {"a", "b", "c", "e", "h", "t", "<", ">", "0", "x", "\xc3\xa9"}) add(piece);
  add(kSpace);
  Json pairs = Json::array();
  for (const auto& [left, right] : merges) {
    add(left + right);
    pairs.push_back({left, right});
  }
  const Json special = {{"id", 1},         {"content", "<s>"}, {"special", true},    {"single_word", false},
                        {"lstrip", false}, {"rstrip", false},  {"normalized", false}};
  const Json from_space = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kSpace}};
  const Json to_space = {{"type", "Replace"}, {"pattern", {{"String", kSpace}}}, {"content", " "}};
  const Json prepend = {{"type", "Prepend"}, {"prepend", kSpace}};
  const Json strip = {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}};
  const Json json = {{"added_tokens", {special}},
                     {"normalizer", {{"type", "Sequence"}, {"normalizers", {prepend, from_space}}}},
                     {"decoder",
                      {{"type", "Sequence"},
                       {"decoders", {to_space, {{"type", "ByteFallback"}}, {{"type", "Fuse"}}, strip}}}},
                     {"model",
                      {{"type", "BPE"},
                       {"unk_token", "<unk>"},
                       {"byte_fallback", true},
                       {"vocab", vocab},
                       {"merges", pairs}}}};
  return parse_tokenizer_json(json.dump(), "", "small.json");
}

void check(const Tokenizer& tokenizer, std::string_view text) {
  const std::vector<TokenId> ids = tokenizer.encode(text);
  std::string pieces;
  for (const TokenId id : ids) {
    if (id < 0 || id >= tokenizer.vocab_size()) std::abort();
    pieces += tokenizer.piece(id);
  }
  const std::string decoded = tokenizer.decode(ids);
  const bool plain =
      text.find(kSpace) == std::string_view::npos && text.find("<s>") == std::string_view::npos;
  if (!plain || text.empty()) return;
  const std::string expected = replace_invalid_utf8(text);
  if (decoded != expected || pieces != " " + expected) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto words = make_tokenizer({{"t", "h"},
                                            {"th", "e"},
                                            {kSpace, "the"},
                                            {kSpace, kSpace},
                                            {"a", "a"},
                                            {"aa", "a"},
                                            {"a", "b"},
                                            {"ab", "c"}});
  static const auto phrases = make_tokenizer({{"e", kSpace},
                                              {"t", "h"},
                                              {"a", kSpace},
                                              {"th", "e" + kSpace},
                                              {"a" + kSpace, "the" + kSpace},
                                              {"<", "0"}});
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(*words, text);
  check(*phrases, text);
  return 0;
}
