// Every method of stage one against its NumPy version in tools/reference, on a layer that both make of the
// same random numbers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "compress/feedback.h"
#include "compress/shape_linear.h"
#include "support/tiny_model.h"
#include "tensor/safetensors.h"

namespace twofold {
namespace {

using testing::gaussian;

constexpr std::int64_t kRows = 12;
constexpr std::int64_t kCols = 160;
constexpr std::int64_t kTokens = 256;

/// The layer of tools/reference/layer.py.
struct Layer {
  LinearSpec linear{"layer", kRows, kCols, false};
  std::vector<float> weights;
  std::vector<float> inputs;
  std::vector<float> gradient;
  ThreadPool pool{2};
  StatisticsCollector statistics{pool, true};

  Layer() {
    Random random(7);
    for (std::int64_t i = 0; i < kRows * kCols; ++i) {
      weights.push_back(static_cast<float>(static_cast<double>(gaussian(random)) * 0.05));
    }
    std::vector<double> spread;
    for (std::int64_t j = 0; j < kCols; ++j)
      spread.push_back(std::exp(static_cast<double>(gaussian(random))));
    for (std::int64_t t = 0; t < kTokens; ++t) {
      const double common = gaussian(random);
      for (std::int64_t j = 0; j < kCols; ++j) {
        const double own = gaussian(random);
        inputs.push_back(static_cast<float>(spread[static_cast<std::size_t>(j)] * (own + 0.7 * common)));
      }
    }
    Random other(8);
    for (std::int64_t i = 0; i < kRows * kCols; ++i) gradient.push_back(std::fabs(gaussian(other)));
    const LinearSpec* linears[] = {&linear};
    statistics.observe(linears, inputs.data(), kTokens);
  }

  QuantizedLinear shape(const Recipe& recipe, double step = 0) {
    std::vector<float> copy = weights;
    MetricCache metrics(recipe, pool);
    const ErrorMetric* metric = needs_moments(recipe) ? &metrics.of(statistics.at(linear)) : nullptr;
    return shape_linear(linear, copy, statistics.at(linear), metric, step, recipe, pool, gradient);
  }

