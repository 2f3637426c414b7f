#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "base/file.h"
#include "support/temp_directory.h"

namespace twofold {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class ChatCommand : public ::testing::Test {
 protected:
  void SetUp() override {
#ifndef TWOFOLD_CHAT
    GTEST_SKIP() << "built without chat";
#endif
    std::ofstream(directory_ / "play.jinja")
        << "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}a:";
  }

  /// Runs `twofold chat` with these lines as input and returns the exit status.
  int chat(const std::string& arguments, const std::string& input) {
    std::ofstream(directory_ / "in") << input;
    const std::string command = std::string("'") + TWOFOLD_BINARY + "' chat " + arguments + " <" +
                                (directory_ / "in").string() + " >" + (directory_ / "out").string() + " 2>" +
                                (directory_ / "err").string();
    const int status = std::system(command.c_str());
    out_ = read_file(directory_ / "out");
    err_ = read_file(directory_ / "err");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  std::string demo() const {
    return std::string("-m ") + TWOFOLD_SOURCE_DIR + "/demo/books-llama-8m --chat-template " +
           (directory_ / "play.jinja").string() + " -t 1 --temp 0 -n 4 ";
  }

  TempDirectory directory_;
  std::string out_, err_;
};

TEST_F(ChatCommand, AnswersEachLineOfAFile) {
  EXPECT_EQ(chat(demo() + "--stats", "The sea\n\nAnd \\\nthen\n/reset\nThe sea\n/exit\nnot read\n"), 0)
      << err_;
  EXPECT_EQ(out_.find("> "), std::string::npos) << "no prompts for programs";
  EXPECT_THAT(err_, StartsWith("[0 tokens kept, "));
  EXPECT_THAT(err_, HasSubstr("[forgotten]"));
  std::size_t answers = 0;
  for (std::size_t at = err_.find("tokens kept"); at != std::string::npos;
       at = err_.find("tokens kept", at + 1))
    ++answers;
  EXPECT_EQ(answers, 3U);
}

TEST_F(ChatCommand, UnknownCommandsAreTold) {
  EXPECT_EQ(chat(demo(), "/frobnicate\n/help\n"), 0);
  EXPECT_THAT(err_, StartsWith("[no such command; /help lists them]\n/reset"));
}

TEST_F(ChatCommand, AModelWithoutATemplateIsAnError) {
  EXPECT_EQ(chat(std::string("-m ") + TWOFOLD_SOURCE_DIR + "/demo/books-llama-8m", "x\n"), 1);
  EXPECT_THAT(err_, HasSubstr("no chat template"));
}

}  // namespace
}  // namespace twofold
