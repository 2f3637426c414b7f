#include "text/split.h"

#include <optional>

namespace twofold {

namespace {

struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool match = false;
};

/// Joins the spans of one piece, which come in order, as the behaviour says, and hands them on.
template <typename Emit>
class Joiner {
 public:
  Joiner(SplitBehavior behavior, Emit emit) : behavior_(behavior), emit_(emit) {}

  void add(const Span& span) {
    if (held_ && joins(span)) {
      held_->end = span.end;
      held_->match = span.match;
      return;
    }
    flush();
    held_ = span;
  }

  void flush() {
    if (held_) emit_(*held_);
    held_.reset();
  }

 private:
  bool joins(const Span& span) const {
    switch (behavior_) {
      case SplitBehavior::kContiguous:
        return held_->match == span.match;
      case SplitBehavior::kMergedWithPrevious:
        return span.match && !held_->match;
      case SplitBehavior::kMergedWithNext:
        return held_->match && !span.match;
      case SplitBehavior::kRemoved:
      case SplitBehavior::kIsolated:
        break;
    }
    return false;
  }

  SplitBehavior behavior_;
  Emit emit_;
  std::optional<Span> held_;
};

class SplitPreTokenizer : public PreTokenizer {
 public:
  SplitPreTokenizer(std::unique_ptr<TextPattern> pattern, SplitBehavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}

  void pre_tokenize(TextPieces& pieces) const override {
    split_pieces(pieces, *pattern_, behavior_, invert_);
  }
  double growth() const override { return 1; }

 private:
  std::unique_ptr<TextPattern> pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

}  // namespace

SplitBehavior parse_split_behavior(const Json& object, const std::string& where,
                                   std::optional<std::string> fallback) {
  const std::string name = json_string(object, "behavior", where, std::move(fallback));
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  fail(
      "{}: \"behavior\": expected Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous, found "
      "{}",
      where, quote(name));
}

void split_pieces(TextPieces& pieces, const TextPattern& pattern, SplitBehavior behavior, bool invert) {
  const bool removes = behavior == SplitBehavior::kRemoved;
  std::string kept;  // the text without what was removed
  std::vector<std::size_t> ends;
  std::size_t piece_begin = 0;
  Joiner joiner(behavior, [&](const Span& span) {
    if (!removes) {
      ends.push_back(piece_begin + span.end);
    } else if (!span.match) {
      kept.append(pieces.text, piece_begin + span.begin, span.end - span.begin);
      ends.push_back(kept.size());
    } else if (piece_begin + span.begin == 0) {
      pieces.at_start = false;
    }
  });
  for (const std::size_t piece_end : pieces.ends) {
    const std::string_view piece = std::string_view(pieces.text).substr(piece_begin, piece_end - piece_begin);
    std::size_t done = 0;
    const auto add = [&](std::size_t begin, std::size_t end, bool match) {
      if (begin < end) joiner.add({begin, end, match != invert});
    };
    pattern.for_each(piece, [&](std::size_t begin, std::size_t end) {
      add(done, begin, false);
      add(begin, end, true);
      done = end;
    });
    add(done, piece.size(), false);
    joiner.flush();
    piece_begin = piece_end;
  }
  pieces.ends = std::move(ends);
  if (removes) pieces.text = std::move(kept);
}

std::unique_ptr<PreTokenizer> make_split(std::unique_ptr<TextPattern> pattern, SplitBehavior behavior,
                                         bool invert) {
  return std::make_unique<SplitPreTokenizer>(std::move(pattern), behavior, invert);
}

}  // namespace twofold
