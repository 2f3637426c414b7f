#include "eval/task_run.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/random.h"
#include "eval/tasks/text_steps.h"

namespace twofold {

namespace {

/// BOS for every text, or none.
std::optional<TokenId> bos_of(const Model& model, const Tokenizer& tokenizer, bool wanted) {
  // Gemma was trained to see it first; without it its likelihoods mean nothing.
  if (!wanted && !model.spec().architecture.starts_with("Gemma")) return std::nullopt;
  if (model.spec().bos) return static_cast<TokenId>(*model.spec().bos);
  if (tokenizer.bos()) return tokenizer.bos();
  fail("{}: the model has no BOS token", model.checkpoint().directory().string());
}

void score(Model& model, const Tokenizer& tokenizer, const std::vector<TaskPrompt>& prompts,
           std::optional<TokenId> bos, std::vector<TaskOutcome>& outcomes,
           const std::function<void(std::size_t)>& progress) {
  std::vector<CandidateSet> sets;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const TaskItem& item = *prompts[i].item;
    CandidateSet set;
    for (std::size_t c = 0; c < item.choices.size(); ++c) {
      set.candidates.push_back(make_candidate(tokenizer, prompts[i].before + item.context(c),
                                              " " + item.choices[c], bos, model.spec().max_positions,
                                              item.where, outcomes[i].truncated));
    }
    sets.push_back(std::move(set));
  }
  const auto scores = score_candidates(model, sets, progress);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    for (const CandidateScore& s : scores[i]) {
      outcomes[i].log_likelihoods.push_back(s.log_likelihood);
      outcomes[i].greedy.push_back(s.greedy);
    }
  }
}

void extract(Model& model, const Tokenizer& tokenizer, const std::vector<TaskPrompt>& prompts,
             std::optional<TokenId> bos, std::int64_t count, std::vector<TaskOutcome>& outcomes,
             const std::function<void(std::size_t)>& progress) {
  const std::int64_t room = model.spec().max_positions - count;
  if (room < 1) fail("a continuation of {} tokens does not fit the model's context", count);
  std::vector<std::vector<TokenId>> texts;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    std::vector<TokenId> tokens = tokenizer.encode(prompts[i].before + prompts[i].item->contexts[0]);
    if (bos) tokens.insert(tokens.begin(), *bos);
    if (tokens.empty()) fail("{}: the prompt is empty", prompts[i].item->where);
    if (static_cast<std::int64_t>(tokens.size()) > room) {
      tokens.erase(tokens.begin(), tokens.end() - room);
      outcomes[i].truncated = true;
    }
    texts.push_back(std::move(tokens));
  }
  const auto found = continue_greedily(model, tokenizer, texts, count, '\n', progress);
  for (std::size_t i = 0; i < found.size(); ++i) {
    for (const TokenId token : found[i]) outcomes[i].text += tokenizer.piece(token);
    outcomes[i].text = outcomes[i].text.substr(0, outcomes[i].text.find('\n'));
  }
}

/// The right choice has the largest score; of equal ones the first counts.
double is_right(const TaskOutcome& outcome, const TaskItem& item, bool normalized) {
  std::size_t best = 0;
  double best_score = 0;
  for (std::size_t c = 0; c < item.choices.size(); ++c) {
    double value = outcome.log_likelihoods[c];
    if (normalized) value /= static_cast<double>(std::max<std::size_t>(characters(item.choices[c]), 1));
    if (c == 0 || value > best_score) {
      best = c;
      best_score = value;
    }
  }
  return best == item.answer ? 1.0 : 0.0;
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0.0 : sum / static_cast<double>(values.size());
}

double figure(double mean_value, bool exponential) {
  return exponential ? std::exp(mean_value) : mean_value;
}

void finish(TaskMetric& metric) {
  const double m = mean(metric.items);
  const auto n = static_cast<double>(metric.items.size());
  double squares = 0;
  for (const double item : metric.items) squares += (item - m) * (item - m);
  metric.value = figure(m, metric.exponential);
  metric.error = n < 2 ? 0.0 : std::sqrt(squares / (n - 1) / n) * (metric.exponential ? metric.value : 1.0);
}

std::vector<TaskMetric> metrics_of(TaskKind kind) {
  if (kind == TaskKind::kCloze) return {{"acc", {}, false, 0, 0}, {"perplexity", {}, true, 0, 0}};
  if (kind == TaskKind::kChoice) return {{"acc", {}, false, 0, 0}, {"acc_norm", {}, false, 0, 0}};
  return {{"contains", {}, false, 0, 0}};
}

