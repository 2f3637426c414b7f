#include "eval/task_run.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "expect_error.h"
#include "support/tiny_model.h"

namespace twofold {
namespace {

namespace fs = std::filesystem;

const fs::path kData = fs::path(TWOFOLD_SOURCE_DIR) / "tests/eval/data/tasks";
const fs::path kDemo = fs::path(TWOFOLD_SOURCE_DIR) / "demo/books-llama-8m";
const auto kQuiet = [](std::size_t) {};

Task load(const std::string& name) {
  return load_task(std::vector<fs::path>{kData / name});
}

/// Against tools/make_task_fixtures.py: prompts built in Python, scored by transformers in float32.
class TaskRun : public ::testing::Test {
 protected:
  TaskResult run(const Task& task, const Task* shots_from = nullptr, const PromptOptions& options = {},
                 const TaskRunOptions& run_options = {}) {
    prompts_ = make_prompts(task, shots_from, options);
    return run_task(model_, *tokenizer_, task, prompts_, run_options, kQuiet);
  }

  void expect_scores(const TaskResult& result, const std::string& name) {
    const Json& expected = expected_.at(name);
    ASSERT_EQ(result.outcomes.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const TaskOutcome& outcome = result.outcomes[i];
      ASSERT_EQ(outcome.log_likelihoods.size(), expected[i].size());
      for (std::size_t c = 0; c < expected[i].size(); ++c) {
        EXPECT_NEAR(outcome.log_likelihoods[c], expected[i][c].at("log_likelihood").get<double>(), 1e-3)
            << name << ", item " << i << ", choice " << c;
        EXPECT_EQ(outcome.greedy[c], expected[i][c].at("greedy").get<bool>());
      }
    }
  }

