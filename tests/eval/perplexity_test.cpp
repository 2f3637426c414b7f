#include "eval/perplexity.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "runtime/logits.h"
#include "support/tiny_model.h"

namespace twofold {
namespace {

using testing::TinyModel;

const auto kQuiet = [](std::int64_t, std::int64_t) {};

class Perplexity : public ::testing::Test {
 protected:
  void SetUp() override {
    TinyModel().write(directory_ / "a");
    TinyModel other;
    other.seed = 2;
    other.write(directory_ / "b");
    Random random(5);
    for (int i = 0; i < 300; ++i) text_.push_back(static_cast<TokenId>(random.below(64)));
  }

  /// -log p(text[target] | text[begin .. target)), optionally after BOS, by one plain pass.
  double nll(Model& model, std::int64_t begin, std::int64_t target, bool bos) {
    std::vector<TokenId> tokens;
    if (bos) tokens.push_back(1);
    tokens.insert(tokens.end(), text_.begin() + begin, text_.begin() + target);
    KvCache cache(model.spec());
    const Sequence sequence{&cache, tokens};
    return negative_log_likelihood(model.forward({&sequence, 1}, Model::Logits::kLast),
                                   text_[static_cast<std::size_t>(target)]);
  }

  TempDirectory directory_;
  std::vector<TokenId> text_;
};

TEST_F(Perplexity, WindowsThatDoNotOverlapScoreEachTokenOnce) {
  Model model(directory_ / "a", {.threads = 2});
  text_.resize(50);
  const auto result = evaluate_perplexity(model, nullptr, text_, {.context = 16}, kQuiet);
  EXPECT_EQ(result.tokens, 49);
  EXPECT_EQ(result.windows, 4);
  double sum = 0;
  for (std::int64_t t = 1; t < 50; ++t) sum += nll(model, t < 16 ? 0 : t / 16 * 16 - 1, t, false);
  EXPECT_NEAR(result.nll, sum / 49, 1e-5);
  EXPECT_NEAR(result.perplexity, std::exp(result.nll), 1e-9);
}

TEST_F(Perplexity, StrideGivesEveryTokenTheContextOfItsWindow) {
  Model model(directory_ / "a", {.threads = 2});
  text_.resize(50);
  const auto result = evaluate_perplexity(model, nullptr, text_, {.context = 16, .stride = 4}, kQuiet);
  EXPECT_EQ(result.tokens, 49);
  double sum = 0;
  for (std::int64_t t = 1; t < 50; ++t) sum += nll(model, t < 16 ? 0 : (t - 16) / 4 * 4 + 4, t, false);
  EXPECT_NEAR(result.nll, sum / 49, 1e-5);
}

TEST_F(Perplexity, BosStandsBeforeEveryWindow) {
  Model model(directory_ / "a", {.threads = 2});
  text_.resize(40);
  const auto result = evaluate_perplexity(model, nullptr, text_, {.context = 16, .bos = 1}, kQuiet);
  EXPECT_EQ(result.tokens, 40);
  double sum = 0;
  for (std::int64_t t = 0; t < 40; ++t) sum += nll(model, t / 16 * 16, t, true);
  EXPECT_NEAR(result.nll, sum / 40, 1e-5);
}

TEST_F(Perplexity, ModelAgreesWithItself) {
  Model model(directory_ / "a", {.threads = 2});
  Model same(directory_ / "a", {.threads = 1});
  const auto result = evaluate_perplexity(model, &same, text_, {}, kQuiet);
  ASSERT_TRUE(result.comparison);
  EXPECT_EQ(result.comparison->kl_mean, 0);
  EXPECT_EQ(result.comparison->kl_p99, 0);
  EXPECT_EQ(result.comparison->top1_agreement, 1);
  EXPECT_EQ(result.comparison->reference_perplexity, result.perplexity);
  EXPECT_EQ(result.comparison->reference_error, result.error);
}

TEST_F(Perplexity, ComparisonIsOverTheSameTokens) {
  Model model(directory_ / "a", {.threads = 2});
  Model other(directory_ / "b", {.threads = 2});
  text_.resize(30);
  const auto result = evaluate_perplexity(model, &other, text_, {.context = 64}, kQuiet);
  double kl = 0;
  double largest = 0;
  int agreed = 0;
  for (std::size_t t = 1; t < 30; ++t) {
    std::vector<float> logits[2];
    Model* models[] = {&model, &other};
    for (int m = 0; m < 2; ++m) {
      KvCache cache(model.spec());
      const Sequence sequence{&cache, std::span(text_).first(t)};
      logits[m] = models[m]->forward({&sequence, 1}, Model::Logits::kLast);
    }
    const double d = kl_divergence(logits[1], logits[0]);
    kl += d;
    largest = std::max(largest, d);
    agreed += argmax(logits[0]) == argmax(logits[1]) ? 1 : 0;
  }
  EXPECT_NEAR(result.comparison->kl_mean, kl / 29, 1e-5);
  EXPECT_NEAR(result.comparison->kl_p99, largest, 1e-5);  // of 29 values
  EXPECT_NEAR(result.comparison->top1_agreement, agreed / 29.0, 1e-9);
}

TEST_F(Perplexity, StandardErrorShrinksWithTheText) {
  Model model(directory_ / "a", {.threads = 2});
  const auto all = evaluate_perplexity(model, nullptr, text_, {.context = 8}, kQuiet);
  const auto part = evaluate_perplexity(model, nullptr, text_, {.context = 8, .max_tokens = 60}, kQuiet);
  EXPECT_EQ(part.tokens, 59);
  EXPECT_GT(all.error, 0);
  EXPECT_LT(all.error, part.error);
}

TEST_F(Perplexity, OptionsThatDoNotFitAreErrors) {
  Model model(directory_ / "a", {.threads = 1});
  EXPECT_THROW(evaluate_perplexity(model, nullptr, text_, {.context = 65}, kQuiet), UsageError);
  EXPECT_THROW(evaluate_perplexity(model, nullptr, text_, {.context = 16, .stride = 17}, kQuiet), UsageError);
  EXPECT_THROW(evaluate_perplexity(model, nullptr, std::span(text_).first(1), {}, kQuiet), Error);
  TinyModel larger;
  larger.vocab = 65;
  larger.write(directory_ / "larger");
  Model other(directory_ / "larger", {.threads = 1});
  EXPECT_THROW(evaluate_perplexity(model, &other, text_, {}, kQuiet), Error);
}

}  // namespace
}  // namespace twofold
