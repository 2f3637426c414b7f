#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "format/container.h"
#include "model/model_spec.h"

namespace twofold {

class ThreadPool;

/// A coded weight of a model and what it would take in each codec.
struct TensorCost {
  std::string name;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t layer = -1;  // -1: not in one
  double uses = 1;          // products with it in a token's pass: fewer than 1 of an expert
  bool lookup = false;      // an embedding: a chunk is decoded for each token, nothing multiplied
  std::int64_t call_members =
      1;  // weights that are multiplied with the same input in one call, this among them
  std::int64_t chunk_weights = 0;  // of the largest chunk
  std::size_t stored = 0;          // the codec it has, in ModelCosts::codecs
  std::vector<std::uint64_t>
      bytes;  // in each of ModelCosts::codecs, with tables, scales and its part of the index
  std::vector<double> time_factor;  // of its products' time in each, to that of the profile; empty: 1

  std::uint64_t weights() const {
    return static_cast<std::uint64_t>(rows) * static_cast<std::uint64_t>(cols);
  }
  double bits_per_weight(std::size_t codec) const {
    return 8 * static_cast<double>(bytes[codec]) / static_cast<double>(weights());
  }
};

/// A Twofold directory as the planner sees it.
struct ModelCosts {
  std::string directory;
  ModelSpec spec;
  std::vector<std::string> codecs;  // raw first
  std::vector<TensorCost> tensors;  // in the order in which a pass uses them
  std::uint64_t plain_bytes = 0;    // of all tensors that are not coded
  std::uint64_t plain_read = 0;     // of these, the linear layers that every token reads

  std::size_t codec_index(std::string_view name) const;  // throws Error when it is not among them
};

/// Reads a Twofold directory. The size in the codec it has is exact, and so is raw; the others are found by
/// coding a sample of each tensor's chunks (all of a tensor of up to a million weights), which tells them to
/// within 1 %.
ModelCosts load_model_costs(const std::filesystem::path& directory, const std::vector<std::string>& codecs,
                            ThreadPool& pool, const std::function<void(double)>& progress);

}  // namespace twofold
