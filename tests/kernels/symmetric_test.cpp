#include "kernels/symmetric.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/random.h"

namespace twofold {
namespace {

struct Moments {
  std::size_t n;
  std::size_t tokens;
  std::vector<float> x;

  Moments(std::size_t cols, std::size_t rows) : n(cols), tokens(rows) {
    Random random(3);
    for (std::size_t i = 0; i < n * tokens; ++i) x.push_back(static_cast<float>(random.uniform() - 0.4));
  }
};

TEST(Gram, IsTheProductOfTheColumns) {
  const Moments m(300, 50);
  ThreadPool pool(2);
  std::vector<float> gram(m.n * m.n, 0.0F);
  add_gram(m.x.data(), 20, m.n, gram.data(), pool);
  add_gram(m.x.data() + 20 * m.n, 30, m.n, gram.data(), pool);
  for (std::size_t i = 0; i < m.n; i += 7) {
    for (std::size_t j = 0; j <= i; j += 5) {
      double sum = 0;
      for (std::size_t t = 0; t < m.tokens; ++t) sum += double{m.x[t * m.n + i]} * m.x[t * m.n + j];
      ASSERT_NEAR(gram[i * m.n + j], sum, 1e-4);
    }
  }
}

TEST(Cholesky, FactorGivesTheMatrixBackWhateverTheThreads) {
  const Moments m(300, 400);
  ThreadPool pool(3);
  std::vector<float> gram(m.n * m.n, 0.0F);
  add_gram(m.x.data(), m.tokens, m.n, gram.data(), pool);
  std::vector<float> l = gram;
  ASSERT_TRUE(cholesky(l.data(), m.n, pool));
  for (std::size_t i = 0; i < m.n; i += 7) {
    for (std::size_t j = 0; j <= i; j += 5) {
      double sum = 0;
      for (std::size_t k = 0; k <= j; ++k) sum += double{l[i * m.n + k]} * l[j * m.n + k];
      ASSERT_NEAR(gram[i * m.n + j], sum, 1e-3);
    }
  }
  ThreadPool alone(1);
  std::vector<float> again = gram;
  ASSERT_TRUE(cholesky(again.data(), m.n, alone));
  EXPECT_EQ(again, l);
}

TEST(Cholesky, SaysWhenAMatrixIsNotPositiveDefinite) {
  ThreadPool pool(1);
  std::vector<float> a = {1, 0, 2, 1};  // [[1, 2], [2, 1]]
  EXPECT_FALSE(cholesky(a.data(), 2, pool));
  a = {NAN};
  EXPECT_FALSE(cholesky(a.data(), 1, pool));
}

}  // namespace
}  // namespace twofold
