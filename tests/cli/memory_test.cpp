// Memory budgets of the program as a whole: what the process really uses.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "support/temp_directory.h"

namespace twofold {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

struct Outcome {
  int code = -1;
  std::string out;
  std::string err;
};

class Memory : public ::testing::Test {
 protected:
  static inline const std::string kDemo = std::string(TWOFOLD_SOURCE_DIR) + "/demo/books-llama-8m";

  Outcome run(const std::string& arguments) {
    const std::string out = directory_ / "stdout";
    const std::string err = directory_ / "stderr";
    const std::string command =
        std::string("'") + TWOFOLD_BINARY + "' " + arguments + " >'" + out + "' 2>'" + err + "'";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(out), read_file(err)};
  }

  /// A model of 6 MB whose largest part is its linear layers.
  std::string synthesize(const std::string& codec) {
    const std::string path = directory_ / codec;
    EXPECT_EQ(run("synth --like '" + kDemo + "' --layers 6 --codec " + codec + " '" + path + "'").code, 0);
    return path;
  }

  TempDirectory directory_;
};

/// The number behind "at least ", in megabytes.
int least_of(const std::string& message) {
  const auto at = message.find("at least ");
  return at == std::string::npos ? 0 : std::atoi(message.c_str() + at + 9);
}

TEST_F(Memory, RefusedBudgetsNameTheLeastAndThatDoes) {
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
  GTEST_SKIP() << "AddressSanitizer takes memory of its own";
#endif
#endif
  const std::string bench = "bench -m '" + synthesize("raw") + "' -t 2 -p 64 -n 8 --repetitions 2 --json";
  const Outcome refused = run(bench + " --memory 2MB");
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.out, IsEmpty());
  EXPECT_THAT(refused.err,
              AllOf(HasSubstr("memory budget of 2.0 MB: at least "), HasSubstr("MB are needed")));
  EXPECT_EQ(std::count(refused.err.begin(), refused.err.end(), '\n'), 1);
  const int least = least_of(refused.err);
  ASSERT_GT(least, 2);
  for (const int more : {0, 3, 20}) {
    const Outcome outcome = run(bench + " --memory " + std::to_string(least + more) + "MB");
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const double peak = nlohmann::json::parse(outcome.out).at("peak_rss_bytes").get<double>();
    EXPECT_LE(peak, 1.05e6 * (least + more)) << "budget " << least + more << " MB";
  }
}

TEST_F(Memory, TextsAndPerplexitiesAreTheSameUnderABudget) {
  const std::string path = synthesize("tiered");
  const std::string run_flags = "run -m '" + path + "' -p 'some text' -n 20 --temp 0";
  const Outcome free = run(run_flags);
  const int least = least_of(run(run_flags + " --memory 1kB").err);
  const Outcome bound = run(run_flags + " --buffer 100KiB --memory " + std::to_string(least + 2) + "MB");
  EXPECT_EQ(bound.code, 0) << bound.err;
  EXPECT_EQ(bound.out, free.out);
  EXPECT_THAT(bound.err, HasSubstr("read in every pass"));

  write_file(directory_ / "text", std::string(200, 'e') + "\n");
  const std::string eval =
      "eval ppl -m '" + path + "' -f '" + (directory_ / "text").string() + "' -c 64 --json";
  const int least_eval = least_of(run(eval + " --memory 1kB").err);
  const Outcome evaluated = run(eval + " --memory " + std::to_string(least_eval) + "MB");
  EXPECT_EQ(evaluated.code, 0) << evaluated.err;
  EXPECT_EQ(evaluated.out, run(eval).out);
}

TEST_F(Memory, APlanSaysWhatIsStreamed) {
  const std::string path = synthesize("raw");
  const std::string run_flags = "run -m '" + path + "' -p 'some text' -n 8 --temp 0";
  const auto with_plan = [&](const std::string& weight) {
    const std::string file = directory_ / (weight + ".json");
    write_file(file, R"({"twofold_plan": 1, "codec": "raw", "tensors": {")" + weight +
                         R"(": {"codec": "raw", "residency": "resident"}}})");
    return run(run_flags + " --memory 1GB --plan '" + file + "'");
  };
  const Outcome planned = with_plan("lm_head.weight");
  EXPECT_EQ(planned.code, 0) << planned.err;
  EXPECT_EQ(planned.out, run(run_flags).out);
  EXPECT_THAT(planned.err, HasSubstr("read in every pass"));
  EXPECT_THAT(planned.err, Not(HasSubstr("weights 0 bytes")));
  const Outcome unknown = with_plan("no.such.weight");
  EXPECT_EQ(unknown.code, 1);
  EXPECT_THAT(unknown.err, HasSubstr("\"no.such.weight\""));
}

TEST_F(Memory, FlagsThatMakeNoSenseAreUsageErrors) {
  for (const char* flags :
       {"--memory much", "--memory 0", "--buffer 1MB", "--memory 1GB --buffer x", "--plan p.json"}) {
    const Outcome outcome = run("run -m '" + kDemo + "' -p x " + flags);
    EXPECT_EQ(outcome.code, 2) << flags;
    EXPECT_THAT(outcome.err, HasSubstr("twofold: --")) << flags;
  }
}

}  // namespace
}  // namespace twofold