  /// Squared error of the output, mean over tokens.
  double output_error(const QuantizedLinear& result) const {
    double error = 0;
    const CodedTensorParts& parts = result.matrix.parts;
    for (std::int64_t t = 0; t < kTokens; ++t) {
      for (std::int64_t r = 0; r < kRows; ++r) {
        double sum = 0;
        for (std::int64_t j = 0; j < kCols; ++j) {
          const auto i = static_cast<std::size_t>(r * kCols + j);
          const auto c = static_cast<std::size_t>(j);
          const float value = static_cast<float>(result.matrix.q[i]) *
                              parts.scale[parts.scale.size() > 1 ? static_cast<std::size_t>(r) : 0] /
                              (parts.input_scale.empty() ? 1.0F : parts.input_scale[c]);
          sum += static_cast<double>(weights[i] - value) * inputs[static_cast<std::size_t>(t * kCols + j)];
        }
        error += sum * sum / static_cast<double>(kTokens);
      }
    }
    return error;
  }
};

Layer& layer() {
  static Layer one;
  return one;
}

template <typename T>
std::vector<T> fixture(const std::string& name) {
  static const SafetensorsFile file(std::filesystem::path(TWOFOLD_SOURCE_DIR) /
                                    "tests/compress/data/methods.safetensors");
  const TensorView& tensor = file.tensors().at(name);
  std::vector<T> values(tensor.bytes.size() / sizeof(T));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

/// Scales within 2^-8, which is a unit of BF16; at most 1 % of the integers may differ, by one: FP32 rounds a
/// tie otherwise than float64, and with error feedback the columns after it follow.
void expect_reference(const std::string& name, const Recipe& recipe, double step = 0) {
  SCOPED_TRACE(name);
  const QuantizedLinear found = layer().shape(recipe, step);
  const auto q = fixture<std::int8_t>(name + ".q");
  const auto scale = fixture<float>(name + ".scale");
  ASSERT_EQ(found.matrix.q.size(), q.size());
  ASSERT_EQ(found.matrix.parts.scale.size(), scale.size());
  for (std::size_t i = 0; i < scale.size(); ++i) {
    EXPECT_NEAR(found.matrix.parts.scale[i], scale[i], scale[i] / 256);
  }
  if (!found.matrix.parts.input_scale.empty()) {
    const auto input_scale = fixture<float>(name + ".input_scale");
    for (std::size_t j = 0; j < input_scale.size(); ++j) {
      EXPECT_NEAR(found.matrix.parts.input_scale[j], input_scale[j], input_scale[j] / 128);
    }
  }
  int different = 0;
  int largest = 0;
  for (std::size_t i = 0; i < q.size(); ++i) {
    different += found.matrix.q[i] != q[i] ? 1 : 0;
    largest = std::max(largest, std::abs(found.matrix.q[i] - q[i]));
  }
  EXPECT_LE(different, static_cast<int>(q.size()) / 100);
  EXPECT_LE(largest, 1);
}

Recipe recipe(const std::string& text) {
  return parse_recipe("scaler = none\n" + text, "test");
}

TEST(Methods, RoundToNearest) {
  expect_reference("rtn-tensor", recipe(""));
  expect_reference("rtn-row-3", recipe("granularity = row\nwidth = 3"));
}

TEST(Methods, SmoothQuant) {
  expect_reference("smoothquant", recipe("scaler = smoothquant\nalpha = 0.5"));
}

TEST(Methods, OutlierSuppression) {
  expect_reference("outlier-suppression", recipe("scaler = outlier-suppression"));
}

TEST(Methods, Gptq) {
  expect_reference("gptq-4", recipe("quantizer = gptq\ngranularity = row\nwidth = 4"));
}

TEST(Methods, WaterSic) {
  expect_reference("watersic", recipe("quantizer = watersic"), 0.05);
}

TEST(Methods, EntQuant) {
  expect_reference("entquant", recipe("quantizer = entquant\nlambda = 0.02"));
}

TEST(Methods, PrunersOfScores) {
  for (const std::string name : {"magnitude", "dc", "wanda", "pruner-zero"}) {
    expect_reference(name, recipe("granularity = row\nsparsity = 0.4\npruner = " + name));
  }
}

TEST(Methods, SparseGpt) {
  expect_reference("sparsegpt", recipe("granularity = row\nsparsity = 0.4\npruner = sparsegpt"));
}

/// Methods for evaluation only: the same weights, within 2^-8 of the largest where BF16 is rounded to.
void expect_floats(const std::string& name, const Recipe& recipe, double tolerance = 1e-3) {
  const QuantizedLinear found = layer().shape(recipe);
  const auto expected = fixture<float>(name);
  ASSERT_EQ(found.floats.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(found.floats[i], expected[i], tolerance) << i;
  EXPECT_GT(found.bits, 0);
}

TEST(Methods, Awq) {
  expect_floats("awq-32", recipe("scaler = awq\nquantizer = group-wise\nwidth = 4\ngroup = 32"));
}

TEST(Methods, ZeroQuant) {
  const Recipe zeroquant = load_recipe("zeroquant");
  expect_floats("zeroquant", zeroquant, 1e-6);
  EXPECT_NEAR(layer().shape(zeroquant).bits, fixture<float>("zeroquant.bits")[0], 1);
}

TEST(Methods, LlmInt8) {
  expect_floats("llm-int8", recipe("quantizer = llm-int8"));
}

TEST(Feedback, SaysTheErrorOfTheOutput) {
  const Recipe watersic = recipe("quantizer = watersic\ndamping = 1e-6");
  const QuantizedLinear result = layer().shape(watersic, 0.05);
  EXPECT_NEAR(result.error, layer().output_error(result), 0.02 * result.error);
  // A step in units of the output makes an error of step^2 / 12 for each weight.
  EXPECT_NEAR(result.error, kRows * kCols * 0.05 * 0.05 / 12, 0.1 * result.error);
}

TEST(Feedback, BeatsRoundingAtTheSameSteps) {
  const QuantizedLinear rounded = layer().shape(recipe("granularity = row\nwidth = 4"));
  const QuantizedLinear fed_back = layer().shape(recipe("quantizer = gptq\ngranularity = row\nwidth = 4"));
  EXPECT_LT(layer().output_error(fed_back), 0.7 * layer().output_error(rounded));
}

TEST(Feedback, PrunedWeightsStayZero) {
  const QuantizedLinear result =
      layer().shape(recipe("quantizer = gptq\ngranularity = row\nwidth = 4\nsparsity = 0.5\npruner = wanda"));
  EXPECT_GE(std::count(result.matrix.q.begin(), result.matrix.q.end(), 0), kRows * kCols / 2);
}

TEST(Feedback, PricesMoveIntegersTowardsZeroOnly) {
  const Recipe plain = recipe("quantizer = watersic");
  const Recipe priced = recipe("quantizer = watersic\nrate_price = 0.2");
  const auto total = [](const QuantizedLinear& result) {
    int sum = 0;
    for (const int q : result.matrix.q) sum += std::abs(q);
    return sum;
  };
  EXPECT_LT(total(layer().shape(priced, 0.3)), total(layer().shape(plain, 0.3)));
}

TEST(ErrorMetric, SurvivesInputsThatNoTokenHas) {
  Layer& one = layer();
  const std::vector<float> gram(static_cast<std::size_t>(kCols * kCols));
  const ErrorMetric metric = make_error_metric(gram, kCols, 0, 0.01, {}, one.pool);
  for (const float d : metric.diagonal) EXPECT_NEAR(d, 0.1, 1e-3);
  EXPECT_THROW(make_error_metric({}, kCols, 0, 0.01, {}, one.pool), Error);
}

TEST(Recipe, BuiltinOnesAreValid) {
  for (const BuiltinRecipe& builtin : builtin_recipes()) {
    const Recipe one = load_recipe(std::string(builtin.name));
    EXPECT_NO_THROW(check(one)) << builtin.name;
    EXPECT_EQ(one.name, builtin.name);
  }
  EXPECT_TRUE(load_recipe("dc").is_dc());
  EXPECT_FALSE(load_recipe("best").is_dc());
}

TEST(Recipe, ErrorsNameFileLineAndKey) {
  const auto error_of = [](const std::string& text) {
    try {
      check(parse_recipe(text, "file"));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  using ::testing::HasSubstr;
  EXPECT_EQ(error_of("# nothing\n\n  scaler = none # as it is\r\n"), "");
  EXPECT_THAT(error_of("scaler = none\nwidht = 4"), HasSubstr("file:2: unknown key \"widht\""));
  EXPECT_THAT(error_of("width"), HasSubstr("file:1: expected \"key = value\""));
  EXPECT_THAT(error_of("width = 4.5"), HasSubstr("file:1: width: expected a whole number"));
  EXPECT_THAT(error_of("alpha = x"), HasSubstr("file:1: alpha: expected a number"));
  EXPECT_THAT(error_of("sequential = 1"), HasSubstr("expected yes or no"));
  EXPECT_THAT(error_of("width = 9"), HasSubstr("width: expected a number from 2 to 8"));
  EXPECT_THAT(error_of("scaler = magic"), HasSubstr("scaler: expected one of none, dc"));
  EXPECT_THAT(error_of("quantizer = magic"), HasSubstr("quantizer: expected one of rtn"));
  EXPECT_THAT(error_of("pruner = magic"), HasSubstr("pruner: expected one of dc"));
  EXPECT_THAT(error_of("quantizer = watersic\nscaler = dc"), HasSubstr("scaler"));
  EXPECT_THROW(load_recipe("no-such-recipe"), UsageError);
}

}  // namespace
}  // namespace twofold