  Model model_{kDemo, {.threads = 2}};
  std::unique_ptr<Tokenizer> tokenizer_ = load_tokenizer(kDemo);
  Json expected_ = read_json_file(kData / "expected.json");
  std::vector<TaskPrompt> prompts_;
};

TEST_F(TaskRun, LikelihoodsAreThoseOfTheReferenceInEveryFormat) {
  for (const char* name : {"hellaswag", "piqa", "winogrande"}) {
    const Task task = load(std::string(name) + ".jsonl");
    EXPECT_EQ(task.format->name, name);
    expect_scores(run(task), name);
  }
  expect_scores(run(load("mathqa.json")), "mathqa");
  expect_scores(run(load("piqa.jsonl"), nullptr, {}, {.bos = true}), "piqa with bos");
}

TEST_F(TaskRun, FirstExamplesOfTheDevelopmentFileStandBeforeTheQuestion) {
  const Task task = load("astronomy_test.csv");
  const Task shots = load("astronomy_dev.csv");
  expect_scores(run(task, &shots, {.shots = 2}), "mmlu");
}

TEST_F(TaskRun, ClozeCountsWholeWordsAndTheirPerplexity) {
  const TaskResult result = run(load("lambada.jsonl"));
  expect_scores(result, "lambada");
  EXPECT_EQ(result.truncated, 1U);
  double sum = 0;
  int greedy = 0;
  for (const Json& item : expected_.at("lambada")) {
    sum += item[0].at("log_likelihood").get<double>();
    greedy += item[0].at("greedy").get<bool>() ? 1 : 0;
  }
  ASSERT_EQ(greedy, 1);
  EXPECT_EQ(result.metrics[0].value, 0.2);
  EXPECT_NEAR(result.metrics[0].error, std::sqrt(0.2 * 0.8 / 4), 1e-9);
  EXPECT_NEAR(result.metrics[1].value / std::exp(-sum / 5), 1, 1e-3);
}

TEST_F(TaskRun, ChoiceIsByLikelihoodAndByLikelihoodPerCharacter) {
  const Task task = load("hellaswag.jsonl");
  const TaskResult result = run(task);
  std::vector<double> right(2);
  for (std::size_t i = 0; i < 2; ++i) {
    const TaskItem& item = task.sections[0].items[i];
    std::size_t best[2] = {0, 0};
    for (std::size_t c = 1; c < 4; ++c) {
      const auto score = [&](std::size_t k, bool normalized) {
        return expected_["hellaswag"][i][k]["log_likelihood"].get<double>() /
               (normalized ? static_cast<double>(item.choices[k].size()) : 1.0);
      };
      for (const bool normalized : {false, true})
        if (score(c, normalized) > score(best[normalized ? 1 : 0], normalized)) best[normalized ? 1 : 0] = c;
    }
    for (std::size_t m = 0; m < 2; ++m) right[m] += best[m] == item.answer ? 0.5 : 0.0;
  }
  EXPECT_EQ(result.metrics[0].value, right[0]);
  EXPECT_EQ(result.metrics[1].value, right[1]);
  EXPECT_EQ(result.chance, 0.25);
}

TEST_F(TaskRun, ExtractLooksForTheAnswerInTheGreedyContinuation) {
  const TaskResult result = run(load("swde.jsonl"), nullptr, {}, {.new_tokens = 16});
  for (std::size_t i = 0; i < 2; ++i)
    EXPECT_THAT(result.outcomes[i].text, ::testing::HasSubstr(expected_["swde"][i].get<std::string>()));
  EXPECT_EQ(result.metrics[0].items, (std::vector<double>{1, 0}));
}

TEST_F(TaskRun, SetsScoredTogetherScoreAsTheyDoAlone) {
  // Random sets that share beginnings of all lengths, so that every way of sharing occurs.
  Random random(3);
  std::vector<CandidateSet> sets;
  std::vector<TokenId> stem;
  for (int i = 0; i < 40; ++i) stem.push_back(static_cast<TokenId>(3 + random.below(4000)));
  for (int s = 0; s < 12; ++s) {
    CandidateSet set;
    std::vector<TokenId> context(stem.begin(), stem.begin() + static_cast<std::ptrdiff_t>(random.below(41)));
    if (s % 3 == 0) context = stem;
    const std::size_t more = 1 + random.below(30);
    for (std::size_t i = 0; i < more; ++i) context.push_back(static_cast<TokenId>(3 + random.below(4000)));
    for (std::size_t c = 0; c < 1 + random.below(4); ++c) {
      Candidate candidate{context, context.size()};
      if (s % 4 == 1) candidate.tokens[1 % candidate.first] = static_cast<TokenId>(3 + c);
      const std::size_t scored = 1 + random.below(c % 2 == 0 ? 1 : 5);
      for (std::size_t i = 0; i < scored; ++i)
        candidate.tokens.push_back(static_cast<TokenId>(3 + random.below(4000)));
      set.candidates.push_back(candidate);
    }
    sets.push_back(set);
  }
  const auto together = score_candidates(model_, sets, kQuiet);
  for (std::size_t s = 0; s < sets.size(); ++s) {
    for (std::size_t c = 0; c < sets[s].candidates.size(); ++c) {
      const CandidateSet alone{{sets[s].candidates[c]}};
      EXPECT_NEAR(together[s][c].log_likelihood,
                  score_candidates(model_, {&alone, 1}, kQuiet)[0][0].log_likelihood, 1e-3)
          << s << " " << c;
    }
  }
}

TEST(TaskPrompts, RandomExamplesFollowTheSeedAndLeaveTheItemOut) {
  const Task task = load("lambada.jsonl");
  const auto a = make_prompts(task, nullptr, {.shots = 3, .seed = 1});
  const auto b = make_prompts(task, nullptr, {.shots = 3, .seed = 1, .limit = 2});
  const auto c = make_prompts(task, nullptr, {.shots = 3, .seed = 2});
  ASSERT_EQ(a.size(), 5U);
  ASSERT_EQ(b.size(), 2U);
  EXPECT_EQ(a[1].before, b[1].before);
  EXPECT_TRUE(a[0].before != c[0].before || a[1].before != c[1].before || a[2].before != c[2].before);
  for (const TaskPrompt& prompt : a) EXPECT_EQ(prompt.before.find(prompt.item->solved), std::string::npos);
  EXPECT_THAT(error_of([&] { make_prompts(task, nullptr, {.shots = 5}); }),
              ::testing::HasSubstr("5 examples are wanted, there are 4"));
}

TaskResult result_of(std::vector<double> items) {
  TaskResult result;
  double sum = 0;
  for (const double item : items) sum += item;
  result.metrics.push_back({"acc", items, false, sum / static_cast<double>(items.size()), 0});
  return result;
}

TEST(PairedBootstrap, SpreadIsThatOfTheDifferencesOfItems) {
  Random random(1);
  std::vector<double> a;
  std::vector<double> b;
  double squares = 0;
  double sum = 0;
  for (int i = 0; i < 400; ++i) {
    b.push_back(random.uniform() < 0.6 ? 1 : 0);
    a.push_back(i % 8 == 0 ? 1 - b.back() : b.back());
    sum += a.back() - b.back();
    squares += (a.back() - b.back()) * (a.back() - b.back());
  }
  const auto difference = paired_bootstrap(result_of(a), result_of(b))[0];
  const double mean = sum / 400;
  const double error = std::sqrt((squares / 400 - mean * mean) / 400);
  EXPECT_NEAR(difference.value, mean, 1e-12);
  EXPECT_NEAR(difference.error, error, 0.05 * error);
  EXPECT_NEAR(difference.low, mean - 1.96 * error, 0.2 * error);
  EXPECT_NEAR(difference.high, mean + 1.96 * error, 0.2 * error);
}

TEST(PairedBootstrap, ModelDoesNotDifferFromItself) {
  const auto difference = paired_bootstrap(result_of({0, 1, 1}), result_of({0, 1, 1}), 100)[0];
  EXPECT_EQ(difference.error, 0);
  EXPECT_EQ(difference.p, 1);
}

}  // namespace
}  // namespace twofold
