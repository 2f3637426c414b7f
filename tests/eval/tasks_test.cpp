#include <gtest/gtest.h>

#include "base/file.h"
#include "eval/tasks/csv.h"
#include "eval/tasks/registry.h"
#include "eval/tasks/text_steps.h"
#include "expect_error.h"
#include "support/temp_directory.h"

namespace twofold {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;

TEST(Csv, QuotedFieldsHoldCommasLineEndsAndQuotes) {
  const auto rows = parse_csv(
      "\xef\xbb\xbf"
      "a,b\r\n\"x,\ny\",\"say \"\"no\"\"\"\n\n,\"\"\nlast,1",
      "t");
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_THAT(rows[0].fields, ElementsAre("a", "b"));
  EXPECT_THAT(rows[1].fields, ElementsAre("x,\ny", "say \"no\""));
  EXPECT_THAT(rows[2].fields, ElementsAre("", ""));
  EXPECT_THAT(rows[3].fields, ElementsAre("last", "1"));
  EXPECT_EQ(rows[1].line, 2);
  EXPECT_EQ(rows[3].line, 6);
}

TEST(Csv, WhatTheRuleForbidsIsAnErrorWithItsLine) {
  EXPECT_THAT(error_of([] { parse_csv("a,b\nx\"y,1\n", "t"); }), HasSubstr("t:2: a quote inside"));
  EXPECT_THAT(error_of([] { parse_csv("a\n\"x\"y\n", "t"); }), HasSubstr("t:2: text behind"));
  EXPECT_THAT(error_of([] { parse_csv("a\nb\n\"x\n\n", "t"); }), HasSubstr("t:3: a field in quotes"));
}

class TaskFile : public ::testing::Test {
 protected:
  Task load(const std::string& contents, const std::string& name = "rows", const std::string& format = "") {
    fs::remove(directory_ / name);
    write_file(directory_ / name, contents);
    return load_task(std::vector<fs::path>{directory_ / name}, format);
  }

  std::string error(const std::string& contents, const std::string& format = "") {
    return error_of([&] { load(contents, "rows", format); });
  }

  TempDirectory directory_;
};

TEST_F(TaskFile, BrokenRowNamesFileLineAndField) {
  const std::string good = "{\"text\": \"the end\"}\n";
  EXPECT_THAT(error(good + "\n{\"text\": 3}\n"), HasSubstr("rows:3: \"text\""));
  EXPECT_THAT(error(good + "{\"txt\": \"a b\"}\n"), EndsWith("rows:2: missing field \"text\""));
  EXPECT_THAT(error(good + "{\"text\": \"a b\""), HasSubstr("rows:2: not valid JSON"));
  EXPECT_THAT(error(good + "{\"text\": \"word\"}\n"), HasSubstr("rows:2: \"text\": expected a passage"));
  EXPECT_THAT(error("[{\"text\": \"a b\"},\n\n {\"text\": \"a\"}]"), HasSubstr("rows:3: \"text\""));
  EXPECT_THAT(error("[{\"text\": \"a b\"}\n{\"text\": \"a b\"}]"), HasSubstr("rows:1: not valid JSON"));
  EXPECT_THAT(error("[{\"text\": \"a b\"},\n"), HasSubstr("rows:2: the file ends"));
  EXPECT_THAT(error("[{\"text\": \"a ]b}\"}]\nx"), HasSubstr("rows:2: text behind"));
  EXPECT_THAT(error("[3]"), HasSubstr("rows:1: expected a JSON object"));
  EXPECT_THAT(error(" \n"), HasSubstr("no rows"));
  EXPECT_THAT(error("[]"), HasSubstr("no rows"));
  EXPECT_THAT(error("{\"a\": 1}"), HasSubstr("fields are those of no known format"));
  EXPECT_THAT(error(good, "piqa"), HasSubstr("-labels.lst"));
  EXPECT_THROW(load(good, "rows", "nonsense"), UsageError);
  EXPECT_THAT(error_of([&] { load_task(std::vector<fs::path>{directory_ / "rows"}, TaskKind::kChoice); }),
              HasSubstr("format lambada is for eval cloze, not for eval choice"));
}

TEST_F(TaskFile, EveryFormatChecksItsFields) {
  const std::string csv = "question,A,B,C,D,answer\n";
  EXPECT_THAT(error(csv + "why,1,2,3,4,E\n"), HasSubstr("rows:2: \"answer\": expected one of A, B, C, D"));
  EXPECT_THAT(error(csv + "why,1,2,3,4,4\n"), HasSubstr("rows:2: \"answer\""));
  EXPECT_THAT(error(csv + "why,1,2,3,4,0\nwhy,1,2\n"),
              HasSubstr("rows:3: expected 6 fields as in the first row"));
  EXPECT_THAT(error("why,1,2,3,4,A\nwhy,1,2,3,4,5\n"), HasSubstr("rows:2: \"6\""));
  EXPECT_THAT(error("a,a\n1,2\n"), HasSubstr("rows:1: column \"a\" appears twice"));
  EXPECT_THAT(error(R"({"sentence": "no blank", "option1": "a", "option2": "b", "answer": "1"})"),
              HasSubstr("rows:1: \"sentence\": expected a sentence with a blank"));
  EXPECT_THAT(error(R"({"sentence": "_ is", "option1": "a", "option2": "b", "answer": ""})"),
              HasSubstr("rows:1: \"answer\": expected one of 1, 2"));
  EXPECT_THAT(error(R"({"Problem": "p", "options": "a ) 1 , b ) 2", "correct": "a"})"),
              HasSubstr("rows:1: \"options\": expected the five options"));
  EXPECT_THAT(error(R"({"activity_label": "", "ctx_a": "", "ctx_b": "", "endings": ["a"], "label": 0})"),
              HasSubstr("rows:1: \"endings\": expected 4, found 1"));
  EXPECT_THAT(error(R"({"query": "q", "choices": ["a", 2], "gold": 0})"),
              HasSubstr("rows:1: \"choices\": expected strings"));
  EXPECT_THAT(error(R"({"query": "q", "choices": ["a", "b"], "gold": 2})"), HasSubstr("rows:1: \"gold\""));
  EXPECT_THAT(error(R"({"goal": "g", "sol1": "a", "sol2": "b", "label": "x"})"), HasSubstr("\"label\""));
  EXPECT_THAT(error(R"({"text": "t", "value": " "})"), HasSubstr("rows:1: \"value\""));
}

