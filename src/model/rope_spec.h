#pragma once

#include <cstdint>
#include <vector>

namespace twofold {

/// A rotary embedding (Su et al. 2021): the first `dims` channels of a head turn by p * frequency_i at
/// position p, the channels i and i + dims / 2 together.
struct RopeSpec {
  enum class Scaling {
    kNone,
    kLinear,    // positions divided by `factor`
    kDynamic,   // theta grows with the text once it is longer than original_positions ("NTK-aware")
    kLlama3,    // low frequencies divided by `factor`, high ones kept
    kYarn,      // the same by counting rotations (Peng et al., arXiv 2309.00071)
    kLongRope,  // a divisor for each frequency, one set up to original_positions, one beyond (arXiv
                // 2402.13753)
  };
  std::int64_t dims = 0;  // even, at most head_dim
  double theta = 10000;
  Scaling scaling = Scaling::kNone;
  double factor = 1;
  std::int64_t original_positions = 0;  // context before scaling
  double low_freq_factor = 1;           // kLlama3
  double high_freq_factor = 4;          // kLlama3
  double beta_fast = 32;                // kYarn, rotations in the original context
  double beta_slow = 1;                 // kYarn
  bool truncate = true;                 // kYarn, its range of channels made whole
  std::vector<float> short_divisors;    // kLongRope, [dims / 2]
  std::vector<float> long_divisors;     // kLongRope, [dims / 2]
  float magnitude = 1;                  // cosines and sines are multiplied by this

  /// Whether the frequencies differ between short and long texts.
  bool depends_on_length() const { return scaling == Scaling::kDynamic || scaling == Scaling::kLongRope; }
  /// Frequencies [dims / 2], in radians per token, for a text of `length` tokens. In float, step by step, as
  /// the reference implementation computes them: at large positions the rounding of the angle is visible in
  /// the logits.
  std::vector<float> frequencies(std::int64_t length) const;
};

}  // namespace twofold
