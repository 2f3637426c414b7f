#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "eval/task_prompts.h"

namespace twofold {

struct TaskRunOptions {
  bool bos = false;              // put BOS before every prompt; models that need it (Gemma) always get it
  std::int64_t new_tokens = 48;  // of an extract task's continuation, at most
};

/// What a model answered to one prompt.
struct TaskOutcome {
  std::vector<double> log_likelihoods;  // of the choices, nats
  std::vector<bool> greedy;             // whether each is the greedy continuation
  std::string text;                     // extract: the continuation
  bool truncated = false;               // the prompt lost its beginning
};

/// A figure over items, with what each item adds to it.
struct TaskMetric {
  std::string name;           // "acc", "acc_norm", "perplexity", "contains"
  std::vector<double> items;  // 0 or 1, or a negative log-likelihood
  bool exponential = false;   // the figure is exp(mean)
  double value = 0;
  double error = 0;  // standard error, from the spread of the items (delta method for exp)
};

struct TaskSectionResult {
  std::string name;
  std::size_t items = 0;
  std::vector<double> values;  // as TaskResult::metrics
};

struct TaskResult {
  std::vector<TaskOutcome> outcomes;  // one per prompt
  std::size_t truncated = 0;
  double chance = 0;  // accuracy of guessing: mean of 1 / number of choices; 0 where there are none
  std::vector<TaskMetric> metrics;
  std::vector<TaskSectionResult> sections;
};

/// The progress callback gets the number of prompts done.
TaskResult run_task(Model& model, const Tokenizer& tokenizer, const Task& task,
                    const std::vector<TaskPrompt>& prompts, const TaskRunOptions& options,
                    const std::function<void(std::size_t)>& progress);

/// A metric of one model minus that of another on the same items.
struct MetricDifference {
  std::string name;
  double value = 0;
  double error = 0;          // standard deviation over the resamples
  double low = 0, high = 0;  // 95 % interval (percentiles)
  double p = 0;              // two-sided: share of resamples on the other side of zero, twice
};

/// Paired bootstrap (Efron and Tibshirani 1993; Koehn 2004): items are drawn with replacement, the same ones
/// for both models. Both must have the same metrics and items.
std::vector<MetricDifference> paired_bootstrap(const TaskResult& model, const TaskResult& reference,
                                               int resamples = 10000, std::uint64_t seed = 0);

}  // namespace twofold