TEST_F(TaskFile, LabelsInAFileOfTheirOwnMustFit) {
  const std::string rows = R"({"goal": "g", "sol1": "a", "sol2": "b"})"
                           "\n";
  write_file(directory_ / "rows-labels.lst", "1\n0\n");
  EXPECT_THAT(error(rows), HasSubstr("2 labels, but"));
  EXPECT_EQ(load(rows + rows).sections[0].items[0].answer, 1U);
  fs::remove(directory_ / "rows-labels.lst");
  write_file(directory_ / "rows-labels.lst", "1\n\n");
  EXPECT_THAT(error(rows + rows), HasSubstr("rows-labels.lst:2: expected 0 or 1"));
}

TEST_F(TaskFile, OriginalMmluHasNoHeader) {
  const Task task = load("\"One, or\ntwo?\",a,b,c,d,C\nwhy, x,y,z,w,A\n", "world_history_test.csv");
  ASSERT_EQ(task.items(), 2U);
  const TaskSection& section = task.sections[0];
  EXPECT_EQ(section.description,
            "The following are multiple choice questions (with answers) about world history.");
  EXPECT_EQ(section.items[0].contexts[0], "One, or\ntwo?\nA. a\nB. b\nC. c\nD. d\nAnswer:");
  EXPECT_EQ(section.items[0].answer, 2U);
  EXPECT_THAT(section.items[1].where, EndsWith("world_history_test.csv:3"));
}

TEST(TextSteps, AreThoseOfPython) {
  EXPECT_EQ(capitalize("éCOLE de PARIS"), "École de paris");
  EXPECT_EQ(strip("\xe2\x80\x83 a b\n"), "a b");
  EXPECT_EQ(strip(" \n"), "");
  EXPECT_EQ(replace_all("a    b", "  ", " "), "a  b");
  EXPECT_EQ(characters("naïve"), 5U);
}

/// Every row of the real data sets is read.
TEST(RealTasks, AreReadWhole) {
  const fs::path shared = fs::path(TWOFOLD_SHARED_DIR) / "eval";
  if (!fs::exists(shared)) GTEST_SKIP() << shared << " is missing";
  const auto count = [&](const std::string& name, const std::string& format) {
    const Task task = load_task(std::vector<fs::path>{shared / name});
    EXPECT_EQ(task.format->name, format);
    return task.items();
  };
  EXPECT_EQ(count("lambada/lambada_test.jsonl", "lambada"), 5153U);
  EXPECT_EQ(count("hellaswag-subset/hellaswag.jsonl", "hellaswag"), 1000U);
  EXPECT_EQ(count("winogrande/llm-adapters-test.json", "winogrande"), 1267U);
  EXPECT_EQ(count("mathqa/llm-adapters-test.json", "mathqa"), 2985U);
  EXPECT_EQ(count("mmlu/test", "mmlu"), 14042U);
  EXPECT_EQ(count("mmlu/dev", "mmlu"), 285U);
  // The same rows in two layouts are the same items.
  const Task own = load_task(std::vector<fs::path>{shared / "piqa/valid.jsonl"});
  const Task wrapped = load_task(std::vector<fs::path>{shared / "piqa/llm-adapters-test.json"});
  ASSERT_EQ(own.items(), 1838U);
  ASSERT_EQ(wrapped.items(), 1838U);
  for (std::size_t i = 0; i < 1838; ++i)
    ASSERT_EQ(own.sections[0].items[i].solved, wrapped.sections[0].items[i].solved) << i;
}

}  // namespace
}  // namespace twofold
