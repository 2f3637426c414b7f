#include "eval/perplexity.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "runtime/logits.h"

namespace twofold {

namespace {

constexpr std::int64_t kBatchTokens = 1024;  // windows run side by side up to this many tokens
constexpr std::int64_t kLogitRows = 64;      // rows of logits in memory at a time

struct Window {
  std::int64_t begin = 0;  // first token the model sees
  std::int64_t end = 0;    // one past the last token scored
  std::int64_t first = 0;  // first token it scores
};

/// Mean over tokens with the standard error of a mean of clusters: tokens of one window depend on each
/// other, windows hardly do.
class ClusteredMean {
 public:
  void add(double value, std::int64_t cluster) {
    if (static_cast<std::size_t>(cluster) >= sums_.size()) {
      sums_.resize(static_cast<std::size_t>(cluster) + 1);
      counts_.resize(sums_.size());
    }
    sums_[static_cast<std::size_t>(cluster)] += value;
    counts_[static_cast<std::size_t>(cluster)] += 1;
    squares_ += value * value;
  }

  double count() const {
    double total = 0;
    for (const double n : counts_) total += n;
    return total;
  }

  double mean() const {
    double total = 0;
    for (const double sum : sums_) total += sum;
    return total / count();
  }

  double error() const {
    const double n = count();
    const double m = mean();
    const auto clusters = static_cast<double>(sums_.size());
    if (sums_.size() < 2) {  // one window: all there is are its tokens
      return n < 2 ? 0.0 : std::sqrt(std::max(squares_ / n - m * m, 0.0) / (n - 1));
    }
    double spread = 0;
    for (std::size_t i = 0; i < sums_.size(); ++i) {
      const double residual = sums_[i] - counts_[i] * m;
      spread += residual * residual;
    }
    return std::sqrt(spread * clusters / (clusters - 1)) / n;
  }

 private:
  std::vector<double> sums_;
  std::vector<double> counts_;
  double squares_ = 0;
};

std::vector<Window> cut_windows(std::int64_t tokens, std::int64_t context, std::int64_t stride,
                                bool with_bos) {
  std::vector<Window> windows;
  std::int64_t scored = with_bos ? 0 : 1;  // the very first token has nothing to be predicted from
  for (std::int64_t begin = 0; scored < tokens; begin += stride) {
    // Where windows do not overlap, one more token of the text before gives the first token its context.
    const std::int64_t start = with_bos || begin == 0 || scored > begin ? begin : begin - 1;
    const std::int64_t end = std::min(begin + context, tokens);
    windows.push_back({start, end, scored});
    scored = end;
  }
  return windows;
}

class Evaluation {
 public:
  Evaluation(Model& model, Model* reference, std::span<const TokenId> text, const PerplexityOptions& options,
             ReferenceStates* states)
      : model_(model), reference_(reference), text_(text), options_(options), states_(states) {}

  void run_batch(std::span<const Window> windows, std::int64_t first_index) {
    const AlignedVector<float> hidden = run(model_, windows);
    const AlignedVector<float> expected = run_reference(windows);
    std::int64_t row = 0;
    for (const Window& window : windows) {
      const std::int64_t bos = options_.bos ? 1 : 0;
      // The hidden state that predicts token t of the text stands one row before t's own.
      const std::int64_t first_row = row + bos + (window.first - window.begin) - 1;
      score(window, first_index, hidden, expected, first_row);
      row += bos + window.end - 1 - window.begin;
      ++first_index;
    }
  }

  PerplexityResult result() const {
    PerplexityResult result;
    result.tokens = static_cast<std::int64_t>(nll_.count());
    result.nll = nll_.mean();
    result.perplexity = std::exp(result.nll);
    result.error = result.perplexity * nll_.error();
    if (reference_ != nullptr) {
      Comparison comparison;
      comparison.reference_perplexity = std::exp(reference_nll_.mean());
      comparison.reference_error = comparison.reference_perplexity * reference_nll_.error();
      comparison.kl_mean = kl_.mean();
      comparison.kl_error = kl_.error();
      std::vector<double> sorted = divergences_;
      const auto rank = static_cast<std::size_t>(std::ceil(0.99 * static_cast<double>(sorted.size()))) - 1;
      std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(rank), sorted.end());
      comparison.kl_p99 = sorted[rank];
      comparison.top1_agreement = static_cast<double>(agreed_) / static_cast<double>(result.tokens);
      result.comparison = comparison;
    }
    return result;
  }

 private:
  AlignedVector<float> run_reference(std::span<const Window> windows) {
    if (reference_ == nullptr) return {};
    if (states_ == nullptr) return run(*reference_, windows);
    if (batch_ == states_->batches.size()) states_->batches.push_back(run(*reference_, windows));
    return states_->batches[batch_++];
  }

  AlignedVector<float> run(Model& model, std::span<const Window> windows) const {
    std::vector<KvCache> caches(windows.size(), KvCache(model.spec()));
    std::vector<std::vector<TokenId>> tokens(windows.size());
    std::vector<Sequence> batch;
    for (std::size_t i = 0; i < windows.size(); ++i) {
      if (options_.bos) tokens[i].push_back(*options_.bos);
      // The last token is only a target.
      tokens[i].insert(tokens[i].end(), text_.begin() + windows[i].begin, text_.begin() + windows[i].end - 1);
      batch.push_back({&caches[i], tokens[i]});
    }
    return model.hidden_states(batch);
  }