void add_item(TaskKind kind, const TaskItem& item, const TaskOutcome& outcome,
              std::vector<TaskMetric>& metrics) {
  if (kind == TaskKind::kCloze) {
    metrics[0].items.push_back(outcome.greedy[0] ? 1.0 : 0.0);
    metrics[1].items.push_back(-outcome.log_likelihoods[0]);
  } else if (kind == TaskKind::kChoice) {
    metrics[0].items.push_back(is_right(outcome, item, false));
    metrics[1].items.push_back(is_right(outcome, item, true));
  } else {
    metrics[0].items.push_back(lower(outcome.text).find(lower(item.choices[0])) != std::string::npos ? 1.0
                                                                                                     : 0.0);
  }
}

}  // namespace

TaskResult run_task(Model& model, const Tokenizer& tokenizer, const Task& task,
                    const std::vector<TaskPrompt>& prompts, const TaskRunOptions& options,
                    const std::function<void(std::size_t)>& progress) {
  const TaskKind kind = task.format->kind;
  TaskResult result;
  result.outcomes.resize(prompts.size());
  const std::optional<TokenId> bos = bos_of(model, tokenizer, options.bos);
  if (kind == TaskKind::kExtract) {
    extract(model, tokenizer, prompts, bos, options.new_tokens, result.outcomes, progress);
  } else {
    score(model, tokenizer, prompts, bos, result.outcomes, progress);
  }
  result.metrics = metrics_of(kind);
  std::vector<std::vector<TaskMetric>> by_section(task.sections.size(), metrics_of(kind));
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const TaskItem& item = *prompts[i].item;
    add_item(kind, item, result.outcomes[i], result.metrics);
    add_item(kind, item, result.outcomes[i], by_section[prompts[i].section]);
    result.truncated += result.outcomes[i].truncated ? 1 : 0;
    if (kind == TaskKind::kChoice)
      result.chance += 1.0 / static_cast<double>(item.choices.size()) / static_cast<double>(prompts.size());
  }
  for (TaskMetric& metric : result.metrics) finish(metric);
  for (std::size_t s = 0; s < task.sections.size(); ++s) {
    TaskSectionResult section{task.sections[s].name, by_section[s][0].items.size(), {}};
    for (TaskMetric& metric : by_section[s]) {
      finish(metric);
      section.values.push_back(metric.value);
    }
    result.sections.push_back(std::move(section));
  }
  return result;
}

std::vector<MetricDifference> paired_bootstrap(const TaskResult& model, const TaskResult& reference,
                                               int resamples, std::uint64_t seed) {
  std::vector<MetricDifference> differences;
  for (std::size_t m = 0; m < model.metrics.size(); ++m) {
    const TaskMetric& mine = model.metrics[m];
    const TaskMetric& theirs = reference.metrics[m];
    const std::size_t n = mine.items.size();
    if (n != theirs.items.size() || mine.name != theirs.name)
      fail("the two results are not of the same items");
    MetricDifference difference;
    difference.name = mine.name;
    difference.value = mine.value - theirs.value;
    Random random(seed);
    std::vector<double> drawn;
    std::size_t below = 0;
    std::size_t above = 0;
    for (int r = 0; r < resamples; ++r) {
      double a = 0;
      double b = 0;
      for (std::size_t i = 0; i < n; ++i) {
        const auto pick = static_cast<std::size_t>(random.below(n));
        a += mine.items[pick];
        b += theirs.items[pick];
      }
      const double d = figure(a / static_cast<double>(n), mine.exponential) -
                       figure(b / static_cast<double>(n), theirs.exponential);
      drawn.push_back(d);
      below += d <= 0 ? 1 : 0;
      above += d >= 0 ? 1 : 0;
    }
    const double center = mean(drawn);
    double squares = 0;
    for (const double d : drawn) squares += (d - center) * (d - center);
    std::sort(drawn.begin(), drawn.end());
    const auto at = [&](double q) {
      return drawn[static_cast<std::size_t>(q * static_cast<double>(drawn.size() - 1))];
    };
    difference.error = std::sqrt(squares / static_cast<double>(resamples - 1));
    difference.low = at(0.025);
    difference.high = at(0.975);
    difference.p = std::min(1.0, 2.0 * static_cast<double>(std::min(below, above)) / resamples);
    differences.push_back(std::move(difference));
  }
  return differences;
}

}  // namespace twofold
