#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace twofold {

/// What one weight tensor takes, and what it could.
struct TensorSize {
  std::string name;
  std::vector<std::int64_t> shape;
  std::string stored_as;  // codec ("ans") or dtype ("BF16")
  bool coded = false;
  std::uint64_t elements = 0;
  std::uint64_t bytes = 0;     // stored, with table, index, scales and padding
  double bits_per_weight = 0;  // 8 * bytes / elements
  double cr = 0;               // INT8 bytes / stored bytes; 0 when not coded
  double zeros = 0;            // share of zero weights
  double entropy = 0;          // order-0, bits per weight; coded tensors only
};

struct SizeReport {
  std::vector<TensorSize> tensors;  // in order of name
  std::uint64_t elements = 0;
  std::uint64_t fp16_bytes = 0;    // 2 bytes for every parameter
  std::uint64_t int8_bytes = 0;    // 1 byte for every parameter that is coded, the rest as stored
  std::uint64_t stored_bytes = 0;  // all tensors
  std::uint64_t coded_elements = 0;
  std::uint64_t coded_bytes = 0;
  double coded_entropy = 0;           // order-0 of each coded tensor, weighted, bits per weight
  std::uint64_t directory_bytes = 0;  // every file of the directory
};

/// Reads and decodes every tensor of an original or Twofold directory.
SizeReport measure_sizes(const std::filesystem::path& directory);

}  // namespace twofold
