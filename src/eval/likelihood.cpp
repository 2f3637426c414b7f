#include "eval/likelihood.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "base/interrupt.h"
#include "runtime/logits.h"

namespace twofold {

namespace {

constexpr std::size_t kBatchTokens = 1024;                     // computed in one pass, about
constexpr std::uint64_t kBatchBytes = std::uint64_t{1} << 30;  // of caches in one pass, about
constexpr std::size_t kLogitRows = 64;                         // rows of logits in memory at a time
constexpr std::size_t kSmallestPrefix = 16;                    // tokens worth a pass of their own

using Tokens = std::span<const TokenId>;

std::size_t common_prefix(Tokens a, Tokens b) {
  const std::size_t limit = std::min(a.size(), b.size());
  return static_cast<std::size_t>(
      std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(limit), b.begin()).first - a.begin());
}

std::uint64_t bytes_per_position(const ModelSpec& spec) {
  return spec.layers.size() * 2 * sizeof(float) * static_cast<std::uint64_t>(spec.kv_heads * spec.head_dim);
}

/// Forgets what stands behind the first `length` tokens.
void truncate(KvCache& cache, std::int64_t length) {
  if (length >= cache.length) return;
  for (LayerCache& layer : cache.layers) {
    for (auto* heads : {&layer.keys, &layer.values})
      for (auto& head : *heads)
        head.resize(head.size() / static_cast<std::size_t>(cache.length) * static_cast<std::size_t>(length));
  }
  cache.length = length;
}

/// A sequence that is run, and the candidates that read its rows.
struct Branch {
  Tokens input;
  std::vector<std::size_t> candidates;
};

/// A set as it is run.
struct Plan {
  std::size_t prefix = 0;  // tokens that all branches share, before the first scored row
  std::vector<Branch> branches;
  Tokens shared;  // those tokens

  std::size_t tokens_after(std::size_t known) const {  // to compute when so many are known
    std::size_t total = prefix - std::min(prefix, known);
    for (const Branch& branch : branches) total += branch.input.size() - prefix;
    return total;
  }
  std::size_t positions() const {  // in caches
    std::size_t total = prefix;
    for (const Branch& branch : branches) total += branch.input.size();
    return total;
  }
};

Plan make_plan(const CandidateSet& set) {
  Plan plan;
  // The last token is only a target. Longest first: shorter ones may be its beginning.
  std::vector<std::size_t> order(set.candidates.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto input = [&](std::size_t i) {
    return Tokens(set.candidates[i].tokens).first(set.candidates[i].tokens.size() - 1);
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return input(a).size() > input(b).size(); });
  std::size_t prefix = input(order[0]).size();
  for (const std::size_t i : order) {
    prefix = std::min({prefix, common_prefix(input(order[0]), input(i)), set.candidates[i].first - 1});
    const auto host = std::find_if(plan.branches.begin(), plan.branches.end(), [&](const Branch& branch) {
      return common_prefix(branch.input, input(i)) == input(i).size();
    });
    if (host != plan.branches.end()) {
      host->candidates.push_back(i);
    } else {
      plan.branches.push_back({input(i), {i}});
    }
  }
  plan.prefix = prefix;
  plan.shared = input(order[0]).first(prefix);
  return plan;
}

class Scorer {
 public:
  Scorer(Model& model, std::span<const CandidateSet> sets) : model_(model), sets_(sets) {
    for (const CandidateSet& set : sets) {
      plans_.push_back(make_plan(set));
      scores_.emplace_back(set.candidates.size());
    }
  }

  /// One past the last set that runs together with `begin`.
  std::size_t batch_end(std::size_t begin) const {
    const std::uint64_t position_bytes = bytes_per_position(model_.spec());
    std::size_t tokens = 0;
    std::uint64_t bytes = 0;
    std::size_t end = begin;
    for (; end < plans_.size(); ++end) {
      const Plan& plan = plans_[end];
      tokens += plan.tokens_after(end > begin ? common_prefix(plan.shared, plans_[end - 1].shared)
                                              : common_prefix(plan.shared, stem_tokens_));
      bytes += position_bytes * plan.positions();
      if (end > begin && (tokens > kBatchTokens || bytes > kBatchBytes)) break;
    }
    return end;
  }

