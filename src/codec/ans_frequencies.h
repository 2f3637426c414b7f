#pragma once

#include <cstdint>
#include <vector>

#include "codec/bit_stream.h"

namespace twofold {

/// Frequencies >= 1 with the sum `total` that make -sum(count * log2(frequency)) smallest. At most `total`
/// counts, all positive.
std::vector<int> optimal_frequencies(const std::vector<double>& counts, int total);

// A list of frequencies as bits. Each is coded by its class, the number of bits of f (0 for 0), relative to
// that of the one before (1 before the first), because histograms of weights are smooth:
//   0       the same class
//   10s     one more (s = 0) or one less (s = 1)
//   11cccc  class cccc
// and then the class - 1 bits of f below its leading one. Bits are stored lowest first.

class FrequencyWriter {
 public:
  explicit FrequencyWriter(BitWriter& bits) : bits_(bits) {}
  void put(std::uint32_t frequency);

 private:
  BitWriter& bits_;
  int previous_ = 1;
};

class FrequencyReader {
 public:
  /// Frequencies have at most `max_class` bits.
  FrequencyReader(BitReader& bits, int max_class) : bits_(bits), max_class_(max_class) {}
  /// The next frequency; an Error when there is none.
  std::uint32_t get();

 private:
  BitReader& bits_;
  int max_class_;
  int previous_ = 1;
};

}  // namespace twofold
