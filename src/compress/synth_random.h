#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace twofold {

/// Where the input of a linear layer comes from: it decides how its channels differ.
enum class SynthInput {
  kNormed,   // from a norm: nearly alike, but for a few outliers
  kProduct,  // from attention or the gated product: widely spread, hardly an outlier
};

/// max |x_j| of each input channel over a text, with the median 1; what `key` names has the same channels
/// wherever it is asked for.
std::vector<float> synth_channel_maxima(std::uint64_t seed, std::string_view key, SynthInput input,
                                        std::size_t channels);

/// Log-normal factors with the median 1.
std::vector<float> synth_spread(std::uint64_t seed, std::string_view key, double sigma, std::size_t count);

/// A random weight matrix with the distributions of real ones. Any row can be made at any time, by any
/// thread: element (i, j) depends on the seed, the tensor's name, i and j only.
class SynthMatrix {
 public:
  SynthMatrix(std::uint64_t seed, std::string_view name, std::int64_t cols);

  /// out [cols]. Weights have a root mean square of about 0.7 / sqrt(cols).
  void row(std::int64_t i, float* out) const;

 private:
  std::uint64_t key_;
  std::vector<float> channel_scale_;
};

}  // namespace twofold
