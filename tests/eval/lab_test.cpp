#include "eval/lab/lab.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "eval/lab/joint.h"
#include "eval/lab/rates.h"
#include "eval/lab/report.h"
#include "eval/lab/store.h"
#include "eval/lab/svg_plot.h"
#include "expect_error.h"
#include "support/tiny_model.h"

namespace twofold {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::TinyModel;

TEST(Joint, RatesAreThoseOfThePaper) {
  EXPECT_DOUBLE_EQ(compression_rate(3, 0), 0.8125);
  EXPECT_DOUBLE_EQ(compression_rate(4, 0.25), 0.8125);
  EXPECT_DOUBLE_EQ(compression_rate(16, 0.75), 0.75);
  EXPECT_NEAR(sparsity_for(0.8125, 4), 0.25, 1e-12);
  EXPECT_LT(sparsity_for(0.8125, 2), 0);
}

TEST(Joint, SearchFindsTheValleyWithFewerPointsThanTheGrid) {
  for (const double tcr : {0.5, 0.75, 0.8125, 0.875}) {
    for (int valley = 2; valley <= 8; ++valley) {
      const JointSearch found = search_joint(
          tcr, [&](int width, double) { return std::abs(width - valley) + 0.1 * (width > valley); });
      const int lowest = static_cast<int>(std::ceil(16 * (1 - tcr) - 1e-9));
      EXPECT_EQ(found.width, std::max(valley, lowest)) << tcr;
      EXPECT_NEAR(compression_rate(found.width, found.sparsity), tcr, 1e-12);
      EXPECT_LE(found.measured.size(), 4U);
      if (found.candidates > 4) {
        EXPECT_LT(found.measured.size(), static_cast<std::size_t>(found.candidates));
      }
    }
  }
  EXPECT_THROW(search_joint(0, [](int, double) { return 0.0; }), UsageError);
}

Json joint_row(const std::string& label, int width, double sparsity, double kl, double perplexity) {
  return {{"label", label},
          {"recipe", {{"width", width}, {"sparsity", sparsity}}},
          {"kl", kl},
          {"perplexity", perplexity}};
}

TEST(Joint, AnalysisFindsArgmaxEqualRatesAndPareto) {
  const Json points = {joint_row("pruning alone, 50.00 %", 8, 0.5, 0.2, 12),
                       joint_row("8 bits", 8, 0, 0.01, 10),
                       joint_row("4 bits", 4, 0, 0.1, 11),
                       joint_row("3 bits", 3, 0, 0.5, 20),
                       joint_row("4 bits, 25.0 % pruned", 4, 0.25, 0.3, 13),
                       joint_row("2 bits", 2, 0, 3, 100)};
  const Json joint = analyse_joint(points, {{"perplexity", 10.0}});
  EXPECT_EQ(joint["best"]["quantization"]["label"], "4 bits");  // 2 / 1.1 against 1, 2.4 / 2 and 3 / 10
  EXPECT_EQ(joint["best"]["pruning"]["label"], "pruning alone, 50.00 %");
  EXPECT_NEAR(joint["rows"][0]["srcr"].get<double>(), 10.0 / 12 * std::sqrt(0.5), 1e-12);
  EXPECT_EQ(joint["equal_rate"][1]["quantization"]["label"], "3 bits");
  EXPECT_EQ(joint["equal_rate"][1]["pair"]["label"], "4 bits, 25.0 % pruned");
  std::vector<std::string> front;
  for (const Json& row : joint["pareto"]) front.push_back(row["label"]);
  EXPECT_THAT(front, ElementsAre("8 bits", "4 bits", "4 bits, 25.0 % pruned", "2 bits"));
}

TEST(Joint, RetentionLeavesChanceOut) {
  Json point = joint_row("4 bits", 4, 0, 0.1, 11);
  point["tasks"]["t"] = {{"acc", 0.4}, {"acc_norm", 0.45}, {"chance", 0.25}};
  const Json original = {{"perplexity", 10.0},
                         {"tasks", {{"t", {{"acc", 0.5}, {"acc_norm", 0.65}, {"chance", 0.25}}}}}};
  EXPECT_NEAR(analyse_joint(Json::array({point}), original)["rows"][0]["sr"].get<double>(), 0.5, 1e-12);
}

TEST(Rates, BestIsReadAtTheSizeOfTheOthers) {
  const auto row = [](const char* recipe, double bits, double kl) {
    return Json{{"label", recipe}, {"recipe", {{"recipe", recipe}}}, {"bits_per_weight", bits}, {"kl", kl}};
  };
  const Json rows = analyse_rates({row("best", 4, 0.01), row("gptq", 3, 0.05), row("best", 2, 1.0),
                                   row("dc", 4, 0.02), row("dc", 4.1, 0.01), row("rtn-row", 1.9, 0.5)});
  ASSERT_EQ(rows.size(), 2U);  // two are outside of what best was measured at
  EXPECT_EQ(rows[0]["label"], "gptq");
  EXPECT_NEAR(rows[0]["best_kl"].get<double>(), 0.1, 1e-12);
  EXPECT_DOUBLE_EQ(rows[1]["best_kl"].get<double>(), 0.01);
}

TEST(PlotHtml, DrawsAllSeriesAndLeavesOutWhatALogarithmCannotShow) {
  Plot plot{
      "a < b", "x", "y", true, {{"one", {{0, 0.01, 0, ""}, {1, 0, 0, ""}}}, {"two", {{0, 1, 2, "\"q\""}}}}};
  const std::string html = plot_html(plot);
  EXPECT_THAT(html, AllOf(HasSubstr("a &lt; b"), HasSubstr("&quot;q&quot;"), HasSubstr("class='legend'"),
                          Not(HasSubstr("nan")), Not(HasSubstr("inf"))));
  EXPECT_EQ(plot_html({"t", "x", "y", true, {{"one", {{0, 0, 0, ""}}}}}), "");
}

TEST(Lab, PointsAreMeasuredOnceAndReported) {
  TempDirectory directory;
  TinyModel model;
  model.vocab = 4096;
  model.layers = 1;
  model.positions = 128;
  model.write(directory / "m");
  const fs::path demo = fs::path(TWOFOLD_SOURCE_DIR) / "demo/books-llama-8m";
  fs::copy_file(demo / "tokenizer.json", directory / "m/tokenizer.json");
  std::string text;
  for (int i = 0; i < 60; ++i) text += "The old house stood upon hill number " + std::to_string(i) + ". ";
  write_file(directory / "text", text);
  LabOptions options;
  options.model = directory / "m";
  options.out = directory / "out";
  options.suites = {"dc"};
  options.calibration = {.source = (directory / "text").string(), .tokens = 64};
  options.text = directory / "text";
  options.perplexity.max_tokens = 200;
  options.tasks = {fs::path(TWOFOLD_SOURCE_DIR) / "tests/eval/data/tasks/winogrande.jsonl"};
  options.threads = 2;

  const LabReport first = run_lab(options);
  EXPECT_EQ(first.points, 4U);
  EXPECT_EQ(first.measured, 4U);
  const std::string json = read_file(first.json);
  EXPECT_EQ(run_lab(options).measured, 0U);
  EXPECT_EQ(read_file(first.json), json);
  EXPECT_FALSE(fs::exists(options.out / "scratch"));

  const Json results = read_json_file(first.json);
  const Json& points = results["suites"][0]["points"];
  EXPECT_NEAR(points[3]["zeros"].get<double>(), 0.4, 0.05);
  EXPECT_GT(points[3]["kl"].get<double>(), points[1]["kl"].get<double>());
  EXPECT_GT(points[3]["cr"].get<double>(), points[1]["cr"].get<double>());
  EXPECT_EQ(points[0]["layers"].size(), 7U);
  const std::string html = read_file(first.html);
  EXPECT_THAT(html, AllOf(HasSubstr("<svg"), HasSubstr("DC, 40 % pruned"), Not(HasSubstr("<script")),
                          Not(HasSubstr("nan")), Not(HasSubstr("http"))));
  EXPECT_THAT(read_file(first.csv), HasSubstr("\r\ndc,\"DC, 40 % pruned\",dc,0.9,"));

  options.suites = {"coders"};  // what has been measured stays in the report
  EXPECT_EQ(run_lab(options).measured, 2U);
  EXPECT_EQ(read_json_file(first.json)["suites"].size(), 2U);
  options.suites = {"dc"};

  fs::remove(options.out / "points" / (points[2]["key"].get<std::string>() + ".json"));
  EXPECT_EQ(run_lab(options).measured, 1U);
  write_file(directory / "other", text + "The end");
  options.text = directory / "other";
  EXPECT_EQ(run_lab(options).measured, 4U);
  options.suites = {"nonsense"};
  EXPECT_THAT(error_of([&] { run_lab(options); }), HasSubstr("--suite: expected dc, coders"));
}

}  // namespace
}  // namespace twofold
