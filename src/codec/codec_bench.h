#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "codec/codec.h"

namespace twofold {

/// A matrix of INT8 weights to measure the codecs on.
struct BenchMatrix {
  std::span<const std::int8_t> weights;  // row-major
  std::int64_t cols = 0;
};

/// Calls its argument with one matrix after the other; only the one at hand need be in memory.
using BenchSource = std::function<void(const std::function<void(const BenchMatrix&)>&)>;

/// What a codec makes of all matrices. Speeds are INT8 weights (bytes) per second on one thread.
struct CodecFigures {
  std::string name;
  std::uint64_t weights = 0;
  std::uint64_t coded_bytes = 0;  // all chunks and tables
  std::uint64_t table_bytes = 0;
  double entropy_bits_per_weight = 0;  // the bound: order-0 entropy of each matrix by itself
  double encode_bytes_per_second = 0;
  double decode_bytes_per_second = 0;

  double compression_ratio() const;  // INT8 bytes / coded bytes
  double bits_per_weight() const;
  double over_entropy() const;  // bits_per_weight / entropy - 1
};

struct BenchOptions {
  std::int64_t weights_per_chunk = 65536;  // rounded down to whole rows, at least one
  int repetitions = 5;                     // >= 1; of each matrix's decoding, the median counts
};

/// Calls `source` once, codes and decodes every matrix with each codec, and compares what comes back: a
/// difference is an Error. Encoding is timed once, with the table.
std::vector<CodecFigures> measure_codecs(std::span<const Codec* const> codecs, const BenchSource& source,
                                         const BenchOptions& options = {});

}  // namespace twofold
