#pragma once

#include <cstdint>
#include <string>
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
/// that is there twice the last counts, as in the reference.
std::vector<BpeMerge> parse_bpe_merges(const Json& model, const Vocab& vocab, const std::string& where);

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