  void run(std::size_t begin, std::size_t end) {
    const std::size_t stem = advance_stem(begin, end);
    // The part of each set's prefix behind the stem, where several branches will go on from it.
    std::vector<std::optional<KvCache>> caches(end - begin);
    std::vector<Sequence> batch;
    for (std::size_t i = begin; i < end; ++i) {
      const Plan& plan = plans_[i];
      if (plan.branches.size() < 2 || plan.prefix < stem + kSmallestPrefix) continue;
      caches[i - begin] = copy_stem(stem);
      batch.push_back({&*caches[i - begin], plan.shared.subspan(stem)});
    }
    if (!batch.empty()) model_.hidden_states(batch);
    run_branches(begin, end, stem, caches);
  }

  std::vector<std::vector<CandidateScore>> take() { return std::move(scores_); }

 private:
  struct Running {
    KvCache cache;
    std::size_t set = 0;
    const Branch* branch = nullptr;
    std::size_t start = 0;  // tokens of the branch that were in the cache
  };

  KvCache copy_stem(std::size_t length) const {
    if (length == 0 || !stem_) return KvCache(model_.spec());
    return *stem_;
  }

  /// Brings the cache of the common beginning to what the sets of the batch share; returns its length.
  std::size_t advance_stem(std::size_t begin, std::size_t end) {
    Tokens shared = plans_[begin].shared;
    for (std::size_t i = begin + 1; i < end; ++i)
      shared = shared.first(common_prefix(shared, plans_[i].shared));
    if (end == begin + 1) {  // a single set's prefix is worth keeping as far as the next one has it too
      shared = shared.first(common_prefix(shared, end < plans_.size() ? plans_[end].shared : stem_tokens_));
    }
    if (shared.size() < kSmallestPrefix) return 0;
    const std::size_t known = common_prefix(shared, stem_tokens_);
    if (!stem_) stem_.emplace(model_.spec());
    truncate(*stem_, static_cast<std::int64_t>(known));
    stem_tokens_.assign(shared.begin(), shared.end());
    if (known < shared.size()) {
      const Sequence rest{&*stem_, shared.subspan(known)};
      model_.hidden_states({&rest, 1});
    }
    return shared.size();
  }

  void run_branches(std::size_t begin, std::size_t end, std::size_t stem,
                    std::vector<std::optional<KvCache>>& caches) {
    const std::uint64_t position_bytes = bytes_per_position(model_.spec());
    std::vector<Running> running;
    std::uint64_t bytes = 0;
    for (std::size_t i = begin; i < end; ++i) {
      std::optional<KvCache>& cache = caches[i - begin];
      for (const Branch& branch : plans_[i].branches) {
        const std::uint64_t more = position_bytes * branch.input.size();
        if (!running.empty() && bytes + more > kBatchBytes) {
          flush(running);
          bytes = 0;
        }
        bytes += more;
        const bool last = &branch == &plans_[i].branches.back();
        Running next{!cache ? copy_stem(stem) : last ? std::move(*cache) : *cache, i, &branch, 0};
        next.start = static_cast<std::size_t>(next.cache.length);
        running.push_back(std::move(next));
      }
    }
    flush(running);
  }

  /// Runs the branches and scores their candidates.
  void flush(std::vector<Running>& running) {
    check_interrupt();
    std::vector<Sequence> batch;
    batch.reserve(running.size());
    for (Running& r : running) batch.push_back({&r.cache, r.branch->input.subspan(r.start)});
    const AlignedVector<float> hidden = model_.hidden_states(batch);
    std::size_t offset = 0;
    for (const Running& r : running) {
      for (const std::size_t c : r.branch->candidates) {
        const Candidate& candidate = sets_[r.set].candidates[c];
        CandidateScore& score = scores_[r.set][c];
        score.greedy = true;
        // The row that predicts a token stands one before it.
        for (std::size_t t = candidate.first; t < candidate.tokens.size(); ++t)
          wanted_.push_back({offset + t - 1 - r.start, candidate.tokens[t], &score});
      }
      offset += r.branch->input.size() - r.start;
    }
    score_rows(hidden);
    running.clear();
  }