  void score(const Window& window, std::int64_t index, const AlignedVector<float>& hidden,
             const AlignedVector<float>& expected, std::int64_t first_row) {
    const auto vocab = static_cast<std::size_t>(model_.spec().vocab_size);
    const std::int64_t count = window.end - window.first;
    for (std::int64_t begin = 0; begin < count; begin += kLogitRows) {
      const std::int64_t rows = std::min(kLogitRows, count - begin);
      logits(model_, hidden, first_row + begin, rows, found_);
      if (reference_ != nullptr) logits(*reference_, expected, first_row + begin, rows, expected_);
      struct Score {
        double nll, reference_nll, kl;
        bool agree;
      };
      std::vector<Score> scores(static_cast<std::size_t>(rows));
      model_.workspace().pool().run(scores.size(), [&](std::size_t b, std::size_t e, int) {
        for (std::size_t r = b; r < e; ++r) {
          const std::span<const float> mine(&found_[r * vocab], vocab);
          const TokenId target = text_[static_cast<std::size_t>(window.first + begin) + r];
          scores[r] = {negative_log_likelihood(mine, target), 0, 0, false};
          if (reference_ == nullptr) continue;
          const std::span<const float> theirs(&expected_[r * vocab], vocab);
          scores[r].reference_nll = negative_log_likelihood(theirs, target);
          scores[r].kl = kl_divergence(theirs, mine);
          scores[r].agree = argmax(theirs) == argmax(mine);
        }
      });
      for (const Score& score : scores) {
        nll_.add(score.nll, index);
        if (reference_ == nullptr) continue;
        reference_nll_.add(score.reference_nll, index);
        kl_.add(score.kl, index);
        divergences_.push_back(score.kl);
        agreed_ += score.agree ? 1 : 0;
      }
    }
  }

  static void logits(Model& model, const AlignedVector<float>& hidden, std::int64_t first, std::int64_t rows,
                     std::vector<float>& out) {
    const auto width = static_cast<std::size_t>(model.spec().hidden_size);
    const auto begin = hidden.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(first) * width);
    AlignedVector<float> block(begin,
                               begin + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(rows) * width));
    out.resize(static_cast<std::size_t>(rows * model.spec().vocab_size));
    model.head(block.data(), rows, out.data());
  }

  Model& model_;
  Model* reference_;
  std::span<const TokenId> text_;
  const PerplexityOptions& options_;
  ClusteredMean nll_;
  ClusteredMean reference_nll_;
  ClusteredMean kl_;
  std::vector<double> divergences_;
  std::int64_t agreed_ = 0;
  ReferenceStates* states_ = nullptr;
  std::size_t batch_ = 0;        // next of the states'
  std::vector<float> found_;     // logits [rows, vocab] of the model
  std::vector<float> expected_;  // and of the reference
};

}  // namespace

MemoryUse memory_use(const ModelSpec& spec, const PerplexityOptions& options) {
  const std::int64_t context =
      options.context > 0 ? options.context : std::min<std::int64_t>(spec.max_positions, 2048);
  MemoryUse use;
  use.context = context + (options.bos ? 1 : 0);
  use.sequences = std::max<std::int64_t>(kBatchTokens / context, 1);
  use.tokens = use.sequences * use.context;
  use.logit_rows = kLogitRows;
  use.head_reads = static_cast<double>(use.tokens) / kLogitRows;
  return use;
}

PerplexityResult evaluate_perplexity(Model& model, Model* reference, std::span<const TokenId> text,
                                     const PerplexityOptions& options,
                                     const std::function<void(std::int64_t, std::int64_t)>& progress,
                                     ReferenceStates* states) {
  if (reference != nullptr && reference->spec().vocab_size != model.spec().vocab_size) {
    fail("the models' vocabularies differ: {} and {} tokens", model.spec().vocab_size,
         reference->spec().vocab_size);
  }
  if (options.max_tokens > 0 && static_cast<std::size_t>(options.max_tokens) < text.size()) {
    text = text.first(static_cast<std::size_t>(options.max_tokens));
  }
  std::int64_t room = model.spec().max_positions;
  if (reference != nullptr) room = std::min(room, reference->spec().max_positions);
  const std::int64_t context = options.context > 0 ? options.context : std::min<std::int64_t>(room, 2048);
  const std::int64_t stride = options.stride > 0 ? options.stride : context;
  if (context > room || context < 1) {
    throw UsageError(fmt::format("--context: expected 1 to {} for this model, found {}", room, context));
  }
  if (stride > context)
    throw UsageError(fmt::format("--stride: expected at most the context of {}, found {}", context, stride));
  if (text.size() < 2) fail("the text has {} tokens, expected at least 2", text.size());

  const auto windows =
      cut_windows(static_cast<std::int64_t>(text.size()), context, stride, options.bos.has_value());
  const auto batch = static_cast<std::size_t>(std::max<std::int64_t>(kBatchTokens / context, 1));
  Evaluation evaluation(model, reference, text, options, states);
  for (std::size_t begin = 0; begin < windows.size(); begin += batch) {
    check_interrupt();
    const std::size_t count = std::min(batch, windows.size() - begin);
    evaluation.run_batch(std::span(windows).subspan(begin, count), static_cast<std::int64_t>(begin));
    progress(static_cast<std::int64_t>(begin + count), static_cast<std::int64_t>(windows.size()));
  }
  PerplexityResult result = evaluation.result();
  result.context = context;
  result.stride = stride;
  result.windows = static_cast<std::int64_t>(windows.size());
  return result;
}

}  // namespace twofold
