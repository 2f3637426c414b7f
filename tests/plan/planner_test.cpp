#include "plan/planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/thread_pool.h"
#include "compress/compress.h"
#include "compress/transcode.h"
#include "expect_error.h"
#include "plan/pass_overhead.h"
#include "plan/plan_report.h"
#include "plan/svg_plot.h"
#include "support/tiny_model.h"

namespace twofold {
namespace {

using ::testing::HasSubstr;

constexpr double kOverhead = 0.5;

/// Four layers of two matrices of 1000 weights that multiply alone, and a head. Raw: a second a thousand
/// weights and eight bytes... of memory per weight is one; packed: half the bytes, 1.5 times as slow.
ModelCosts example_model() {
  ModelCosts model;
  model.directory = "example";
  model.codecs = {"raw", "packed"};
  model.spec.hidden_size = 10;
  model.spec.heads = model.spec.kv_heads = 1;
  model.spec.head_dim = 10;
  model.spec.vocab_size = 100;
  model.spec.layers.resize(4);
  model.plain_bytes = 40;
  for (int i = 0; i < 9; ++i) {
    TensorCost tensor;
    tensor.name = "t" + std::to_string(i);
    tensor.rows = 100;
    tensor.cols = 10;
    tensor.layer = i < 8 ? i / 2 : -1;
    tensor.chunk_weights = 100;
    tensor.bytes = {1000, 500};
    model.tensors.push_back(tensor);
  }
  return model;
}

MachineProfile example_machine(double storage_rate) {
  MachineProfile machine;
  machine.threads = {1};
  machine.read_bytes_per_second = {1e9};
  machine.codecs = {{"raw", 1, {{8, 1000}}, {}, 0.25, 0}, {"packed", 1, {{4, 500}}, {}, 0.25, 0}};
  if (storage_rate > 0) machine.storage = {{1 << 20, storage_rate}};
  return machine;
}

Planner example(double storage_rate = 0) {
  return {example_model(), example_machine(storage_rate), {.threads = 1, .context = 8}, kOverhead};
}

TEST(Planner, PredictsTheSumOfProductsAndTheRest) {
  const Planner planner = example();
  const Prediction raw = planner.predict(planner.uniform(0));
  EXPECT_NEAR(raw.seconds, 9 * 1.25 + kOverhead, 1e-9);
  EXPECT_EQ(raw.stored_bytes, 9 * 1000 + 40U);
  EXPECT_EQ(raw.weight_memory, 9 * 1000U);
  EXPECT_EQ(raw.memory, raw.weight_memory + planner.other_memory());
  const Prediction packed = planner.predict(planner.uniform(1));
  EXPECT_NEAR(packed.seconds, 9 * 2.25 + kOverhead, 1e-9);
}

TEST(Planner, TimesOfTheModelsOwnWeightsCount) {
  ModelCosts model = example_model();
  model.tensors[0].time_factor = {2, 3};
  const Planner planner(model, example_machine(0), {.threads = 1, .context = 8}, kOverhead);
  EXPECT_NEAR(planner.predict(planner.uniform(0)).seconds, 9 * 1.25 + 1 + kOverhead, 1e-9);
  EXPECT_NEAR(planner.predict(planner.uniform(1)).seconds, 9 * 2.25 + 4 + kOverhead, 1e-9);
}

TEST(Planner, TheProcessTakesMemoryToo) {
  const PlannerOptions options{.threads = 1, .context = 8, .process = 1'000'000};
  const Planner planner(example_model(), example_machine(0), options, kOverhead);
  EXPECT_EQ(planner.other_memory(), example().other_memory() + 1'000'000);
}

TEST(Planner, OneInNCodesTheLastChunkOfEachBlock) {
  const Planner planner = example();
  const auto codecs = [&](std::int64_t n, std::int64_t layers) {
    std::string text;
    for (const TensorPlan& tensor : planner.one_in(n, 1, layers))
      text += static_cast<char>('0' + tensor.codec);
    return text;
  };
  EXPECT_EQ(codecs(1, 0), "111111111");
  EXPECT_EQ(codecs(2, 0), "010101010");
  EXPECT_EQ(codecs(3, 0), "001001000");
  EXPECT_EQ(codecs(2, 1), "001100110");
  EXPECT_EQ(codecs(2, 2), "000011110");
  EXPECT_EQ(codecs(8, 1), "000000000");
  // Decoding costs an N-th (eq. 5 of the paper): 1 s more for every coded tensor.
  const double raw = planner.predict(planner.uniform(0)).seconds;
  EXPECT_NEAR(planner.predict(planner.one_in(4, 1, 0)).seconds - raw, 2, 1e-9);
}

TEST(Planner, CodesAsFewAsTheMemoryAsksFor) {
  const Planner planner = example();
  EXPECT_NEAR(planner.fastest({}).prediction.seconds, 9 * 1.25 + kOverhead, 1e-9);
  const std::uint64_t raw = planner.predict(planner.uniform(0)).memory;
  const BestPlan best = planner.fastest(raw - 1200);  // three tensors less of 500 bytes each
  EXPECT_TRUE(best.exact);
  EXPECT_NEAR(best.prediction.seconds, 9 * 1.25 + 3 + kOverhead, 1e-9);
  EXPECT_LE(best.prediction.memory, raw - 1200);
  EXPECT_THAT(error_of([&] { planner.fastest(raw - 5000); }), HasSubstr("needs at least"));
  EXPECT_THAT(error_of([&] { planner.fastest(10); }), HasSubstr("too few"));
  EXPECT_FALSE(planner.within(planner.uniform(0), raw - 1).has_value());

  const BestPlan small = planner.smallest(9 * 1.25 + 3 + kOverhead);
  EXPECT_EQ(small.prediction.memory, raw - 1500);
  EXPECT_EQ(planner.smallest({}).prediction.memory, raw - 4500);
  EXPECT_THAT(error_of([&] { planner.smallest(1.0); }), HasSubstr("the fastest takes"));
}

TEST(Planner, StreamsEvenlyWhatMemoryCannotHold) {
  const Planner planner = example(2000);
  // The example's buffer is larger than its weights; what counts here is which tensors are read.
  const std::uint64_t memory = planner.other_memory() + planner.buffer_bytes() + 5000;
  const auto raw = planner.within(planner.uniform(0), memory);
  ASSERT_TRUE(raw.has_value());
  const auto only = planner.fastest(memory, 0);
  EXPECT_NEAR(only.prediction.seconds, 9 * 1.25 + kOverhead, 1e-9);
  EXPECT_EQ(only.prediction.streamed_bytes, 0U);  // all fits without the buffer

  MachineProfile slow = example_machine(100);
  const Planner reader(example_model(), slow, {.threads = 1, .context = 8}, kOverhead);
  Plan plan = reader.uniform(0);
  plan[4].streamed = true;
  const Prediction prediction = reader.predict(plan);
  EXPECT_NEAR(prediction.io, 10, 1e-9);
  EXPECT_NEAR(prediction.seconds, 9 * 1.25 + kOverhead, 1e-9);  // reading hides behind the rest
  EXPECT_EQ(prediction.streamed_bytes, 1000U);
  EXPECT_EQ(prediction.memory, reader.other_memory() + reader.buffer_bytes() + 8000);
}

TEST(Planner, ReportsPlansCurvesAndADrawing) {
  const Planner planner = example();
  const auto rows = common_plans(planner, "packed", std::nullopt);
  ASSERT_EQ(rows.size(), 2 + 16 + 1U);
  EXPECT_EQ(rows[0].name, "nothing compressed (raw INT8)");
  EXPECT_EQ(describe(planner, planner.one_in(2, 1, 0)), "raw 5, packed 4");
  const auto curve = memory_curve(planner, std::nullopt, 10);
  ASSERT_GT(curve.size(), 3U);
  for (std::size_t i = 1; i < curve.size(); ++i)
    EXPECT_GE(curve[i].tokens_per_second, curve[i - 1].tokens_per_second);
  EXPECT_EQ(memory_curve(planner, 0, 10).size(), 1U);  // raw fits only at the end
  const std::string svg = memory_plot(planner);
  EXPECT_TRUE(svg.starts_with("<svg "));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_THAT(svg_plot({.title = "a<b>&\x01", .x_label = "x", .y_label = "y", .series = {}}),
              HasSubstr(">a&lt;b&gt;&amp;<"));
}

class PlannedModel : public ::testing::Test {
 protected:
  void SetUp() override {
    TinyModel tiny;
    tiny.hidden = 128;
    tiny.intermediate = 192;
    tiny.layers = 3;
    tiny.vocab = 256;
    tiny.write(directory_ / "model");
    CompressOptions options;
    options.source = directory_ / "model";
    options.destination = directory_ / "ans";
    options.calibration.tokens = 64;
    options.threads = 1;
    compress_model(options);
  }
  using TinyModel = testing::TinyModel;
  TempDirectory directory_;
};

TEST_F(PlannedModel, SizesAreThoseOfTheTranscodedDirectoryWithinAPercent) {
  const std::vector<std::string> codecs = {"raw", "packed", "tiered", "ans8", "ans"};
  ThreadPool pool(2);
  const ModelCosts model = load_model_costs(directory_ / "ans", codecs, pool, [](double) {});
  EXPECT_EQ(model.tensors.size(), 3 * 7 + 2U);
  EXPECT_TRUE(model.tensors.front().lookup);
  EXPECT_EQ(model.tensors[1].call_members, 3);
  for (std::size_t c = 0; c < codecs.size(); ++c) {
    TranscodeOptions options;
    options.source = directory_ / "ans";
    options.destination = directory_ / ("to-" + codecs[c]);
    options.plan.codec = codecs[c];
    options.threads = 1;
    transcode_model(options);
    const Container container(options.destination);
    double predicted = 0;
    double stored = 0;
    for (const TensorCost& tensor : model.tensors) {
      predicted += static_cast<double>(tensor.bytes[c]);
      stored += static_cast<double>(container.coded().at(tensor.name).stored_bytes);
    }
    EXPECT_NEAR(predicted, stored, 0.01 * stored) << codecs[c];
  }
  EXPECT_GT(measure_pass_overhead(model.spec, 2, 16), 0);
  EXPECT_THAT(error_of([&] { load_model_costs(directory_ / "model", codecs, pool, [](double) {}); }),
              HasSubstr("not a Twofold directory"));
}

TEST_F(PlannedModel, SavedPlanIsWhatTranscodeReads) {
  ThreadPool pool(1);
  ModelCosts model = load_model_costs(directory_ / "ans", {"raw", "packed", "ans"}, pool, [](double) {});
  MachineProfile machine = example_machine(0);
  machine.codecs.push_back({"ans", 1, {{4, 100}}, {}, 0, 0});
  const Planner planner(std::move(model), machine, {.threads = 1, .context = 8}, 0);
  const BestPlan best{planner.one_in(2, 1, 0), planner.predict(planner.one_in(2, 1, 0)), 0, true};
  write_file(directory_ / "plan.json", "an old one");  // is replaced
  save_plan(planner, best, directory_ / "plan.json");
  TranscodeOptions options;
  options.source = directory_ / "ans";
  options.destination = directory_ / "planned";
  options.plan = read_codec_plan(directory_ / "plan.json");
  options.threads = 1;
  transcode_model(options);
  EXPECT_EQ(read_residency_plan(directory_ / "plan.json"), residency_plan(planner, best.plan));
  std::filesystem::remove(directory_ / "plan.json");
  write_file(directory_ / "plan.json",
             R"({"twofold_plan": 1, "tensors": {"a": {"residency": "streamed"}, "b": {}}})");
  EXPECT_EQ(read_residency_plan(directory_ / "plan.json"),
            (ResidencyPlan{{"a", Residency::kStreamed}, {"b", Residency::kResident}}));
  std::filesystem::remove(directory_ / "plan.json");
  write_file(directory_ / "plan.json", R"({"twofold_plan": 1, "tensors": {"a": {"residency": "here"}}})");
  EXPECT_THAT(error_of([&] { read_residency_plan(directory_ / "plan.json"); }),
              HasSubstr("resident or streamed"));
  const Container container(options.destination);
  for (std::size_t i = 0; i < best.plan.size(); ++i) {
    EXPECT_EQ(container.coded().at(planner.model().tensors[i].name).codec->name(),
              planner.model().codecs[best.plan[i].codec]);
  }
}

}  // namespace
}  // namespace twofold