  void score_rows(const AlignedVector<float>& hidden) {
    const auto width = static_cast<std::size_t>(model_.spec().hidden_size);
    const auto vocab = static_cast<std::size_t>(model_.spec().vocab_size);
    std::stable_sort(wanted_.begin(), wanted_.end(),
                     [](const Wanted& a, const Wanted& b) { return a.row < b.row; });
    for (std::size_t begin = 0; begin < wanted_.size();) {
      // Rows that several candidates read are computed once.
      rows_.clear();
      std::vector<std::size_t> place;
      std::size_t end = begin;
      for (; end < wanted_.size(); ++end) {
        const bool same = end > begin && wanted_[end].row == wanted_[end - 1].row;
        if (!same && rows_.size() == kLogitRows * width) break;
        if (!same) {
          const float* row = &hidden[wanted_[end].row * width];
          rows_.insert(rows_.end(), row, row + width);
        }
        place.push_back(rows_.size() / width - 1);
      }
      logits_.resize(rows_.size() / width * vocab);
      model_.head(rows_.data(), static_cast<std::int64_t>(rows_.size() / width), logits_.data());
      std::vector<CandidateScore> scores(end - begin);
      model_.workspace().pool().run(scores.size(), [&](std::size_t b, std::size_t e, int) {
        for (std::size_t i = b; i < e; ++i) {
          const std::span<const float> row(&logits_[place[i] * vocab], vocab);
          const TokenId target = wanted_[begin + i].target;
          scores[i] = {-negative_log_likelihood(row, target), argmax(row) == target};
        }
      });
      for (std::size_t i = 0; i < scores.size(); ++i) {
        CandidateScore& score = *wanted_[begin + i].score;
        score.log_likelihood += scores[i].log_likelihood;
        score.greedy = score.greedy && scores[i].greedy;
      }
      begin = end;
    }
    wanted_.clear();
  }

  struct Wanted {
    std::size_t row;
    TokenId target;
    CandidateScore* score;
  };

  Model& model_;
  std::span<const CandidateSet> sets_;
  std::vector<Plan> plans_;
  std::vector<std::vector<CandidateScore>> scores_;
  std::optional<KvCache> stem_;  // the beginning that neighbouring sets share
  std::vector<TokenId> stem_tokens_;
  std::vector<Wanted> wanted_;
  AlignedVector<float> rows_;
  AlignedVector<float> logits_;
};

}  // namespace

std::vector<std::vector<CandidateScore>> score_candidates(Model& model, std::span<const CandidateSet> sets,
                                                          const std::function<void(std::size_t)>& progress) {
  Scorer scorer(model, sets);
  for (std::size_t begin = 0; begin < sets.size();) {
    const std::size_t end = scorer.batch_end(begin);
    scorer.run(begin, end);
    begin = end;
    progress(end);
  }
  return scorer.take();
}

std::vector<std::vector<TokenId>> continue_greedily(Model& model, const Tokenizer& tokenizer,
                                                    std::span<const std::vector<TokenId>> texts,
                                                    std::int64_t count, char stop,
                                                    const std::function<void(std::size_t)>& progress) {
  const ModelSpec& spec = model.spec();
  const auto vocab = static_cast<std::size_t>(spec.vocab_size);
  const std::uint64_t position_bytes = bytes_per_position(spec);
  std::vector<std::vector<TokenId>> results(texts.size());
  for (std::size_t begin = 0; begin < texts.size();) {
    std::vector<KvCache> caches;
    std::size_t tokens = 0;
    std::uint64_t bytes = 0;
    std::size_t end = begin;
    for (; end < texts.size(); ++end) {
      tokens += texts[end].size();
      bytes += position_bytes * (texts[end].size() + static_cast<std::size_t>(count));
      if (end > begin && (tokens > kBatchTokens || bytes > kBatchBytes)) break;
      caches.emplace_back(spec);
    }
    std::vector<std::size_t> alive;
    std::vector<Sequence> batch;
    for (std::size_t i = begin; i < end; ++i) {
      alive.push_back(i);
      batch.push_back({&caches[i - begin], texts[i]});
    }
    while (!alive.empty()) {
      check_interrupt();
      const std::vector<float> logits = model.forward(batch, Model::Logits::kLast);
      std::vector<std::size_t> next;
      for (std::size_t a = 0; a < alive.size(); ++a) {
        const std::size_t i = alive[a];
        const TokenId token = argmax({&logits[a * vocab], vocab});
        if (std::find(spec.eos.begin(), spec.eos.end(), token) != spec.eos.end() || tokenizer.eos() == token)
          continue;
        results[i].push_back(token);
        const bool full = caches[i - begin].length == spec.max_positions;
        if (static_cast<std::int64_t>(results[i].size()) < count && !full &&
            tokenizer.piece(token).find(stop) == std::string::npos)
          next.push_back(i);
      }
      alive = std::move(next);
      batch.clear();
      for (const std::size_t i : alive) batch.push_back({&caches[i - begin], Tokens(results[i]).last(1)});
    }
    begin = end;
    progress(end);
  }
  return results;
}

}  // namespace twofold
