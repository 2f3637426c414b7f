#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/static_map.h"
#include "text/tokenizer.h"
#include "text/vocab.h"

namespace twofold {

struct BpeMerge {
  TokenId left = 0;
  TokenId right = 0;
  TokenId merged = 0;
  std::uint32_t rank = 0;
};

/// Reads the "merges" of a BPE model: strings "a b" or pairs ["a", "b"], the lowest rank first. Of a pair
/// that is there twice the last counts, as in the reference. The first `prefix_bytes` of the right piece,
/// which say that it does not begin a word, are not in the merged one.
std::vector<BpeMerge> parse_bpe_merges(const Json& model, const Vocab& vocab, std::size_t prefix_bytes,
                                       const std::string& where);

/// Collects merges given as pieces, in the order of their ranks.
class BpeMergeList {
 public:
  explicit BpeMergeList(const Vocab& vocab, std::size_t prefix_bytes = 0)
      : vocab_(vocab), prefix_bytes_(prefix_bytes) {}

  /// `where` names the merge in errors.
  void add(std::string_view left, std::string_view right, const std::function<std::string()>& where);

  /// "a b": two pieces with one space between; false where it is not of that form.
  bool add(std::string_view line, const std::function<std::string()>& where);

  /// All of them, each pair once.
  std::vector<BpeMerge> take();

 private:
  const Vocab& vocab_;
  std::size_t prefix_bytes_;
  std::vector<BpeMerge> merges_;
};

/// All pairs of pieces that join to another piece, for vocabularies that have no merges but an order of their
/// pieces: `rank` of the joined one, the lowest first; equal ranks are merged from the left. Pieces without a
/// rank take no part.
std::vector<BpeMerge> merges_of_pieces(const Vocab& vocab,
                                       const std::vector<std::optional<std::uint32_t>>& ranks);

/// Finds merges by pair and applies them: always the one of lowest rank, of these the leftmost, until there
/// is none (Sennrich, Haddow, Birch 2016).
class BpeMerger {
 public:
  explicit BpeMerger(const std::vector<BpeMerge>& merges);

  /// Memory that calls in a row share.
  struct Scratch {
    struct Symbol {
      TokenId id;
      std::uint32_t previous;
      std::uint32_t next;
    };
    std::vector<Symbol> symbols;
    std::vector<std::uint64_t> heap;
  };

  /// Appends the ids that remain of `input`, at most 2^32 - 2, in O(n log n).
  void merge(const std::vector<TokenId>& input, Scratch& scratch, std::vector<TokenId>& ids) const;

 private:
  /// rank << 32 | id of the merged pair; above all of these when it does not merge.
  std::uint64_t find(TokenId left, TokenId right) const;

  StaticMap table_;  // left << 32 | right -> rank << 32 | merged
};

}  // namespace twofold
