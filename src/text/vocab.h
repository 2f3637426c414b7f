#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/tokenizer.h"

namespace twofold {

/// Ids are below this, so that a small file cannot ask for large tables. Real vocabularies end at 2^18.
inline constexpr std::int64_t kMaxTokenId = (std::int64_t{1} << 22) - 1;

/// The pieces of a model and their ids. Ids are unique and may have gaps.
class Vocab {
 public:
  /// From an object {piece: id}. `where` names it in errors.
  Vocab(const Json& object, const std::string& where);

  /// From the pieces in the order of their ids. All must be UTF-8. A text that is there twice is found as
  /// the piece of the higher id.
  Vocab(std::vector<std::string> pieces, const std::string& where);

  std::optional<TokenId> find(std::string_view text) const;

  /// nullptr where no piece has this id.
  const std::string* piece(TokenId id) const {
    return id >= 0 && id < end() && used_[static_cast<std::size_t>(id)]
               ? &pieces_[static_cast<std::size_t>(id)]
               : nullptr;
  }

  std::int64_t count() const { return static_cast<std::int64_t>(by_piece_.size()); }
  TokenId end() const { return static_cast<TokenId>(pieces_.size()); }  // largest id + 1

 private:
  void index();

  std::vector<std::string> pieces_;  // by id; empty at gaps
  std::vector<bool> used_;           // by id
  std::vector<TokenId> by_piece_;    // ordered by piece: no hash that a hostile file could make collide
};

}  // namespace twofold
