#include "text/piece_trie.h"

#include <algorithm>

namespace twofold {

PieceTrie::PieceTrie(std::vector<Entry> entries) {
  std::ranges::sort(entries, {}, &Entry::piece);
  std::vector<StaticMap::Entry> edges;
  std::vector<std::size_t> path;  // the edges to the last piece
  std::string_view last;
  std::uint64_t nodes = 1;
  for (const Entry& entry : entries) {
    const auto common =
        static_cast<std::size_t>(std::ranges::mismatch(entry.piece, last).in1 - entry.piece.begin());
    path.resize(common);
    for (std::size_t i = common; i < entry.piece.size(); ++i) {
      std::uint64_t parent = 0;
      if (i > 0) {
        std::uint64_t& above = edges[path[i - 1]].second;
        if (above >> 32 == kLeaf) above = nodes++ << 32 | (above & kNone);
        parent = above >> 32;
      }
      path.push_back(edges.size());
      edges.emplace_back(parent << 8 | static_cast<unsigned char>(entry.piece[i]), kLeaf << 32 | kNone);
    }
    std::uint64_t& edge = edges[path.back()].second;
    edge = (edge & ~std::uint64_t{kNone}) | static_cast<std::uint32_t>(entry.id);
    last = entry.piece;
  }
  edges_ = StaticMap(edges);
}

}  // namespace twofold
