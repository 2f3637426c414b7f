#include "runtime/chat_session.h"

#include <csignal>

#include "base/interrupt.h"
#include "expect_error.h"

namespace twofold {
namespace {

using ::testing::HasSubstr;

class Chat : public ::testing::Test {
 protected:
  void SetUp() override {
#ifndef TWOFOLD_CHAT
    GTEST_SKIP() << "built without chat templates";
#endif
  }

  static inline const std::filesystem::path kDemo =
      std::filesystem::path(TWOFOLD_SOURCE_DIR) / "demo/books-llama-8m";
  // A line for each message, as in a play.
  const ChatTemplate template_{
      "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
      "assistant:",
      "<s>", "</s>", "play"};
  Model model_{kDemo, {.threads = 1}};
  std::unique_ptr<Tokenizer> tokenizer_ = load_tokenizer(kDemo);
  Sampler greedy_{{.temperature = 0}};

  std::string text_;
  std::function<void(std::string_view)> collect_ = [this](std::string_view text) { text_ += text; };
};

TEST_F(Chat, ASecondTurnEvaluatesOnlyWhatIsNewAndAnswersAsIfItHadEvaluatedAll) {
  ChatSession session(model_, *tokenizer_, template_, "Speak.");
  const ChatReply first = session.reply("The old house", 6, greedy_, collect_);
  EXPECT_EQ(first.reused_tokens, 0);
  EXPECT_EQ(first.stats.generated_tokens, 6);
  EXPECT_EQ(text_, first.text);
  ASSERT_EQ(session.messages().size(), 2U);
  EXPECT_EQ(session.messages()[1].content, first.text);

  text_.clear();
  const ChatReply second = session.reply("And the sea", 6, greedy_, collect_);
  EXPECT_GE(second.reused_tokens, first.stats.prompt_tokens);

  const std::vector<TokenId> whole = tokenizer_->encode(template_.render(
      {{"system", "Speak."}, {"user", "The old house"}, {"assistant", first.text}, {"user", "And the sea"}}));
  EXPECT_EQ(second.reused_tokens + second.stats.prompt_tokens, static_cast<std::int64_t>(whole.size()));
  std::vector<TokenId> expected;
  generate(model_, whole, 6, false, greedy_, [&](TokenId token) {
    expected.push_back(token);
    return true;
  });
  EXPECT_EQ(second.text, tokenizer_->decode(expected));
}

TEST_F(Chat, ResetForgetsTheConversation) {
  ChatSession session(model_, *tokenizer_, template_, "");
  const ChatReply first = session.reply("Once", 4, greedy_, collect_);
  session.reset();
  EXPECT_TRUE(session.messages().empty());
  EXPECT_EQ(session.reply("Once", 4, greedy_, collect_).text, first.text);
}

TEST_F(Chat, TheOldestMessagesMakeRoom) {
  ChatSession session(model_, *tokenizer_, template_, "");
  std::string words;
  for (int i = 0; i < 70; ++i) words += "the ";
  std::size_t dropped = 0;
  for (int turn = 0; turn < 4; ++turn) dropped += session.reply(words, 4, greedy_, collect_).dropped_messages;
  EXPECT_GT(dropped, 0U);
  EXPECT_EQ(dropped % 2, 0U);
  EXPECT_EQ(session.messages().size() + dropped, 8U);
}

TEST_F(Chat, AMessageThatCannotFitIsAnErrorAndLeavesTheConversation) {
  ChatSession session(model_, *tokenizer_, template_, "");
  session.reply("Once", 4, greedy_, collect_);
  std::string words;
  for (int i = 0; i < 400; ++i) words += "the ";
  EXPECT_THAT(error_of([&] { session.reply(words, 4, greedy_, collect_); }),
              HasSubstr("the model's context is 256"));
  EXPECT_EQ(session.messages().size(), 2U);
}

TEST_F(Chat, AnInterruptEndsTheAnswerAndTheConversationGoesOn) {
  catch_interrupts();
  ChatSession session(model_, *tokenizer_, template_, "");
  const ChatReply cut = session.reply("Once", 50, greedy_, [&](std::string_view) { std::raise(SIGINT); });
  EXPECT_EQ(cut.stats.end, GenerationStats::End::kStopped);
  EXPECT_EQ(cut.stats.generated_tokens, 1);
  const ChatReply none = session.reply("Again", 50, greedy_, collect_);
  EXPECT_EQ(none.stats.generated_tokens, 0) << "still interrupted";
  EXPECT_EQ(session.messages().size(), 2U);
  clear_interrupt();
  EXPECT_EQ(session.reply("Again", 3, greedy_, collect_).stats.generated_tokens, 3);
}

}  // namespace
}  // namespace twofold
