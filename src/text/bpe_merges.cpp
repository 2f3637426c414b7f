#include "text/bpe_merges.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "text/component.h"

namespace twofold {

namespace {

std::uint64_t pack(std::uint32_t high, std::uint32_t low) {
  return std::uint64_t{high} << 32 | low;
}

std::uint64_t pair_key(TokenId left, TokenId right) {
  return pack(static_cast<std::uint32_t>(left), static_cast<std::uint32_t>(right));
}

constexpr std::uint64_t kNoMerge = ~std::uint64_t{0};
std::uint32_t rank_of(std::uint64_t merge) {
  return static_cast<std::uint32_t>(merge >> 32);
}
TokenId id_of(std::uint64_t merge) {
  return static_cast<TokenId>(merge & 0xffffffffU);
}

using Sides = std::pair<std::string, std::string>;

/// The two pieces of a merge, neither empty.
std::optional<Sides> merge_sides(const Json& merge, bool pairs) {
  Sides sides;
  if (pairs) {
    if (!merge.is_array() || merge.size() != 2 || !merge[0].is_string() || !merge[1].is_string()) {
      return std::nullopt;
    }
    sides = {merge[0].get<std::string>(), merge[1].get<std::string>()};
  } else {
    if (!merge.is_string()) return std::nullopt;
    const auto& text = merge.get_ref<const std::string&>();
    const std::size_t space = text.find(' ');
    if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) return std::nullopt;
    sides = {text.substr(0, space), text.substr(space + 1)};
  }
  if (sides.first.empty() || sides.second.empty()) return std::nullopt;
  return sides;
}

}  // namespace

std::vector<BpeMerge> parse_bpe_merges(const Json& model, const Vocab& vocab, const std::string& where) {
  const Json& list = json_array(model, "merges", where);
  const bool pairs = !list.empty() && list[0].is_array();
  std::vector<BpeMerge> merges;
  merges.reserve(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    // Strings come from merges.txt files, whose first line tells a version.
    if (list[i].is_string() && list[i].get_ref<const std::string&>().starts_with("#version")) continue;
    const auto sides = merge_sides(list[i], pairs);
    if (!sides) {
      fail("{}: expected {}, found {}", join_path(where, "merges", i),
           pairs ? "a pair of strings, as before" : "a string of two pieces with one space between",
           quote(list[i].dump(-1, ' ', true)));
    }
    const auto find = [&](const std::string& piece) {
      if (const auto id = vocab.find(piece)) return *id;
      fail("{}: piece {} is not in the vocabulary", join_path(where, "merges", i), quote(piece));
    };
    const auto& [left, right] = *sides;
    merges.push_back(
        {find(left), find(right), find(left + right), static_cast<std::uint32_t>(merges.size())});
  }
  const auto key = [](const BpeMerge& merge) { return pair_key(merge.left, merge.right); };
  std::ranges::stable_sort(merges, {}, key);
  const auto same_pair = [&](const BpeMerge& a, const BpeMerge& b) { return key(a) == key(b); };
  const auto kept = std::unique(merges.rbegin(), merges.rend(), same_pair);  // the last of each pair
  merges.erase(merges.begin(), kept.base());
  return merges;
}

BpeMerger::BpeMerger(const std::vector<BpeMerge>& merges)
    : table_([&] {
        std::vector<StaticMap::Entry> entries;
        entries.reserve(merges.size());
        for (const BpeMerge& merge : merges) {
          entries.emplace_back(pair_key(merge.left, merge.right),
                               pack(merge.rank, static_cast<std::uint32_t>(merge.merged)));
        }
        return entries;
      }()) {}

std::uint64_t BpeMerger::find(TokenId left, TokenId right) const {
  const std::uint64_t* value = table_.find(pair_key(left, right));
  return value == nullptr ? kNoMerge : *value;
}

void BpeMerger::merge(const std::vector<TokenId>& input, Scratch& scratch, std::vector<TokenId>& ids) const {
  constexpr std::uint32_t kNone = ~std::uint32_t{0};
  constexpr TokenId kGone = -1;
  auto& symbols = scratch.symbols;
  auto& heap = scratch.heap;  // rank << 32 | position of the left symbol; the smallest on top
  const auto count = static_cast<std::uint32_t>(input.size());
  symbols.resize(count);
  heap.clear();
  for (std::uint32_t i = 0; i < count; ++i) {
    symbols[i] = {input[i], i == 0 ? kNone : i - 1, i + 1 == count ? kNone : i + 1};
    if (i == 0) continue;
    const std::uint64_t found = find(input[i - 1], input[i]);
    if (found != kNoMerge) heap.push_back(pack(rank_of(found), i - 1));
  }
  std::ranges::make_heap(heap, std::greater<>());
  const auto propose = [&](std::uint32_t left, std::uint32_t right) {
    const std::uint64_t found = find(symbols[left].id, symbols[right].id);
    if (found == kNoMerge) return;
    heap.push_back(pack(rank_of(found), left));
    std::ranges::push_heap(heap, std::greater<>());
  };
  while (!heap.empty()) {
    const std::uint32_t rank = rank_of(heap.front());
    const auto at = static_cast<std::uint32_t>(heap.front() & 0xffffffffU);
    std::ranges::pop_heap(heap, std::greater<>());
    heap.pop_back();
    auto& left = symbols[at];
    if (left.id == kGone || left.next == kNone) continue;
    auto& right = symbols[left.next];
    const std::uint64_t found = find(left.id, right.id);
    if (found == kNoMerge || rank_of(found) != rank) continue;  // one of the two has been merged meanwhile
    left.id = id_of(found);
    right.id = kGone;
    left.next = right.next;
    if (left.next != kNone) {
      symbols[left.next].previous = at;
      propose(at, left.next);
    }
    if (left.previous != kNone) propose(left.previous, at);
  }
  for (const auto& symbol : symbols) {
    if (symbol.id != kGone) ids.push_back(symbol.id);
  }
}

}  // namespace twofold
