#include "text/vocab.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "text/component.h"

namespace twofold {

Vocab::Vocab(const Json& object, const std::string& where) {
  std::int64_t end = 0;
  for (const auto& item : object.items()) {
    const Json& id = item.value();
    if (!id.is_number_integer() || id < 0 || id > kMaxTokenId) {
      fail("{}: id of {}: expected an integer from 0 to {}, found {}", where, quote(item.key()), kMaxTokenId,
           quote(id.dump(-1, ' ', true)));
    }
    end = std::max(end, id.get<std::int64_t>() + 1);
  }
  pieces_.resize(static_cast<std::size_t>(end));
  used_.resize(static_cast<std::size_t>(end));
  by_piece_.reserve(object.size());
  for (const auto& item : object.items()) {
    const auto id = item.value().get<std::size_t>();
    if (used_[id]) {
      fail("{}: id {} belongs to both {} and {}", where, id, quote(pieces_[id]), quote(item.key()));
    }
    used_[id] = true;
    pieces_[id] = item.key();
    by_piece_.push_back(static_cast<TokenId>(id));
  }
  std::ranges::sort(by_piece_, {}, [this](TokenId id) -> const std::string& { return *piece(id); });
}

std::optional<TokenId> Vocab::find(std::string_view text) const {
  const auto less = [this](TokenId id, std::string_view sought) { return *piece(id) < sought; };
  const auto it = std::lower_bound(by_piece_.begin(), by_piece_.end(), text, less);
  if (it == by_piece_.end() || *piece(*it) != text) return std::nullopt;
  return *it;
}

}  // namespace twofold
