#include "text/bpe_word_splitter.h"

#include <string>

#include "text/unicode.h"

namespace twofold {

namespace {

constexpr std::string_view kSpacePiece = "\xe2\x96\x81";

}  // namespace

std::size_t BpeWordSplitter::class_at(std::string_view text, std::size_t at) {
  const auto byte = static_cast<unsigned char>(text[at]);
  if (byte < 128) return byte;
  return text.compare(at, kSpacePiece.size(), kSpacePiece) == 0 ? kSpace : kOther;
}

BpeWordSplitter::BpeWordSplitter(const Vocab& vocab, const std::vector<BpeMerge>& merges, bool closed) {
  std::array<std::array<bool, kClasses>, kClasses> spanned{};  // [last of the left side][first of the right]
  for (const BpeMerge& merge : merges) {
    const std::string& left = *vocab.piece(merge.left);
    const std::string& right = *vocab.piece(merge.right);
    spanned[class_at(left, previous_code_point(left, left.size()))][class_at(right, 0)] = true;
  }
  // The classes with which the strings of a character may begin and end.
  struct Ends {
    std::vector<std::size_t> first;
    std::vector<std::size_t> last;
  };
  std::array<Ends, kClasses> ends;
  for (std::size_t c = 0; c < kClasses; ++c) {
    const std::string piece = c == kSpace ? std::string(kSpacePiece) : std::string(1, static_cast<char>(c));
    if (c == kOther) {
      if (closed) ends[c] = {{kOther, '<'}, {kOther, '>'}};
    } else if (vocab.find(piece)) {
      ends[c] = {{c}, {c}};
    } else if (closed) {
      ends[c] = {{'<'}, {'>'}};
    }
  }
  for (std::size_t before = 0; before < kClasses; ++before) {
    for (std::size_t behind = 0; behind < kClasses; ++behind) {
      bool cut = !ends[before].last.empty() && !ends[behind].first.empty();
      for (const std::size_t last : ends[before].last) {
        for (const std::size_t first : ends[behind].first) cut = cut && !spanned[last][first];
      }
      cut_[before][behind] = cut;
    }
  }
}

std::size_t BpeWordSplitter::word_end(std::string_view text, std::size_t begin) const {
  std::size_t before = class_at(text, begin);
  for (std::size_t at = begin + 1; at < text.size(); ++at) {
    if ((static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) continue;  // within a character
    const std::size_t behind = class_at(text, at);
    if (cut_[before][behind]) return at;
    before = behind;
  }
  return text.size();
}

}  // namespace twofold
