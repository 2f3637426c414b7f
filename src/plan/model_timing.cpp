#include "plan/model_timing.h"

#include <algorithm>
#include <map>

#include "base/aligned.h"
#include "base/interrupt.h"
#include "base/thread_pool.h"
#include "plan/measure.h"
#include "plan/product_timing.h"

namespace twofold {

namespace {

constexpr std::size_t kMostShapes = 8;
constexpr std::uint64_t kSampleWeights = 1 << 21;
constexpr std::int64_t kMostCallWeights = 1 << 26;
constexpr int kRepetitions = 7;

struct Shape {
  std::vector<std::size_t> tensors;  // of ModelCosts
  std::uint64_t weights = 0;         // of all of them
};

/// Tensors that are multiplied with, by shape, those with most weights first.
std::vector<Shape> shapes_of(const ModelCosts& model) {
  std::map<std::pair<std::int64_t, std::int64_t>, Shape> by_shape;
  for (std::size_t i = 0; i < model.tensors.size(); ++i) {
    const TensorCost& tensor = model.tensors[i];
    if (tensor.lookup || tensor.weights() == 0) continue;
    Shape& shape = by_shape[{tensor.rows, tensor.cols}];
    shape.tensors.push_back(i);
    shape.weights += tensor.weights();
  }
  std::vector<Shape> shapes;
  for (auto& [key, shape] : by_shape) shapes.push_back(std::move(shape));
  std::stable_sort(shapes.begin(), shapes.end(),
                   [](const Shape& a, const Shape& b) { return a.weights > b.weights; });
  return shapes;
}

/// Whole chunks of the tensors of a shape, from several of them.
std::vector<std::int8_t> sample_weights(const ModelCosts& model, const Container& container,
                                        const Shape& shape) {
  constexpr std::size_t kMostTensors = 8;
  std::vector<std::int8_t> weights;
  const std::size_t tensors = std::min(kMostTensors, shape.tensors.size());
  for (std::size_t t = 0; t < tensors; ++t) {
    const TensorCost& cost = model.tensors[shape.tensors[t * shape.tensors.size() / tensors]];
    const CodedTensor& tensor = container.coded().at(cost.name);
    const std::int64_t whole = std::max<std::int64_t>(1, tensor.rows / tensor.rows_per_chunk);  // chunks
    const auto size = static_cast<std::size_t>(tensor.chunk_rows(0) * tensor.cols);
    const auto wanted =
        std::clamp<std::int64_t>(static_cast<std::int64_t>(kSampleWeights / tensors / size), 1, whole);
    for (std::int64_t i = 0; i < wanted; ++i) {
      weights.resize(weights.size() + size);
      tensor.decode_chunk(i * whole / wanted, std::span(weights).last(size));
    }
  }
  return weights;
}

/// Times all codecs with the weights of one shape.
class ShapeTimer {
 public:
  ShapeTimer(ModelCosts& model, const MachineProfile& machine, const Container& container, int threads)
      : model_(model), machine_(machine), container_(container), workspace_(threads) {
    for (const TensorCost& tensor : model.tensors) weights_ += tensor.weights();
  }

  /// How much longer products take than the profile says, for each codec.
  std::vector<double> factors(const Shape& shape, const std::function<void()>& step) {
    const TensorCost& first = model_.tensors[shape.tensors.front()];
    const CodedTensor& tensor = container_.coded().at(first.name);
    const std::int64_t rows = tensor.chunk_rows(0);
    const std::vector<std::int8_t> weights = sample_weights(model_, container_, shape);
    const std::int64_t call = std::min(first.rows * first.cols, kMostCallWeights);
    // A model that fits the caches runs from there.
    const std::uint64_t memory = std::min(3 * last_level_cache_bytes(), weights_);
    std::vector<double> result;
    for (const std::string& name : model_.codecs) {
      check_interrupt();
      const CodedTile tile = code_tile(find_codec(name), weights, first.cols, rows, workspace_.pool());
      ProductTimer products(tile, call, memory, arena_);
      const CodecSpeed& speed = machine_.codec(name, workspace_.pool().size());
      const double time = products.call_seconds(workspace_, kRepetitions);
      const double overhead =
          speed.call_seconds + speed.channel_seconds * static_cast<double>(products.cols());
      const double expected =
          products.weights_per_call() / speed.weights_per_second(tile.bits_per_weight(), first.cols);
      result.push_back(std::max(time - overhead, 0.5 * time) / expected);
      step();
    }
    return result;
  }

 private:
  ModelCosts& model_;
  const MachineProfile& machine_;
  const Container& container_;
  std::uint64_t weights_ = 0;  // of the whole model
  Workspace workspace_;
  Arena arena_;
};

}  // namespace

void time_model(ModelCosts& model, const MachineProfile& machine, int threads,
                const std::function<void(double)>& progress) {
  const std::vector<Shape> shapes = shapes_of(model);
  if (shapes.empty()) return;
  const Container container(model.directory);
  ShapeTimer timer(model, machine, container, threads);
  const std::size_t timed = std::min(shapes.size(), kMostShapes);
  std::vector<double> mean(model.codecs.size(), 0);
  std::uint64_t weights = 0;
  std::size_t done = 0;
  for (std::size_t s = 0; s < timed; ++s) {
    const std::vector<double> factors = timer.factors(shapes[s], [&] {
      progress(static_cast<double>(++done) / static_cast<double>(timed * model.codecs.size()));
    });
    for (const std::size_t i : shapes[s].tensors) model.tensors[i].time_factor = factors;
    for (std::size_t c = 0; c < factors.size(); ++c)
      mean[c] += factors[c] * static_cast<double>(shapes[s].weights);
    weights += shapes[s].weights;
  }
  for (double& factor : mean) factor /= static_cast<double>(weights);
  for (std::size_t s = timed; s < shapes.size(); ++s) {
    for (const std::size_t i : shapes[s].tensors) model.tensors[i].time_factor = mean;
  }
}

}  // namespace twofold
