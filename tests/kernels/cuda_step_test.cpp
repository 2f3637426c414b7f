// What stands between the products of a transformer on a GPU, run by the CPU (emulated_gpu), against the
// CPU's functions.

#if defined(TWOFOLD_EMULATED_GPU_TESTS)

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/attention.h"
#include "kernels/cuda/step.h"
#include "kernels/ops.h"
#include "tensor/dtype.h"
#include "test_data.h"

namespace twofold {
namespace {

using device::StepValues;
using Kind = StepValues::Kind;
using Size = std::size_t;

std::vector<float> floats(Size n, Random& random, float magnitude = 1) {
  return random_floats(n, random, magnitude).values();
}

void expect_near(const std::vector<float>& found, const std::vector<float>& expected, float relative) {
  ASSERT_EQ(found.size(), expected.size());
  float largest = 0;
  for (const float value : expected) largest = std::max(largest, std::fabs(value));
  for (Size i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected[i], relative * largest) << i;
}

/// Inputs of a kind as the CPU computes them.
std::vector<float> values_of(const StepValues& in, Size tokens) {
  std::vector<float> result;
  for (Size t = 0; t < tokens; ++t) {
    std::vector<float> row(in.x + t * in.stride, in.x + t * in.stride + in.cols);
    if (in.kind == Kind::kNormed) scalar_ops().rms_norm(row.data(), in.other, in.eps, in.cols, row.data());
    if (in.kind == Kind::kGated) scalar_ops().swiglu(row.data(), in.other + t * in.stride, in.cols);
    result.insert(result.end(), row.begin(), row.end());
  }
  return result;
}

TEST(CudaStep, InputsAreTheCpusFloatsAndTheirInteger) {
  Random random(3);
  constexpr Size kTokens = 3;
  for (const auto kind : {Kind::kAsIs, Kind::kNormed, Kind::kGated}) {
    for (const std::uint32_t cols : {18U, 64U, 402U}) {
      for (const int variant : {0, 1, 2}) {
        SCOPED_TRACE(testing::Message() << static_cast<int>(kind) << ", " << cols << ", " << variant);
        const Size stride = cols + 5;
        const auto x = floats(kTokens * stride, random, 3);
        const auto other = floats(kTokens * stride, random, 3);
        const StepValues in = {kind, x.data(), other.data(), stride, cols, 1e-5F};
        std::vector<float> inverse = floats(cols, random, 2);
        std::vector<std::uint32_t> column(cols);
        for (std::uint32_t i = 0; i < cols; ++i) column[i] = (i * 5 + 2) % cols;
        const Size q_stride = align_up(cols);
        std::vector<std::int8_t> q(kTokens * q_stride, 99);
        std::vector<std::int32_t> sums(kTokens * q_stride / 64, 99);
        std::vector<float> steps(kTokens, 99);
        std::vector<float> found(kTokens * cols);
        const bool scaled = variant > 0;
        const float step = variant == 2 ? 0.02F : 0;
        device::prepare_input(in, found.data(),
                              {scaled ? column.data() : nullptr, scaled ? inverse.data() : nullptr, step,
                               q_stride, q.data(), sums.data(), steps.data()},
                              kTokens, nullptr);
        const auto expected = values_of(in, kTokens);
        if (kind == Kind::kAsIs) {
          found = expected;
        } else {
          expect_near(found, expected, 2e-6F);
        }
        // The integers are those of the floats that the kernel has.
        for (Size t = 0; t < kTokens; ++t) {
          std::vector<float> row(cols);
          for (Size i = 0; i < cols; ++i) row[i] = found[t * cols + (scaled ? column[i] : i)];
          const float* const by_place = scaled ? inverse.data() : nullptr;
          const float own = step > 0 ? step : scalar_ops().abs_max(row.data(), by_place, cols) / 127.0F;
          EXPECT_EQ(steps[t], own);
          std::vector<std::int8_t> integers(q_stride, 0);
          scalar_ops().quantize(row.data(), by_place, 1.0F / own, cols, integers.data());
          ASSERT_EQ(std::vector(&q[t * q_stride], &q[t * q_stride] + q_stride), integers);
          for (Size g = 0; g < q_stride / 64; ++g) {
            int sum = 0;
            for (Size i = 64 * g; i < 64 * g + 64; ++i) sum += integers[i];
            ASSERT_EQ(sums[t * q_stride / 64 + g], sum);
          }
        }
      }
    }
  }
}

TEST(CudaStep, ATokenOfZerosAndNanHasZerosOnly) {
  std::vector<float> x(128, 0);
  x[70] = std::nanf("");
  std::vector<std::int8_t> q(128, 9);
  std::vector<std::int32_t> sums(2, 9);
  std::vector<float> steps(2, 9);
  device::prepare_input({Kind::kAsIs, x.data(), nullptr, 64, 64, 0}, nullptr,
                        {nullptr, nullptr, 0, 64, q.data(), sums.data(), steps.data()}, 2, nullptr);
  EXPECT_EQ(q, std::vector<std::int8_t>(128, 0));
  EXPECT_EQ(sums, std::vector<std::int32_t>(2, 0));
  EXPECT_EQ(steps[0], 0);
}

TEST(CudaStep, ProductsBecomeFloats) {
  Random random(5);
  constexpr Size kTokens = 2;
  constexpr std::uint32_t kRows[] = {5, 300, 7};
  constexpr Size kAll = 312;
  const auto steps = floats(kTokens, random);
  const auto scale = floats(300, random);
  const auto bias = floats(300, random);
  std::vector<std::int32_t> sums(kTokens * 300);
  for (std::int32_t& sum : sums) sum = static_cast<std::int32_t>(random.below(1 << 20)) - (1 << 19);
  std::vector<float> y(kTokens * kAll, 0.5F);
  device::StepProducts linears[3];
  for (Size i = 0, before = 0; i < 3; before += kRows[i++]) {
    linears[i] = {sums.data(), steps.data(),     scale.data(), i != 0, i == 2 ? nullptr : bias.data(),
                  kRows[i],    y.data() + before};
  }
  for (const bool add : {false, true}) {
    std::vector<float> expected;
    for (Size t = 0; t < kTokens; ++t) {
      for (Size i = 0; i < 3; ++i) {
        for (Size r = 0; r < kRows[i]; ++r) {
          const float value = static_cast<float>(sums[t * kRows[i] + r]) * steps[t] * scale[i == 0 ? 0 : r] +
                              (i == 2 ? 0 : bias[r]);
          expected.push_back(add ? y[expected.size()] + value : value);
        }
      }
    }
    device::finish_products(linears, 3, kAll, add, kTokens, nullptr);
    expect_near(y, expected, 1e-6F);
  }
}

TEST(CudaStep, ProductsWithFloatsOfEveryType) {
  Random random(7);
  constexpr Size kTokens = 10;
  constexpr std::uint32_t kRows = 9;
  constexpr std::uint32_t kCols = 70;
  const auto x = floats(kTokens * kCols, random);
  const auto w = floats(kRows * kCols, random);
  const auto bias = floats(kRows, random);
  for (const auto type : {device::StepFloat::kF32, device::StepFloat::kF16, device::StepFloat::kBF16}) {
    std::vector<float> rounded = w;
    std::vector<std::uint16_t> bits;
    for (float& value : rounded) {
      if (type == device::StepFloat::kF16) value = f16_to_float(bits.emplace_back(float_to_f16(value)));
      if (type == device::StepFloat::kBF16) value = bf16_to_float(bits.emplace_back(float_to_bf16(value)));
    }
    const void* const weights = bits.empty() ? static_cast<const void*>(w.data()) : bits.data();
    std::vector<float> y(kTokens * kRows, 1);
    std::vector<float> expected;
    for (Size t = 0; t < kTokens; ++t) {
      for (Size r = 0; r < kRows; ++r)
        expected.push_back(1 + bias[r] + scalar_ops().dot(&x[t * kCols], &rounded[r * kCols], kCols));
    }
    device::multiply_floats({weights, type, kRows, kCols, bias.data()}, x.data(), kCols, y.data(), kRows,
                            true, kTokens, nullptr);
    expect_near(y, expected, 1e-6F);
  }
}

struct AttentionCase {
  std::uint32_t heads, kv_heads, dim, half, window, splits;
  bool norms, half_cache;
};

/// Two passes, of many tokens and of one, against the CPU.
void expect_attention(const AttentionCase& c) {
  SCOPED_TRACE(testing::Message() << c.dim << ", window " << c.window << ", splits " << c.splits);
  Random random(c.dim);
  constexpr std::uint32_t kCapacity = 40;
  constexpr std::uint32_t kPrompt = 19;
  const Size width = Size{c.heads + 2 * c.kv_heads} * c.dim;
  const float scale = 1 / std::sqrt(static_cast<float>(c.dim));
  const auto cosines = floats(Size{kCapacity} * c.half + 1, random);
  const auto sines = floats(Size{kCapacity} * c.half + 1, random);
  const auto q_norm = floats(c.dim, random);
  const auto k_norm = floats(c.dim, random);
  const Size cache_size = Size{c.kv_heads} * kCapacity * c.dim;
  std::vector<float> gpu_keys(cache_size), gpu_values(cache_size);  // halves take half of it
  std::vector<float> keys(cache_size), values(cache_size);          // the CPU's
  std::uint32_t position = 0;
  const device::StepCache cache = {gpu_keys.data(), gpu_values.data(), c.half_cache, kCapacity};
  const device::StepHeads heads = {c.heads, c.kv_heads, c.dim, &position};
  device::StepRotation rotation = {cosines.data(), sines.data(), c.half, nullptr, nullptr, 1e-5F, 1e-6F};
  if (c.norms) {
    rotation.q_norm = q_norm.data();
    rotation.k_norm = k_norm.data();
  }
  for (const std::uint32_t tokens : {kPrompt, 1U, 1U}) {
    std::vector<float> qkv = floats(tokens * width, random, 2);
    std::vector<float> expected_qkv = qkv;
    for (Size t = 0; t < tokens; ++t) {
      for (Size h = 0; h < c.heads + 2 * c.kv_heads; ++h) {
        float* const x = &expected_qkv[t * width + h * c.dim];
        const bool is_key = h >= c.heads;
        if (h < c.heads + c.kv_heads) {
          if (c.norms) {
            scalar_ops().rms_norm(x, is_key ? k_norm.data() : q_norm.data(), is_key ? 1e-6F : 1e-5F, c.dim,
                                  x);
          }
          const Size at = (position + t) * c.half;
          scalar_ops().rope(x, &cosines[at], &sines[at], c.half);
        }
        if (!is_key) continue;
        const Size head = (h - c.heads) % c.kv_heads;
        std::vector<float>& to = h < c.heads + c.kv_heads ? keys : values;
        std::copy(x, x + c.dim, &to[(head * kCapacity + position + t) * c.dim]);
      }
    }
    const Size queries = c.heads / c.kv_heads;
    std::vector<float> expected(Size{tokens} * c.heads * c.dim);
    AlignedVector<float> scratch;
    for (Size g = 0; g < c.kv_heads; ++g) {
      AttentionVariant variant;
      variant.window = c.window;
      attend(&expected_qkv[g * queries * c.dim], width, &keys[g * kCapacity * c.dim],
             &values[g * kCapacity * c.dim], c.dim, position, tokens, queries, c.dim, scale, scratch,
             &expected[g * queries * c.dim], Size{c.heads} * c.dim, 1, variant);
    }
    std::vector<float> partial(Size{tokens} * c.heads * c.splits * (c.dim + 2));
    std::vector<float> out(expected.size());
    device::append_heads(heads, rotation, qkv.data(), cache, tokens, nullptr);
    device::attend_heads(heads, {scale, c.window, c.splits, partial.data()}, qkv.data(), cache, out.data(),
                         tokens, nullptr);
    expect_near(out, expected, c.half_cache ? 2e-3F : 5e-6F);
    position += tokens;
  }
  if (c.half_cache) return;
  for (Size g = 0; g < c.kv_heads; ++g) {
    const auto of_head = [&](const std::vector<float>& all) {
      const auto begin = all.begin() + static_cast<std::ptrdiff_t>(g * kCapacity * c.dim);
      return std::vector<float>(begin, begin + static_cast<std::ptrdiff_t>(Size{position} * c.dim));
    };
    expect_near(of_head(gpu_keys), of_head(keys), 1e-6F);
    EXPECT_EQ(of_head(gpu_values), of_head(values));
  }
}

TEST(CudaStep, AttentionIsThatOfTheCpu) {
  expect_attention({4, 2, 16, 8, 0, 1, false, false});
  expect_attention({2, 2, 70, 20, 9, 2, true, false});
  expect_attention({3, 1, 128, 64, 0, 4, false, true});
  expect_attention({2, 1, 256, 0, 12, 2, true, false});
}

}  // namespace
}  // namespace twofold

#endif
