#include "text/bpe_merges.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "text/component.h"
#include "text/unicode.h"

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

/// Keeps the last of each pair.
void drop_repeats(std::vector<BpeMerge>& merges) {
  const auto key = [](const BpeMerge& merge) { return pair_key(merge.left, merge.right); };
  std::ranges::stable_sort(merges, {}, key);
  const auto same_pair = [&](const BpeMerge& a, const BpeMerge& b) { return key(a) == key(b); };
  const auto kept = std::unique(merges.rbegin(), merges.rend(), same_pair);
  merges.erase(merges.begin(), kept.base());
}

}  // namespace

void BpeMergeList::add(std::string_view left, std::string_view right,
                       const std::function<std::string()>& where) {
  const auto find = [&](std::string_view piece) {
    if (const auto id = vocab_.find(piece)) return *id;
    fail("{}: piece {} is not in the vocabulary", where(), quote(piece));
  };
  const auto left_id = find(left);
  const auto right_id = find(right);
  if (right.size() <= prefix_bytes_) {
    fail("{}: piece {}: expected more than the prefix of {} bytes", where(), quote(right), prefix_bytes_);
  }
  std::string merged(left);
  merged += right.substr(prefix_bytes_);
  merges_.push_back({left_id, right_id, find(merged), static_cast<std::uint32_t>(merges_.size())});
}

bool BpeMergeList::add(std::string_view line, const std::function<std::string()>& where) {
  const std::size_t space = line.find(' ');
  if (space == 0 || space == std::string_view::npos || space + 1 == line.size()) return false;
  if (line.find(' ', space + 1) != std::string_view::npos) return false;
  add(line.substr(0, space), line.substr(space + 1), where);
  return true;
}

std::vector<BpeMerge> BpeMergeList::take() {
  drop_repeats(merges_);
  return std::move(merges_);
}

std::vector<BpeMerge> parse_bpe_merges(const Json& model, const Vocab& vocab, std::size_t prefix_bytes,
                                       const std::string& where) {
  const Json& list = json_array(model, "merges", where);
  const bool pairs = !list.empty() && list[0].is_array();
  BpeMergeList merges(vocab, prefix_bytes);
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Json& item = list[i];
    const auto path = [&] { return join_path(where, "merges", i); };
    bool good = false;
    if (pairs) {
      good = item.is_array() && item.size() == 2 && item[0].is_string() && item[1].is_string() &&
             item[0] != "" && item[1] != "";
      if (good)
        merges.add(item[0].get_ref<const std::string&>(), item[1].get_ref<const std::string&>(), path);
    } else if (item.is_string()) {
      const auto& line = item.get_ref<const std::string&>();
      // Strings come from merges.txt files, whose first line tells a version.
      good = line.starts_with("#version") || merges.add(line, path);
    }
    if (!good) {
      fail("{}: expected {}, found {}", path(),
           pairs ? "a pair of strings, as before" : "a string of two pieces with one space between",
           quote(item.dump(-1, ' ', true)));
    }
  }
  return merges.take();
}

std::vector<BpeMerge> merges_of_pieces(const Vocab& vocab,
                                       const std::vector<std::optional<std::uint32_t>>& ranks) {
  // A piece that stands in the vocabulary twice has the id it is found by.
  const auto ranked = [&](std::string_view text) -> std::optional<TokenId> {
    const auto id = vocab.find(text);
    return id && ranks[static_cast<std::size_t>(*id)] ? id : std::nullopt;
  };
  std::vector<BpeMerge> merges;
  for (TokenId id = 0; id < vocab.end(); ++id) {
    const std::string* piece = vocab.piece(id);
    if (piece == nullptr || ranked(*piece) != id) continue;
    const std::string_view text = *piece;
    for (std::size_t at = 0; at < text.size();) {
      next_code_point(text, at);
      if (at == text.size()) break;
      const auto left = ranked(text.substr(0, at));
      if (!left) continue;
      if (const auto right = ranked(text.substr(at))) {
        merges.push_back({*left, *right, id, *ranks[static_cast<std::size_t>(id)]});
      }
    }
  }
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
