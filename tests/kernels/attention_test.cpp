#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/ops.h"
#include "kernels/test_data.h"

namespace twofold {
namespace {

/// `tokens` queries after `position` cached positions; every pointer and stride as the engine lays them out.
struct Case {
  std::size_t position, tokens, kv_heads, heads, head_dim;
  float scale;
  std::size_t width, kv_width;
  Exact<float> q, keys, values;

  Case(std::size_t position_, std::size_t tokens_, std::size_t kv_heads_, std::size_t heads_,
       std::size_t head_dim_, std::uint64_t seed, float magnitude = 2.0F)
      : position(position_),
        tokens(tokens_),
        kv_heads(kv_heads_),
        heads(heads_),
        head_dim(head_dim_),
        scale(1.0F / std::sqrt(static_cast<float>(head_dim_))),
        width(kv_heads * heads * head_dim),
        kv_width(kv_heads * head_dim),
        q(0),
        keys(0),
        values(0) {
    Random random(seed);
    q = random_floats(tokens * width, random, magnitude);
    keys = random_floats((position + tokens) * kv_width, random, magnitude);
    values = random_floats((position + tokens) * kv_width, random, 1.0F);
  }

  /// Key heads [first, first + count) for tokens [begin, end) of the block.
  void run(std::size_t first, std::size_t count, std::size_t begin, std::size_t end,
           Exact<float>& out) const {
    AlignedVector<float> scratch;
    const std::size_t offset = begin * width + first * heads * head_dim;
    attend(q.data() + offset, width, keys.data() + first * head_dim, values.data() + first * head_dim,
           kv_width, position + begin, end - begin, heads, head_dim, scale, scratch, out.data() + offset,
           width, count);
  }

  Exact<float> whole() const {
    Exact<float> out(tokens * width);
    run(0, kv_heads, 0, tokens, out);
    return out;
  }

  double reference(std::size_t t, std::size_t head, std::size_t i) const {
    const std::size_t kv_offset = head / heads * head_dim;
    std::vector<double> s(position + t + 1);
    double max = -INFINITY;
    for (std::size_t j = 0; j < s.size(); ++j) {
      for (std::size_t x = 0; x < head_dim; ++x) {
        s[j] += double{q[t * width + head * head_dim + x]} * keys[j * kv_width + kv_offset + x];
      }
      s[j] *= scale;
      max = std::max(max, s[j]);
    }
    double sum = 0;
    double mixed = 0;
    for (std::size_t j = 0; j < s.size(); ++j) {
      sum += std::exp(s[j] - max);
      mixed += std::exp(s[j] - max) * values[j * kv_width + kv_offset + i];
    }
    return mixed / sum;
  }

