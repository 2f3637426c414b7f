#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "support/tiny_model.h"

namespace twofold {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct Outcome {
  int code = -1;
  std::string out;
  std::string err;
};

class PlanCommands : public ::testing::Test {
 protected:
  Outcome run(const std::string& arguments) {
    const std::string out = directory_ / "stdout";
    const std::string err = directory_ / "stderr";
    const std::string command = "XDG_CACHE_HOME='" + path("cache") + "' '" + TWOFOLD_BINARY + "' " +
                                arguments + " >'" + out + "' 2>'" + err + "'";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(out), read_file(err)};
  }
  nlohmann::json run_json(const std::string& arguments) {
    const Outcome outcome = run(arguments + " --json");
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out, nullptr, false);
  }
  void expect_error(const std::string& arguments, int code, const ::testing::Matcher<std::string>& message) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, code) << arguments << "\n" << outcome.err;
    EXPECT_THAT(outcome.err, message) << arguments;
  }
  std::string path(const std::string& name) { return (directory_ / name).string(); }

  TempDirectory directory_;
};

TEST_F(PlanCommands, MeasurePlanAndTranscodeGoTogether) {
  testing::TinyModel().write(directory_ / "model");
  ASSERT_EQ(run("compress " + path("model") + " " + path("ans") + " --calibration-tokens 32").code, 0);
  const std::string plan = "plan -m " + path("ans") + " -c 16 -t 1";
  expect_error(plan, 1, AllOf(HasSubstr("machine-"), HasSubstr("run `twofold measure`")));

  const auto machine = run_json("measure --quick --storage " + path(""));
  EXPECT_FALSE(machine.at("storage").empty());
  EXPECT_EQ(run_json("measure"), machine);  // is not measured again
  EXPECT_THAT(run("measure").out, AllOf(HasSubstr("memory read"), HasSubstr("packed")));

  const auto fast = run_json(plan + " -o " + path("plan.json") + " --svg " + path("plot.svg"));
  EXPECT_EQ(fast.at("plans").size(), 5 + 16 + 1U);
  const auto& chosen = fast.at("chosen");
  for (const auto& row : fast.at("plans"))
    EXPECT_GE(row.at("seconds_per_token").get<double>(),
              chosen.at("seconds_per_token").get<double>() * 0.9999);
  EXPECT_TRUE(read_file(directory_ / "plot.svg").starts_with("<svg "));
  EXPECT_THAT(run(plan).out,
              AllOf(HasSubstr("nothing compressed"), HasSubstr("1 in 5 layers"), HasSubstr("chosen")));

  ASSERT_EQ(run("transcode " + path("ans") + " " + path("planned") + " --plan " + path("plan.json")).code, 0);
  EXPECT_EQ(run("verify " + path("planned")).code, 0);
  const auto raw = run_json("transcode " + path("planned") + " " + path("raw") + " --codec raw");
  EXPECT_EQ(raw.at("coded_tensors"), 2 * 7 + 2);

  const auto small = run_json(plan + " --objective size");
  for (const auto& row : small.at("plans")) {
    EXPECT_GE(row.at("memory_bytes").get<double>(), small.at("chosen").at("memory_bytes").get<double>());
  }
  expect_error(plan + " --memory 1kB", 1, HasSubstr("memory"));
}

TEST_F(PlanCommands, WrongUseIsTold) {
  for (const char* arguments :
       {"plan", "plan -m x --objective best", "plan -m x --latency 5",
        "plan -m x --memory 5 --objective size", "plan -m x --memory lots", "plan -m x --scheme-codec zip",
        "plan -m x -c 0", "transcode", "transcode a b", "transcode a b --codec raw --plan p",
        "transcode a b --codec zip", "measure now", "compress a b --codec raw --plan p"}) {
    expect_error(arguments, 2, HasSubstr("twofold: "));
  }
  write_file(directory_ / "plan.json", R"({"twofold_plan": 1, "codec": "raw", "tensors": {"a": 1}})");
  expect_error("transcode a b --plan " + path("plan.json"), 1,
               AllOf(HasSubstr("plan.json"), HasSubstr("\"a\"")));
  expect_error("compress a b --plan " + path("none.json"), 1, HasSubstr("none.json"));
  for (const char* command : {"measure", "plan", "transcode"})
    EXPECT_THAT(run(std::string(command) + " --help").out, HasSubstr("--help"));
}

}  // namespace
}  // namespace twofold
