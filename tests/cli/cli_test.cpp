#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/file.h"
#include "support/tiny_model.h"

namespace twofold {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using testing::TinyModel;

struct Outcome {
  int code = -1;
  std::string out;
  std::string err;
};

class Cli : public ::testing::Test {
 protected:
  static inline const std::string kDemo = std::string(TWOFOLD_SOURCE_DIR) + "/demo/books-llama-8m";

  /// Runs `twofold ARGS` through the shell.
  Outcome run(const std::string& arguments, const std::string& before = "") {
    const std::string out = directory_ / "stdout";
    const std::string err = directory_ / "stderr";
    const std::string command =
        before + " '" + TWOFOLD_BINARY + "' " + arguments + " >'" + out + "' 2>'" + err + "'";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(out), read_file(err)};
  }

  void expect_error(const std::string& arguments, int code, const ::testing::Matcher<std::string>& message) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, code) << arguments << "\n" << outcome.err;
    EXPECT_THAT(outcome.err, message) << arguments;
    EXPECT_THAT(outcome.out, IsEmpty()) << arguments;
  }

  std::string path(const std::string& name) { return (directory_ / name).string(); }

  TempDirectory directory_;
};

TEST_F(Cli, HelpAndVersion) {
  for (const char* command :
       {"", "compress", "run", "eval", "eval ppl", "eval cloze", "eval choice", "eval extract", "lab",
        "inspect", "verify", "synth", "bench", "bench codecs", "bench kernels", "tokenize", "detokenize"}) {
    const Outcome outcome = run(std::string(command) + " --help");
    EXPECT_EQ(outcome.code, 0) << command;
    EXPECT_THAT(outcome.out, HasSubstr("--help")) << command;
  }
  EXPECT_THAT(run("--version").out, ::testing::StartsWith("twofold "));
}

TEST_F(Cli, TasksAreComparedWithTheReferenceOnTheSameItems) {
  const std::string data = std::string(TWOFOLD_SOURCE_DIR) + "/tests/eval/data/tasks/";
  const std::string demo = "'" + kDemo + "'";
  const Outcome outcome = run("eval choice --json --limit 1 -m " + demo + " --reference " + demo + " -f '" +
                              data + "piqa.jsonl'");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["format"], "piqa");
  EXPECT_EQ(json["items"], 1);
  EXPECT_EQ(json["acc"], json["reference"]["acc"]);
  EXPECT_EQ(json["difference"]["acc"]["value"], 0.0);
  expect_error("eval cloze -m " + demo + " -f '" + data + "piqa.jsonl'", 1, HasSubstr("not for eval cloze"));
  expect_error("eval cloze -m " + demo + " -f x --shots-from y", 2, HasSubstr("--shots-from needs --shots"));
}

TEST_F(Cli, TokenizesLinesAndTextsAndBack) {
  const std::string model = " -m '" + kDemo + "' ";
  write_file(path("text"), "the end\n\n \"the\"\n");
  const Outcome ids = run("tokenize --ids" + model + path("text"));
  EXPECT_EQ(ids.code, 0) << ids.err;
  EXPECT_THAT(ids.out, ::testing::MatchesRegex("1( [0-9]+)+\n1\n1( [0-9]+)+\n"));
  write_file(path("ids"), ids.out);
  EXPECT_EQ(run("detokenize" + model + path("ids")).out, "the end\n\n \"the\"\n");
  EXPECT_THAT(run("detokenize --special" + model + path("ids")).out, HasSubstr("<s>"));
  EXPECT_EQ(run("tokenize --ids --whole --no-special" + model + path("text") +
                " | '" TWOFOLD_BINARY "' detokenize --whole" + model)
                .out,
            "the end\n\n \"the\"\n");
  EXPECT_THAT(run("tokenize" + model, "echo '\"' |").out,
              ::testing::MatchesRegex("     1 \"<s>\"\n *[0-9]+ \" .x22\"\n\n"));
  write_file(path("bad"), "1 2x\n");
  expect_error("detokenize" + model + path("bad"), 1,
               HasSubstr("bad: line 1: expected ids with spaces between, found \"2x\""));
  expect_error("tokenize" + model + path("nowhere"), 1, HasSubstr("nowhere: cannot open"));
}

