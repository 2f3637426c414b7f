#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/thread_pool.h"
#include "format/container.h"
#include "model/model_spec.h"
#include "tensor/checkpoint.h"
#include "tensor/tensor_floats.h"

namespace twofold::testing {

struct CodedModelOptions {
  bool input_scales = false;  // 1 to 16, so that columns differ
  bool plain_head = false;    // the head stays as it is
};

/// Writes an original model as a Twofold directory: its linear layers, head and embedding as INT8 with a step
/// per row, by the codec.
inline void write_coded_model(const std::filesystem::path& source, const std::filesystem::path& destination,
                              const std::string& codec, const CodedModelOptions& options = {}) {
  const Checkpoint checkpoint(source);
  ModelSpec spec = load_model_spec(source);
  resolve_names(spec, [&](const std::string& name) { return checkpoint.contains(name); });
  std::set<std::string> coded = {spec.embedding, spec.head.weight()};
  for (const LayerSpec& layer : spec.layers) {
    for (const LinearSpec* linear : layer.linears()) coded.insert(linear->weight());
  }
  if (options.plain_head) coded.erase(spec.head.weight());
  std::vector<std::string> names;
  for (const auto& [name, tensor] : checkpoint.tensors()) names.push_back(name);
  ContainerWriter writer(destination, names, std::uint64_t{1} << 40);
  ThreadPool pool(1);
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    if (!coded.contains(name)) {
      writer.add_plain(tensor);
      continue;
    }
    CodedTensorParts parts;
    parts.name = name;
    parts.rows = tensor.shape.at(0);
    parts.cols = tensor.shape.at(1);
    std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
    read_floats(tensor, 0, values);
    std::vector<std::int8_t> weights(values.size());
    const auto cols = static_cast<std::size_t>(parts.cols);
    for (std::size_t i = 0; options.input_scales && i < cols; ++i) {
      parts.input_scale.push_back(std::exp2(static_cast<float>(i * 7 % 5)));
      for (std::size_t at = i; at < values.size(); at += cols) values[at] *= parts.input_scale[i];
    }
    for (std::size_t row = 0; row < values.size(); row += cols) {
      float largest = 1e-6F;
      for (std::size_t i = row; i < row + cols; ++i) largest = std::max(largest, std::fabs(values[i]));
      parts.scale.push_back(largest / 127);
      for (std::size_t i = row; i < row + cols; ++i)
        weights[i] = static_cast<std::int8_t>(std::lround(values[i] / largest * 127));
    }
    writer.add_coded(parts, weights, find_codec(codec), pool);
  }
  writer.commit(read_json_file(source / "config.json", 1 << 20), {{"activations", "per-token"}});
}

}  // namespace twofold::testing