  void expect_reference() const {
    const auto out = whole();
    for (std::size_t t = 0; t < tokens; t += 1 + tokens / 9) {
      for (std::size_t head = 0; head < kv_heads * heads; ++head) {
        for (std::size_t i = 0; i < head_dim; i += 1 + head_dim / 7) {
          ASSERT_NEAR(out[t * width + head * head_dim + i], reference(t, head, i), 2e-5)
              << "position " << position << " + " << t << ", head " << head << ", element " << i;
        }
      }
    }
  }
};

TEST(Attention, OneTokenAgainstTheDefinition) {
  for (std::size_t position : {0, 1, 30, 31, 32, 33, 255, 256, 300, 1000}) {
    Case(position, 1, 2, 1, 64, position).expect_reference();
    Case(position, 1, 3, 4, 24, position).expect_reference();
  }
}

TEST(Attention, PromptsAgainstTheDefinition) {
  Case(0, 1, 1, 1, 8, 1).expect_reference();
  Case(0, 300, 2, 2, 32, 2).expect_reference();
  Case(0, 5, 1, 3, 16, 3).expect_reference();
  Case(250, 20, 2, 1, 40, 4).expect_reference();   // over the edge of a block of keys
  Case(700, 64, 1, 8, 128, 5).expect_reference();  // after a long cache
  Case(3, 40, 2, 2, 5, 6).expect_reference();      // heads smaller than a vector
}

TEST(Attention, MoreQueryHeadsThanOneBatchOfFewRows) {
  Case(100, 1, 1, 71, 64, 7).expect_reference();
}

TEST(Attention, ScoresFarBeyondTheRangeOfExp) {
  const Case s(600, 1, 1, 2, 64, 8, 40.0F);  // scores of some thousand
  s.expect_reference();
  const Case prompt(0, 300, 1, 2, 64, 9, 40.0F);
  const auto out = prompt.whole();
  for (std::size_t i = 0; i < out.size(); ++i) ASSERT_TRUE(std::isfinite(out[i]));
}

TEST(Attention, LaterPositionsHaveNoInfluence) {
  Case s(10, 40, 1, 2, 16, 10);
  const auto before = s.whole();
  for (std::size_t i = (10 + 20) * s.kv_width; i < s.keys.size(); ++i) {
    s.keys[i] = 50.0F;
    s.values[i] = -1000.0F;
  }
  const auto after = s.whole();
  for (std::size_t i = 0; i < 20 * s.width; ++i) ASSERT_EQ(before[i], after[i]);
  EXPECT_NE(before[20 * s.width], after[20 * s.width]);
}

TEST(Attention, SplitHeadsEqualAllHeadsBitForBit) {
  for (std::size_t tokens : {1, 40}) {
    const Case s(500, tokens, 4, 2, 32, 11);
    Exact<float> out(tokens * s.width);
    s.run(0, 1, 0, tokens, out);
    s.run(1, 3, 0, tokens, out);
    EXPECT_TRUE(out.values() == s.whole().values()) << tokens << " tokens";
  }
}

TEST(Attention, SplitPromptsEqualTheWholeBitForBit) {
  const Case s(230, 100, 1, 4, 32, 12);
  for (std::size_t cut : {4, 25, 26, 27, 28, 29, 60}) {  // each part with more than kFewRows rows
    Exact<float> out(s.tokens * s.width);
    s.run(0, 1, 0, cut, out);
    s.run(0, 1, cut, s.tokens, out);
    EXPECT_TRUE(out.values() == s.whole().values()) << "cut at " << cut;
  }
}

TEST(Attention, WindowSoftCapAndBiasChangeTheScores) {
  for (const std::size_t window : {0, 1, 5, 70, 300}) {
    for (const std::size_t tokens : {1, 40}) {  // both orders of summation
      Case s(290, tokens, 1, 2, 8, 17);
      Random random(3);
      const std::size_t length = s.position + s.tokens;
      const Exact<float> bias = random_floats(2 * length, random, 1.0F);
      const AttentionVariant variant{1.5F, window, bias.data(), length, 0.5F};
      // What lies before the first token's window must not be read.
      const std::size_t unseen = window > 0 ? s.position + 1 - std::min(window, s.position + 1) : 0;
      std::fill_n(s.keys.data(), unseen * s.kv_width, NAN);
      std::fill_n(s.values.data(), unseen * s.kv_width, NAN);
      Exact<float> out(tokens * s.width);
      AlignedVector<float> scratch;
      attend(s.q.data(), s.width, s.keys.data(), s.values.data(), s.kv_width, s.position, tokens, 2, 8,
             s.scale, scratch, out.data(), s.width, 1, variant);
      for (std::size_t t = 0; t < tokens; ++t) {
        for (std::size_t head = 0; head < 2; ++head) {
          const std::size_t end = s.position + t + 1;
          double sum = 0;
          std::vector<double> mixed(8);
          for (std::size_t j = window > 0 && end > window ? end - window : 0; j < end; ++j) {
            double score = 0;
            for (std::size_t i = 0; i < 8; ++i) {
              score += static_cast<double>(s.q.data()[t * s.width + head * 8 + i]) * s.keys.data()[j * 8 + i];
            }
            score = 1.5 * std::tanh(s.scale * score / 1.5) + 0.5 * bias.data()[head * length + j];
            sum += std::exp(score);
            for (std::size_t i = 0; i < 8; ++i) mixed[i] += std::exp(score) * s.values.data()[j * 8 + i];
          }
          for (std::size_t i = 0; i < 8; ++i)
            ASSERT_NEAR(out.data()[t * s.width + head * 8 + i], mixed[i] / sum, 1e-5) << window << " " << t;
        }
      }
    }
  }
}

TEST(Attention, ScratchDoesNotGrowWithTheSequence) {
  const Case s(2000, 2, 1, 2, 16, 13);
  AlignedVector<float> scratch;
  Exact<float> out(s.tokens * s.width);
  attend(s.q.data(), s.width, s.keys.data(), s.values.data(), s.kv_width, s.position, s.tokens, s.heads,
         s.head_dim, s.scale, scratch, out.data(), s.width);
  EXPECT_LE(scratch.size(), 4U * (2 * 16 + 258));
}

}  // namespace
}  // namespace twofold