TEST_F(Cli, UsageErrorsExitWithTwo) {
  for (const char* arguments : {"",
                                "frobnicate",
                                "compress",
                                "compress a",
                                "run",
                                "run -m x -n -3",
                                "run -m x -n many",
                                "run -m x --top-k=-1",
                                "run -m x --top-p 2",
                                "run -m x --temperature=-1",
                                "run -m x --device tpu",
                                "run -m x --device cuda --memory 1GiB",
                                "eval",
                                "eval ppl",
                                "eval ppl -m x",
                                "inspect",
                                "verify",
                                "bench",
                                "bench codecs",
                                "bench kernels --entropy 9",
                                "bench kernels --shape 3",
                                "bench kernels --shape 0x5",
                                "bench kernels --isa mmx",
                                "bench kernels -t 0",
                                "bench -m x codecs",
                                "bench -m x -b 0",
                                "bench -m x -p=-1",
                                "bench -m x --repetitions 0",
                                "synth",
                                "synth --like llama-2-7b",
                                "synth --like llama-9 a",
                                "synth --like llama-2-7b --layers 0 a",
                                "synth --like llama-2-7b --entropy 9 a",
                                "synth --like llama-2-7b --recipe-like best a",
                                "synth --like llama-2-7b --codec zip a",
                                "synth --like llama-2-7b --dtype f64 a",
                                "synth --like llama-2-7b --dtype bf16 --codec ans a",
                                "compress a b --alpha high",
                                "compress a b --alpha 1.5",
                                "compress a b --sparsity 1",
                                "compress a b --codec zip",
                                "compress a b --activations sometimes",
                                "compress a b --max-shard-size huge",
                                "compress a b --calibration-tokens 0",
                                "inspect a --frob",
                                "run -m x -t -1"}) {
    expect_error(arguments, 2, HasSubstr("twofold: "));
  }
}

TEST_F(Cli, UnknownIsaIsAUsageError) {
  const Outcome outcome = run("inspect " + kDemo, "TWOFOLD_ISA=mmx");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("TWOFOLD_ISA"), HasSubstr("scalar")));
}

TEST_F(Cli, MissingThingsAreOneLineAndExitWithOne) {
  const auto one_line =
      ::testing::ResultOf([](const std::string& s) { return std::count(s.begin(), s.end(), '\n'); }, 1);
  expect_error("run -m /nonexistent -p x", 1, AllOf(HasSubstr("/nonexistent"), one_line));
  expect_error("inspect /nonexistent", 1, AllOf(HasSubstr("/nonexistent"), one_line));
  expect_error("verify /nonexistent", 1, AllOf(HasSubstr("/nonexistent"), one_line));
  expect_error("verify " + kDemo, 1, AllOf(HasSubstr("not a Twofold directory"), one_line));
  expect_error("compress /nonexistent " + path("out"), 1, AllOf(HasSubstr("/nonexistent"), one_line));
  expect_error("compress " + kDemo + " " + path("no/out"), 1,
               AllOf(HasSubstr("no such directory"), one_line));
  expect_error("eval ppl -m " + kDemo + " -f /nonexistent", 1, AllOf(HasSubstr("/nonexistent"), one_line));
  expect_error("bench -m /nonexistent", 1, AllOf(HasSubstr("/nonexistent"), one_line));
  // No CUDA in the build, no GPU in the machine, or a model that is not compressed.
  expect_error("run -m " + kDemo + " -p x --device cuda", 1, one_line);
  expect_error("bench -m " + kDemo + " --device cuda", 1, one_line);
  expect_error("bench -m " + kDemo + " -p 257", 1, AllOf(HasSubstr("256"), one_line));
  expect_error("synth --like /nonexistent.json " + path("out"), 1,
               AllOf(HasSubstr("/nonexistent.json"), one_line));
  expect_error("bench codecs -m /nonexistent", 1, AllOf(HasSubstr("/nonexistent"), one_line));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "out"));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "out.partial"));
}

TEST_F(Cli, DemoModelTheWholeWay) {
  const std::string text = path("text.txt");
  std::ofstream(text)
      << "The captain looked out over the water and said nothing for a long while. The wind had turned, and "
         "the sails hung loose above them; somewhere below a man was singing an old song about the land.\n";
  Outcome outcome =
      run("compress " + kDemo + " " + path("small") + " --calibration " + text + " --sparsity 0.2");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("smaller"), HasSubstr("bits/weight")));
  EXPECT_THAT(outcome.err, HasSubstr("100 %"));

  outcome = run("verify " + path("small"));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("ok"));

  outcome = run("inspect --json " + path("small"));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto sizes = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(sizes.at("directory_bytes"), directory_bytes(directory_ / "small"));
  EXPECT_LT(sizes.at("stored_bytes").get<double>(), 0.45 * sizes.at("fp16_bytes").get<double>());
  EXPECT_THAT(run("inspect " + path("small")).out,
              AllOf(HasSubstr("lm_head.weight"), HasSubstr("ans"), HasSubstr("directory")));

  outcome = run("eval ppl --json -m " + path("small") + " -f " + text + " --reference " + kDemo);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto quality = nlohmann::json::parse(outcome.out);
  EXPECT_LT(quality.at("kl_mean").get<double>(), 0.02);
  EXPECT_GT(quality.at("top1_agreement").get<double>(), 0.9);

  outcome = run("run -m " + path("small") + " -p 'Once upon a time' -n 12 --temperature 0");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, ::testing::StartsWith("Once upon a time"));
  EXPECT_GT(outcome.out.size(), 20U);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("prefill:"), HasSubstr("decode:"), HasSubstr("peak RSS:"),
                                 HasSubstr("as INT8")));
}

