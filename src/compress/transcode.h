#pragma once

#include <cstdint>
#include <filesystem>

#include "compress/codec_plan.h"

namespace twofold {

struct TranscodeOptions {
  std::filesystem::path source;       // a Twofold directory
  std::filesystem::path destination;  // must not exist
  CodecPlan plan;
  std::uint64_t max_shard_bytes = 5'000'000'000;
  int threads = 0;
};

struct TranscodeReport {
  std::uint64_t coded_tensors = 0;
  std::uint64_t weights = 0;       // in coded tensors
  std::uint64_t bytes_before = 0;  // stored for them, with tables, index, scales
  std::uint64_t bytes_after = 0;
  std::uint64_t source_bytes = 0;  // whole directory
  std::uint64_t stored_bytes = 0;  // whole directory
  double seconds = 0;
};

/// Writes a Twofold directory with the same integers, scales and other tensors in other codecs. The source is
/// verified first, so that damage does not get new checksums. One tensor is in memory at a time. The
/// destination appears when everything is written, or not at all. Throws Error when the plan names a tensor
/// that the source does not have coded.
TranscodeReport transcode_model(const TranscodeOptions& options);

}  // namespace twofold
