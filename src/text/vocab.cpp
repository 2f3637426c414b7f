#include "text/vocab.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "text/component.h"
#include "text/unicode.h"

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
  index();
}

Vocab::Vocab(std::vector<std::string> pieces, const std::string& where)
    : pieces_(std::move(pieces)), used_(pieces_.size(), true), by_piece_(pieces_.size()) {
  if (static_cast<std::int64_t>(pieces_.size()) > kMaxTokenId + 1) {
    fail("{}: expected at most {} pieces, found {}", where, kMaxTokenId + 1, pieces_.size());
  }
  for (std::size_t id = 0; id < pieces_.size(); ++id) {
    if (!is_valid_utf8(pieces_[id])) fail("{}: piece {}: {} is not UTF-8", where, id, quote(pieces_[id]));
  }
  std::iota(by_piece_.begin(), by_piece_.end(), 0);
  index();
}

void Vocab::index() {
  const auto text = [this](TokenId id) -> const std::string& { return *piece(id); };
  std::ranges::stable_sort(by_piece_, {}, text);
  const auto same = [&](TokenId a, TokenId b) { return text(a) == text(b); };
  const auto kept = std::unique(by_piece_.rbegin(), by_piece_.rend(), same);  // the last of each text
  by_piece_.erase(by_piece_.begin(), kept.base());
}

std::optional<TokenId> Vocab::find(std::string_view text) const {
  const auto less = [this](TokenId id, std::string_view sought) { return *piece(id) < sought; };
  const auto it = std::lower_bound(by_piece_.begin(), by_piece_.end(), text, less);
  if (it == by_piece_.end() || *piece(*it) != text) return std::nullopt;
  return *it;
}

}  // namespace twofold