TEST_F(Cli, RunIsReproducibleAndReadsThePromptFromStandardInput) {
  const std::string flags = "run -m " + kDemo + " -n 20 --seed 7 ";
  const Outcome first = run(flags + "-p 'The old house'");
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(run(flags + "-p 'The old house' -t 1").out, first.out);
  EXPECT_EQ(run(flags + "-p -", "printf 'The old house' |").out, first.out);
  EXPECT_NE(run("run -m " + kDemo + " -n 20 --seed 8 -p 'The old house'").out, first.out);
  const Outcome bare = run(flags + "-p 'The old house' --no-display-prompt");
  EXPECT_EQ("The old house" + bare.out, first.out);
  EXPECT_EQ(run("run -m " + kDemo + " -n 5").code, 0);  // no prompt: starts from BOS
}

TEST_F(Cli, PromptLongerThanTheContextIsAnError) {
  std::ofstream(path("long.txt")) << std::string(5000, 'x');
  const Outcome outcome = run("run -m " + kDemo + " -p -", "cat '" + path("long.txt") + "' |");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("context is 256"));
}

TEST_F(Cli, ClosedOutputIsAnErrorNotACrash) {
  const Outcome outcome = run("inspect --json " + kDemo + " | true; exit ${PIPESTATUS:-0}");
  EXPECT_NE(outcome.code, -1);
  const std::string command =
      std::string("'") + TWOFOLD_BINARY + "' inspect " + kDemo + " >/dev/full 2>'" + path("err") + "'";
  const int status = std::system(command.c_str());
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_THAT(read_file(directory_ / "err"), HasSubstr("cannot write"));
}

TEST_F(Cli, EmptyCalibrationTextIsAnError) {
  std::ofstream(path("empty.txt")) << "";
  expect_error("compress " + kDemo + " " + path("out") + " --calibration " + path("empty.txt"), 1,
               AllOf(HasSubstr("empty.txt"), HasSubstr("empty")));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "out"));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "out.partial"));
}

TEST_F(Cli, InterruptedCompressLeavesNothing) {
  for (const char* signal : {"INT", "TERM"}) {
    for (const char* delay : {"0.05", "0.3", "0.6"}) {
      const Outcome outcome =
          run("compress " + kDemo + " " + path("out") + " --calibration-tokens 100000",
              std::string("timeout --foreground --signal=") + signal +  // once: twice kills
                  " --kill-after=60 " + delay);
      EXPECT_NE(outcome.code, 0);
      EXPECT_FALSE(std::filesystem::exists(directory_ / "out"));
      EXPECT_FALSE(std::filesystem::exists(directory_ / "out.partial"));
    }
  }
}

TEST_F(Cli, KilledCompressLeavesNothingOrAllAndRunsAgain) {
  TinyModel tiny;
  tiny.hidden = 64;
  tiny.intermediate = 256;
  tiny.layers = 8;
  tiny.write(directory_ / "model");
  const std::string command =
      "compress " + path("model") + " " + path("out") + " --recipe dc --calibration-tokens 64";
  int complete = 0;
  for (int i = 1; i <= 12; ++i) {
    const Outcome outcome = run(command, "timeout --signal=KILL 0.0" + std::to_string(i * 7));
    if (std::filesystem::exists(directory_ / "out")) {
      EXPECT_EQ(run("verify " + path("out")).code, 0);
      std::filesystem::remove_all(directory_ / "out");
      ++complete;
    }
  }
  const Outcome again = run(command);
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(run("verify " + path("out")).code, 0);
  EXPECT_FALSE(std::filesystem::exists(directory_ / "out.partial"));
  EXPECT_LE(complete, 12);
}

TEST_F(Cli, FullDiskIsOneLineAndLeavesNothing) {
  const Outcome outcome =
      run("compress " + kDemo + " " + path("out") + " --recipe dc --calibration-tokens 64", "ulimit -f 512;");
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr(".safetensors: write failed")));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "out"));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "out.partial"));
}

