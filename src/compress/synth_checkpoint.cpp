// A synthetic model as an original: a Hugging Face directory in BF16.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/aligned.h"
#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "compress/synth_writers.h"
#include "tensor/safetensors.h"

namespace twofold {

namespace {

constexpr std::size_t kBlockWeights = 1 << 20;  // made by one thread before they are written

/// The tensors of each file, as many as fit.
std::vector<std::span<const SynthTensor>> split_shards(std::span<const SynthTensor> tensors,
                                                       std::uint64_t max_bytes) {
  std::vector<std::span<const SynthTensor>> shards;
  std::size_t begin = 0;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::uint64_t size = 2 * tensors[i].elements();
    if (i > begin && bytes + size > max_bytes) {
      shards.push_back(tensors.subspan(begin, i - begin));
      begin = i;
      bytes = 0;
    }
    bytes += size;
  }
  shards.push_back(tensors.subspan(begin));
  return shards;
}

void write_matrix(const SynthTensor& tensor, std::uint64_t seed, ThreadPool& pool,
                  SafetensorsWriter& writer) {
  const auto rows = static_cast<std::size_t>(tensor.rows);
  const auto cols = static_cast<std::size_t>(tensor.cols);
  const std::size_t block =
      std::min(rows, static_cast<std::size_t>(pool.size()) * std::max<std::size_t>(1, kBlockWeights / cols));
  AlignedVector<std::uint8_t> bytes(block * cols * 2);
  for (std::size_t first = 0; first < rows; first += block) {
    check_interrupt();
    const std::size_t count = std::min(block, rows - first);
    synth_rows(tensor, seed, first, count, pool, bytes.data());
    writer.write({bytes.data(), count * cols * 2});
  }
}

}  // namespace

void synth_rows(const SynthTensor& tensor, std::uint64_t seed, std::size_t first, std::size_t count,
                ThreadPool& pool, std::uint8_t* out) {
  const SynthMatrix matrix(seed, tensor.name, tensor.cols);
  const auto cols = static_cast<std::size_t>(tensor.cols);
  pool.run(count, [&](std::size_t begin, std::size_t end, int) {
    std::vector<float> row(cols);
    for (std::size_t i = begin; i < end; ++i) {
      matrix.row(static_cast<std::int64_t>(first + i), row.data());
      store_bf16(row, out + i * cols * 2);
    }
  });
}

void write_synth_checkpoint(const SynthPlan& plan, ThreadPool& pool, Progress& progress) {
  const std::uint64_t seed = plan.options.seed;
  StagedDirectory staged(plan.options.destination);
  const auto shards = split_shards(plan.tensors, plan.options.max_shard_bytes);
  Json weight_map = Json::object();
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const std::string name = shards.size() == 1
                                 ? "model.safetensors"
                                 : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
    std::uint64_t header = 256;  // for the metadata
    for (const SynthTensor& tensor : shards[i]) header += SafetensorsWriter::header_bytes_bound(tensor.name);
    SafetensorsWriter writer(staged.path() / name, header);
    for (const SynthTensor& tensor : shards[i]) {
      check_interrupt();
      writer.begin_tensor(tensor.name, DType::kBF16, tensor.shape());
      if (tensor.is_vector()) {
        writer.write(synth_vector(tensor, seed));
      } else {
        write_matrix(tensor, seed, pool, writer);
      }
      writer.end_tensor();
      weight_map[tensor.name] = name;
      total += 2 * tensor.elements();
      progress.advance(tensor.elements(), tensor.name);
    }
    writer.finish({{"format", "pt"}});
  }
  if (shards.size() > 1) {
    const Json index = {{"metadata", {{"total_size", total}}}, {"weight_map", weight_map}};
    write_file(staged.path() / "model.safetensors.index.json", index.dump(2, ' ') + "\n");
  }
  write_file(staged.path() / "tokenizer.json", plan.tokenizer.tokenizer);
  write_file(staged.path() / "tokenizer_config.json", plan.tokenizer.config);
  write_file(staged.path() / "config.json",
             plan.config.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  staged.commit();
}

}  // namespace twofold
