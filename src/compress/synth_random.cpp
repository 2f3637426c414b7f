#include "compress/synth_random.h"

#include <array>
#include <bit>
#include <cmath>
#include <numbers>

#include "base/file.h"
#include "base/hash.h"
#include "base/random.h"

namespace twofold {

namespace {

// Fitted to the attention matrices of GPT-2 small (768 x 768, even layers) and the linear layers of
// books-llama-8m (hidden size 256), mean over matrices, GPT-2 / books:
//   standard deviation of the log of the channels' root mean squares      0.13 / 0.10
//   the same of the rows, once the channels are even                      0.23 / 0.11
//   kurtosis, once channels and rows are even (normal: 3)                 3.66 / 2.92
//   root mean square of a matrix times sqrt(cols)                         3.8 / 0.72
// The kurtosis is GPT-2's: in a small model trained for a short time it has not grown yet. The size is the
// Llama's: GPT-2's norms are small to match.
constexpr double kChannelSigma = 0.10;
constexpr double kRowSigma = 0.16;
constexpr double kTail = 0.04;  // h of Tukey's g-and-h distribution: kurtosis 3 (1-2h)^3 / (1-4h)^2.5 = 3.6
constexpr double kWeightSize = 0.7;

// Fitted to the channel maxima of OPT-125M and OPT-1.3B and of books-llama-8m on its own text:
//   behind a norm (q, k, v, gate, up): log-normal of 0.09-0.11; OPT: 0.3-0.6 % of the channels above three
//   times the median, 5.5-6 times on average, the largest 9-14 times
//   behind a product (o, down): log-normal of 0.32-0.42; o: 0-2 % above three times the median, the largest
//   2.8-4.4 times, which the log-normal gives by itself
constexpr double kNormedSigma = 0.10;
constexpr double kOutlierShare = 0.004;
constexpr double kOutlierSize = 5.5;
constexpr double kOutlierSigma = 0.4;
constexpr double kProductSigma = 0.4;

/// z <= 0 with P(Z < z) = p for a normal Z, 0 < p <= 1/2. Newton's method on log P: concave, and the start
/// is left of the root, so every step comes closer.
double normal_quantile(double p) {
  double z = -std::sqrt(-2 * std::log(p));  // P(Z < -x) <= exp(-x^2 / 2) / 2
  const double log_p = std::log(p);
  for (int i = 0; i < 30; ++i) {
    const double below = 0.5 * std::erfc(-z / std::numbers::sqrt2);
    const double density = std::exp(-0.5 * z * z) / std::sqrt(2 * std::numbers::pi);
    const double move = (log_p - std::log(below)) * below / density;
    z += move;
    if (std::fabs(move) < 1e-9) break;
  }
  return z;
}

/// Tukey's h distribution, Z exp(h Z^2 / 2) of a normal Z, made to have variance 1: heavier tails than
/// normal, and a quantile function at hand.
double heavy_tailed(double z) {
  static const double deviation = std::pow(1 - 2 * kTail, -0.75);
  return z * std::exp(kTail * z * z / 2) / deviation;
}

/// Draws from that distribution by its quantile function, piecewise linear but for the last 1/2048, where
/// it is computed.
class HeavyTailed {
 public:
  HeavyTailed() {
    for (std::size_t i = 1; i < kPieces; ++i) {
      const double base = -heavy_tailed(normal_quantile(static_cast<double>(i) / (2 * kPieces)));
      const double next = -heavy_tailed(normal_quantile(static_cast<double>(i + 1) / (2 * kPieces)));
      pieces_[i] = {static_cast<float>(base), static_cast<float>((next - base) * 0x1p-20)};
    }
  }

  /// `bits` uniform: a sign and 31 bits of the probability of something larger.
  float operator()(std::uint32_t bits) const {
    const std::uint32_t piece = bits >> 20 & (kPieces - 1);
    const std::uint32_t sign = bits & 0x80000000U;
    float x;
    if (piece != 0) [[likely]] {
      x = pieces_[piece].base + pieces_[piece].slope * static_cast<float>(bits & 0xfffffU);
    } else {
      x = static_cast<float>(-heavy_tailed(normal_quantile(((bits & 0xfffffU) + 0.5) * 0x1p-32)));
    }
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(x) | sign);  // x >= 0
  }

 private:
  static constexpr std::uint32_t kPieces = 2048;
  struct Piece {
    float base, slope;
  };
  std::array<Piece, kPieces> pieces_ = {};
};

const HeavyTailed& heavy_tailed_draw() {
  static const HeavyTailed draw;
  return draw;
}

double normal(Random& random) {
  const double u = (static_cast<double>(random.next() >> 11) + 0.5) * 0x1p-53;
  return u <= 0.5 ? normal_quantile(u) : -normal_quantile(1 - u);
}

std::uint64_t stream(std::uint64_t seed, std::string_view key, std::string_view what) {
  // Mixed twice, since SplitMix64 streams with seeds close together would be one shifted.
  return Random(Random(seed).next() ^ xxh3(as_bytes(std::string(key) + '/' + std::string(what)))).next();
}

}  // namespace

std::vector<float> synth_spread(std::uint64_t seed, std::string_view key, double sigma, std::size_t count) {
  Random random(stream(seed, key, "spread"));
  std::vector<float> factors(count);
  for (float& factor : factors) factor = static_cast<float>(std::exp(sigma * normal(random)));
  return factors;
}

std::vector<float> synth_channel_maxima(std::uint64_t seed, std::string_view key, SynthInput input,
                                        std::size_t channels) {
  if (input == SynthInput::kProduct) return synth_spread(seed, key, kProductSigma, channels);
  std::vector<float> maxima = synth_spread(seed, key, kNormedSigma, channels);
  // So many of every so many channels, not a coin for each: small matrices differ less from each other.
  Random random(stream(seed, key, "outliers"));
  const auto outliers = static_cast<std::size_t>(std::ceil(kOutlierShare * static_cast<double>(channels)));
  for (std::size_t i = 0; i < outliers; ++i) {
    const double size = kOutlierSize * std::exp(kOutlierSigma * normal(random));
    maxima[random.below(channels)] = static_cast<float>(size);
  }
  return maxima;
}

SynthMatrix::SynthMatrix(std::uint64_t seed, std::string_view name, std::int64_t cols)
    : key_(stream(seed, name, "rows")),
      channel_scale_(synth_spread(seed, name, kChannelSigma, static_cast<std::size_t>(cols))) {
  const auto size = static_cast<float>(kWeightSize / std::sqrt(static_cast<double>(cols)));
  for (float& scale : channel_scale_) scale *= size;
}

void SynthMatrix::row(std::int64_t i, float* out) const {
  const HeavyTailed& draw = heavy_tailed_draw();
  Random random(Random(key_ ^ static_cast<std::uint64_t>(i)).next());
  const auto row_scale = static_cast<float>(std::exp(kRowSigma * normal(random)));
  const std::size_t cols = channel_scale_.size();
  std::size_t j = 0;
  for (; j + 1 < cols; j += 2) {
    const std::uint64_t bits = random.next();
    out[j] = draw(static_cast<std::uint32_t>(bits));
    out[j + 1] = draw(static_cast<std::uint32_t>(bits >> 32));
  }
  if (j < cols) out[j] = draw(static_cast<std::uint32_t>(random.next()));
  for (j = 0; j < cols; ++j) out[j] *= row_scale * channel_scale_[j];
}

}  // namespace twofold