TEST_F(Cli, CompressKeepsADivergenceUnlessAskedOtherwise) {
  TinyModel tiny;
  tiny.hidden = 64;
  tiny.intermediate = 128;
  tiny.write(directory_ / "model");
  const auto compress = [&](const std::string& flags) {
    std::filesystem::remove_all(directory_ / "out");
    const Outcome outcome =
        run("compress " + path("model") + " " + path("out") + " --calibration-tokens 256 --json " + flags);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out);
  };
  nlohmann::json report = compress("");
  EXPECT_EQ(report.at("recipe").at("recipe"), "best");
  EXPECT_LE(report.at("calibration_kl").get<double>(), 0.004);
  report = compress("--bits 4");
  EXPECT_EQ(report.at("recipe").at("recipe"), "best");
  EXPECT_TRUE(report.at("calibration_kl").is_null());
  EXPECT_EQ(compress("--alpha 0.5").at("recipe").at("recipe"), "dc");
  for (const char* flags : {"--bits 3 --max-kl 0.1", "--bits 9", "--bits 0", "--max-kl 0",
                            "--sparsity 0.2 --bits 3", "--alpha 0.5 --size 1MB"})
    expect_error("compress a b " + std::string(flags), 2, HasSubstr("--"));
}

TEST_F(Cli, BenchCodecsPrintsEveryCodecAndTheBound) {
  TinyModel tiny;
  tiny.hidden = 128;
  tiny.intermediate = 384;
  tiny.write(directory_ / "model");
  for (const char* extra : {"", "--json"}) {
    const Outcome outcome = run("bench codecs -m " + path("model") + " " + extra);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    for (const char* codec : {"raw", "ans", "zstd", "lz4", "snappy", "deflate", "entropy"})
      EXPECT_THAT(outcome.out, HasSubstr(codec));
  }
}

TEST_F(Cli, SyntheticModelRunsAndIsTheSameForASeed) {
  TinyModel tiny;
  tiny.hidden = 128;
  tiny.intermediate = 384;
  tiny.vocab = 512;
  std::ofstream(path("config.json")) << tiny.config().dump();
  const std::string command = "synth --like " + path("config.json") + " --layers 1 ";
  Outcome outcome = run(command + "--recipe-like channel --entropy 3.5 --codec raw --json " + path("a"));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto report = nlohmann::json::parse(outcome.out);
  EXPECT_NEAR(report.at("linear_entropy").get<double>(), 3.5, 0.03);
  EXPECT_EQ(report.at("stored_bytes"), directory_bytes(directory_ / "a"));
  EXPECT_EQ(run("verify " + path("a")).code, 0);
  outcome = run("run -m " + path("a") + " -p 'Hello' -n 5 --ignore-eos");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, ::testing::StartsWith("Hello"));

  ASSERT_EQ(run(command + "--recipe-like channel --entropy 3.5 --codec raw -t 1 " + path("b")).code, 0);
  EXPECT_EQ(read_file(directory_ / "a/model.safetensors"), read_file(directory_ / "b/model.safetensors"));

  outcome = run(command + "--dtype bf16 " + path("original"));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(run("run -m " + path("original") + " -p x -n 2").code, 0);
  EXPECT_EQ(
      run("compress " + path("original") + " " + path("small") + " --recipe dc --calibration-tokens 64").code,
      0);
  expect_error(command + path("a"), 1, HasSubstr("already exists"));
}

TEST_F(Cli, BenchMeasuresPassesOfAModel) {
  const std::string command = "bench -m " + kDemo + " -p 16 -n 4 -b 1,3 --repetitions 2 -t 1 ";
  Outcome outcome = run(command);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("prefill"), HasSubstr("decode"), HasSubstr("peak RSS")));
  outcome = run(command + "--json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json.at("threads"), 1);
  EXPECT_EQ(json.at("prefill").at("tokens"), 16);
  EXPECT_GT(json.at("prefill").at("tokens_per_second").get<double>(), 0);
  ASSERT_EQ(json.at("decode").size(), 2U);
  EXPECT_EQ(json.at("decode")[1].at("sequences"), 3);
  EXPECT_EQ(json.at("decode")[1].at("tokens_per_second_each").size(), 2U);
  EXPECT_GT(json.at("weight_bytes_per_pass").get<double>(), 14e6);  // BF16 without the embedding
  EXPECT_TRUE(nlohmann::json::parse(run("bench -m " + kDemo + " -p 0 -n 1 --repetitions 1 --json").out)
                  .at("prefill")
                  .is_null());
}

}  // namespace
}  // namespace twofold
