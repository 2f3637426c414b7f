#include "kernels/activation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace twofold {
namespace {

void expect_function(void (*activation)(float*, std::size_t), double (*expected)(double), double tolerance) {
  std::vector<float> x;
  for (int i = -600; i <= 600; ++i) x.push_back(0.0173F * static_cast<float>(i));
  for (const float far : {-1e4F, -100.0F, 100.0F, 1e4F}) x.push_back(far);
  std::vector<float> y = x;
  activation(y.data(), y.size());
  for (std::size_t i = 0; i < x.size(); ++i)
    ASSERT_NEAR(y[i], expected(x[i]), tolerance * std::max(1.0, std::fabs(static_cast<double>(x[i]))))
        << x[i];
}

TEST(Activation, FunctionsAreWhatTheirNamesSay) {
  expect_function(
      relu, [](double x) { return std::max(x, 0.0); }, 0);
  expect_function(
      silu, [](double x) { return x / (1 + std::exp(-x)); }, 1e-6);
  expect_function(
      gelu, [](double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }, 2e-6);
  expect_function(
      gelu_tanh,
      [](double x) {
        return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
      },
      1e-6);
}

}  // namespace
}  // namespace twofold
