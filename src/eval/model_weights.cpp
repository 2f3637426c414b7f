#include "eval/model_weights.h"

#include "base/error.h"
#include "base/interrupt.h"
#include "compress/stage_one.h"
#include "format/container.h"
#include "model/gguf_model.h"
#include "model/model_spec.h"

namespace twofold {

namespace {

using Visitor = std::function<void(const BenchMatrix&)>;

/// The linear layers of the decoder; embeddings and head have other statistics.
void visit_container(const std::filesystem::path& directory, const Visitor& visit) {
  const Container container(directory);
  ModelSpec spec = load_model_spec(directory);
  resolve_names(spec, [&](const std::string& name) {
    return container.coded().contains(name) || container.plain().contains(name);
  });
  std::vector<const LinearSpec*> linears;
  for (const LayerSpec& layer : spec.layers) {
    for (const LinearSpec* linear : layer.linears()) linears.push_back(linear);
  }
  AlignedVector<std::int8_t> weights;
  for (const LinearSpec* linear : linears) {
    const auto found = container.coded().find(linear->weight());
    if (found == container.coded().end()) continue;  // left as it was
    const CodedTensor& tensor = found->second;
    check_interrupt();
    const auto cols = static_cast<std::size_t>(tensor.cols);
    weights.resize(static_cast<std::size_t>(tensor.rows) * cols);
    for (std::int64_t chunk = 0; chunk < tensor.chunks(); ++chunk) {
      const std::size_t begin = static_cast<std::size_t>(tensor.chunk_begin(chunk)) * cols;
      tensor.decode_chunk(
          chunk, {weights.data() + begin, static_cast<std::size_t>(tensor.chunk_rows(chunk)) * cols});
    }
    visit({weights, tensor.cols});
  }
}

void visit_original(const std::filesystem::path& directory, const Visitor& visit) {
  ModelSpec spec = load_model_spec(directory);
  const std::unique_ptr<Checkpoint> opened = open_checkpoint(directory);
  const Checkpoint& checkpoint = *opened;
  resolve_names(spec, [&](const std::string& name) { return checkpoint.contains(name); });
  ThreadPool pool;
  for (const LayerSpec& layer : spec.layers) {
    for (const LinearSpec* linear : layer.linears()) {
      check_interrupt();
      const QuantizedMatrix matrix =
          quantize_per_tensor(load_linear(checkpoint, *linear, pool), linear->rows, linear->cols, {}, pool);
      checkpoint.release(checkpoint.at(linear->weight()));
      visit({matrix.q, linear->cols});
    }
  }
}

}  // namespace

BenchSource int8_weights(const std::filesystem::path& directory) {
  return [directory](const Visitor& visit) {
    if (Container::is_container(directory)) {
      visit_container(directory, visit);
    } else {
      visit_original(directory, visit);
    }
  };
}

}  // namespace twofold
