#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/static_map.h"
#include "text/tokenizer.h"

namespace twofold {

/// Finds all pieces that a text begins with: a trie whose edges lie in a hash table.
class PieceTrie {
 public:
  struct Entry {
    std::string_view piece;  // not empty, each once
    TokenId id = 0;
  };

  PieceTrie() = default;
  explicit PieceTrie(std::vector<Entry> entries);

  /// Calls `visit(length, id)` for each piece that begins `text`, the shortest first.
  template <typename Visit>
  void for_each_prefix(std::string_view text, Visit visit) const {
    std::uint64_t node = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const std::uint64_t* child = edges_.find(node << 8 | static_cast<unsigned char>(text[i]));
      if (child == nullptr) return;
      node = *child >> 32;
      if (const auto id = static_cast<std::uint32_t>(*child); id != kNone)
        visit(i + 1, static_cast<TokenId>(id));
      if (node == kLeaf) return;
    }
  }

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  static constexpr std::uint64_t kLeaf = kNone;

  StaticMap edges_ = StaticMap({});  // node << 8 | byte -> child << 32 | id of the piece or kNone
};

}  // namespace twofold
