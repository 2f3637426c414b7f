#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace twofold {

/// Rates of one chunk's way in the paper's model (Wang et al., arXiv 2502.15443, eq. 5-6): `bytes` of INT8
/// weights, stored in bytes / ratio.
struct ChunkRates {
  double bytes = 0;    // C
  double ratio = 1;    // CR
  double access = 0;   // B, coded bytes per second
  double decode = 0;   // D, decoded bytes per second; 0: nothing is decoded
  double compute = 0;  // I, weights per second
};

/// B of several hops that do not overlap: 1/B is the sum of their 1/B.
double serial_access(std::span<const double> hops);
/// B of hops that overlap: the slowest.
double overlapped_access(std::span<const double> hops);

/// Eq. 5: T = sum of C/(CR B) + C/D + C/I.
double serial_seconds(std::span<const ChunkRates> chunks);

/// Eq. 6: reading, decoding and computing overlap over the chunks. The largest of the three sums, and what
/// the first chunk needs before the slowest stage has something to do and the last one after it.
double pipelined_seconds(std::span<const ChunkRates> chunks);

/// One tensor of a token's pass, in the order in which they run.
struct PassStep {
  double compute = 0;       // seconds
  double io = 0;            // seconds to read it from storage, 0 when it is in memory
  std::uint64_t bytes = 0;  // it takes in the buffer while it is there, when io > 0
};

/// Seconds of a token when passes follow each other: one thread reads the tensors that come from storage, in
/// order and as soon as the buffer has room, also those of the next token, while the others compute; a tensor
/// that is larger than the buffer is read alone, while nothing else is in the buffer. All resident: the sum
/// of `compute`. All from storage: the sum of `io` or of `compute`, and what cannot overlap.
double pass_seconds(std::span<const PassStep> steps, std::uint64_t buffer_bytes);

}  // namespace twofold
