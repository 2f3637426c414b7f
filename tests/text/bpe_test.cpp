// Byte-pair encoding against its definition, and the cuts that make it fast.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"
#include "base/random.h"
#include "text/bpe_word_splitter.h"
#include "text/model.h"
#include "text/unicode.h"

namespace twofold {
namespace {

using Ids = std::vector<TokenId>;

struct RandomModel {
  Json json;
  std::map<std::pair<TokenId, TokenId>, std::pair<std::size_t, TokenId>> merges;  // pair -> rank, merged
};

/// Short pieces over a small alphabet, so that they overlap and repeat. `closed`: what has no piece of its
/// own becomes byte tokens, which merge too, otherwise unknown tokens.
RandomModel random_model(Random& random, bool closed) {
  RandomModel model;
  Json vocab = {{"<unk>", 0}};
  std::vector<std::string> pieces;  // that merge often
  const auto add = [&](const std::string& piece) {
    if (!vocab.contains(piece)) vocab[piece] = vocab.size();
  };
  for (const std::string character : {"a", "b", "c", "\n", "<", ">", "é", "日", "▁"}) {
    if (character != "a" && random.below(4) == 0) continue;
    add(character);
    pieces.push_back(character);
  }
  for (int byte = 0; closed && byte < 256; ++byte) add(fmt::format("<0x{:02X}>", byte));
  Json merges = Json::array();
  for (std::size_t i = random.below(60); i > 0; --i) {
    const auto pick = [&]() -> std::string {
      if (closed && random.below(8) == 0) return random.below(2) == 0 ? "<0x0A>" : "<0xC3>";
      return pieces[random.below(pieces.size())];
    };
    const std::string left = pick();
    const std::string right = pick();
    if ((left + right).size() > 24) continue;
    add(left + right);
    pieces.push_back(left + right);
    const std::pair<TokenId, TokenId> pair = {vocab[left].get<TokenId>(), vocab[right].get<TokenId>()};
    if (!model.merges.try_emplace(pair, merges.size(), vocab[left + right].get<TokenId>()).second) continue;
    merges.push_back({left, right});
  }
  model.json = {{"type", "BPE"},    {"unk_token", "<unk>"},    {"vocab", vocab},
                {"merges", merges}, {"byte_fallback", closed}, {"fuse_unk", random.below(2) == 0}};
  return model;
}

Ids symbols_of(const Json& model, const std::string& text) {
  const Json& vocab = model["vocab"];
  Ids ids;
  bool unknown = false;  // the character before
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    next_code_point(text, at);
    const std::string character = text.substr(begin, at - begin);
    const bool unknown_before = std::exchange(unknown, false);
    if (vocab.contains(character)) {
      ids.push_back(vocab[character].get<TokenId>());
    } else if (model["byte_fallback"].get<bool>()) {
      for (const char byte : character) {
        ids.push_back(vocab[fmt::format("<0x{:02X}>", static_cast<unsigned char>(byte))].get<TokenId>());
      }
    } else {
      unknown = true;
      if (!unknown_before || !model["fuse_unk"].get<bool>()) ids.push_back(0);
    }
  }
  return ids;
}

Ids merge_by_definition(const RandomModel& model, Ids ids) {
  while (true) {
    std::size_t best = ids.size();
    std::pair<std::size_t, TokenId> merge = {~std::size_t{0}, 0};
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto found = model.merges.find({ids[i], ids[i + 1]});
      if (found != model.merges.end() && found->second.first < merge.first) {
        best = i;
        merge = found->second;
      }
    }
    if (best == ids.size()) return ids;
    ids[best] = merge.second;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

void compare_with_definition(bool closed) {
  Random random(closed ? 1 : 2);
  const std::vector<std::string> characters = {"a", "b", "c", "\n", "<", ">", "é", "日", "▁", "0", "x", "A"};
  std::size_t merged = 0;
  for (int round = 0; round < 600; ++round) {
    const RandomModel model = random_model(random, closed);
    std::string text;
    for (std::size_t n = 1 + random.below(120); n > 0; --n)
      text += characters[random.below(characters.size())];
    Ids ids;
    parse_bpe_model(model.json, "model")->encode(text, {text.size()}, ids);
    const Ids symbols = symbols_of(model.json, text);
    ASSERT_EQ(ids, merge_by_definition(model, symbols)) << model.json.dump() << "\n" << text;
    merged += symbols.size() - ids.size();
  }
  EXPECT_GT(merged, 1000U);
}

TEST(Bpe, MergesAsItsDefinitionSaysWithByteTokens) {
  compare_with_definition(true);
}

TEST(Bpe, MergesAsItsDefinitionSaysWithUnknownTokens) {
  compare_with_definition(false);
}

TEST(Bpe, GivesTheSameIdsWhenWordsComeAgain) {
  Random random(3);
  for (int round = 0; round < 100; ++round) {
    const RandomModel model = random_model(random, true);
    std::string text;
    for (int i = 0; i < 100; ++i) text += random.below(2) == 0 ? "▁abc" : "▁cab";
    Ids ids;
    parse_bpe_model(model.json, "model")->encode(text, {text.size()}, ids);
    ASSERT_EQ(ids, merge_by_definition(model, symbols_of(model.json, text)));
  }
}

TEST(Bpe, EncodesEveryPieceByItself) {
  const Json json = {{"type", "BPE"}, {"vocab", {{"a", 0}, {"aa", 1}}}, {"merges", {"a a"}}};
  const auto model = parse_bpe_model(json, "model");
  Ids ids = {7};
  model->encode("aaaa", {1, 2, 4}, ids);
  EXPECT_EQ(ids, (Ids{7, 0, 0, 1}));
}

std::vector<std::string> words(const BpeWordSplitter& splitter, const std::string& text) {
  std::vector<std::string> result;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = splitter.word_end(text, at);
    result.push_back(text.substr(at, end - at));
    at = end;
  }
  return result;
}

struct SplitterCase {
  Json vocab;
  Json merges;
  bool closed;
  BpeWordSplitter splitter() const {
    const Vocab parsed(vocab, "vocab");
    return BpeWordSplitter(parsed, parse_bpe_merges({{"merges", merges}}, parsed, 0, "model"), closed);
  }
};

TEST(BpeWordSplitter, CutsBeforeSpacesWhereNoMergeSpansThem) {
  const SplitterCase test{
      {{"▁", 0}, {"a", 1}, {"b", 2}, {"▁a", 3}, {"▁▁", 4}, {"ab", 5}}, {"▁ a", "▁ ▁", "a b"}, true};
  EXPECT_EQ(words(test.splitter(), "▁▁ab▁a▁b"), (std::vector<std::string>{"▁▁ab", "▁a", "▁", "b"}));
}

TEST(BpeWordSplitter, DoesNotCutWhereAMergeSpansASpace) {
  const SplitterCase test{{{"▁", 0}, {"a", 1}, {"b", 2}, {"a▁", 3}, {"a▁b", 4}}, {"a ▁", "a▁ b"}, true};
  EXPECT_EQ(words(test.splitter(), "a▁b"), (std::vector<std::string>{"a▁b"}));
  EXPECT_EQ(words(test.splitter(), "b▁a"), (std::vector<std::string>{"b", "▁", "a"}));
}

TEST(BpeWordSplitter, DoesNotCutBesideACharacterThatCouldBecomeUnknown) {
  const SplitterCase open{{{"▁", 0}, {"a", 1}}, Json::array(), false};
  EXPECT_EQ(words(open.splitter(), "aa"), (std::vector<std::string>{"a", "a"}));
  EXPECT_EQ(words(open.splitter(), "a?a"), (std::vector<std::string>{"a?a"}));
  EXPECT_EQ(words(open.splitter(), "aéa"), (std::vector<std::string>{"aéa"}));
}

TEST(BpeWordSplitter, TakesByteTokensForStringsInAngleBrackets) {
  const SplitterCase test{{{"a", 0}, {"<0x0A>", 1}, {"<0x0A>a", 2}, {"b", 3}}, {"<0x0A> a"}, true};
  EXPECT_EQ(words(test.splitter(), "a\nab\nb"), (std::vector<std::string>{"a", "\na", "b", "\n", "b"}));
}

}  // namespace
}  // namespace twofold
