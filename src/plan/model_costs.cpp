#include "plan/model_costs.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "base/aligned.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/thread_pool.h"

namespace twofold {

namespace {

constexpr std::uint64_t kSampleWeights = 1 << 20;
constexpr std::uint64_t kRecordBytes = 40;      // of the index, for a weight (docs/container.md)
constexpr std::uint64_t kChunkIndexBytes = 12;  // checksum and size

/// What the passes of a model use, in order.
class Walk {
 public:
  Walk(const ModelSpec& spec, const Container& container) : container_(container) {
    if (!spec.tied_embeddings) visit(spec.embedding, -1, 1, 1, true);
    for (std::size_t i = 0; i < spec.layers.size(); ++i)
      visit_layer(spec.layers[i], static_cast<std::int64_t>(i));
    visit(spec.head.weight(), -1, 1, 1, false);
    for (const LinearSpec* linear : {&spec.project_in, &spec.project_out}) {
      if (linear->present()) visit(linear->weight(), -1, 1, 1, false);
    }
  }

  std::vector<TensorCost> tensors;
  std::uint64_t plain_read = 0;

 private:
  void visit(const std::string& name, std::int64_t layer, double uses, std::size_t members, bool lookup) {
    const auto it = container_.coded().find(name);
    if (it == container_.coded().end()) {
      const auto plain = container_.plain().find(name);
      if (plain != container_.plain().end() && !lookup)
        plain_read += static_cast<std::uint64_t>(static_cast<double>(plain->second.bytes.size()) * uses);
      return;
    }
    const CodedTensor& tensor = it->second;
    TensorCost cost;
    cost.name = name;
    cost.rows = tensor.rows;
    cost.cols = tensor.cols;
    cost.layer = layer;
    cost.uses = uses;
    cost.lookup = lookup;
    cost.call_members = static_cast<std::int64_t>(members);
    cost.chunk_weights = tensor.chunk_rows(0) * tensor.cols;
    tensors.push_back(std::move(cost));
  }

  void visit_feed_forward(const FeedForwardSpec& spec, std::int64_t layer, double uses) {
    for (const LinearSpec& in : spec.in) visit(in.weight(), layer, uses, spec.in.size(), false);
    visit(spec.down.weight(), layer, uses, 1, false);
  }

  void visit_layer(const LayerSpec& layer, std::int64_t index) {
    for (const LinearSpec& in : layer.attention.qkv)
      visit(in.weight(), index, 1, layer.attention.qkv.size(), false);
    visit(layer.attention.out.weight(), index, 1, 1, false);
    for (const LinearSpec* router : layer.routers()) visit(router->weight(), index, 1, 1, false);
    if (!layer.moe) return visit_feed_forward(layer.feed_forward, index, 1);
    if (layer.moe->shared.down.present()) visit_feed_forward(layer.moe->shared, index, 1);
    const double uses =
        static_cast<double>(layer.moe->top_k) / static_cast<double>(layer.moe->experts.size());
    for (const FeedForwardSpec& expert : layer.moe->experts) visit_feed_forward(expert, index, uses);
  }

  const Container& container_;
};

std::uint64_t scale_bytes(const CodedTensor& tensor) {
  return align_up(4 * tensor.scale.size(), 8);
}

/// Fills in the sizes of a tensor in all codecs.
void measure_sizes(const CodedTensor& tensor, const std::vector<std::string>& codecs, TensorCost& cost) {
  const std::uint64_t total = cost.weights();
  const auto chunks = static_cast<std::uint64_t>(tensor.chunks());
  const std::uint64_t besides = kRecordBytes + kChunkIndexBytes * chunks + scale_bytes(tensor);
  const auto chunk_weights = static_cast<std::uint64_t>(cost.chunk_weights);
  const std::uint64_t wanted = std::clamp<std::uint64_t>(kSampleWeights / chunk_weights, 1, chunks);
  std::vector<std::int8_t> sample;  // chunks from everywhere, one after the other
  std::vector<std::size_t> ends;
  std::vector<std::uint8_t> coded;
  cost.bytes.clear();
  for (const std::string& name : codecs) {
    if (name == tensor.codec->name()) {
      cost.stored = cost.bytes.size();
      cost.bytes.push_back(tensor.stored_bytes);
      continue;
    }
    if (name == "raw") {
      std::uint64_t bytes = besides;
      const std::uint64_t last = total - (chunks - 1) * chunk_weights;
      bytes += (chunks - 1) * align_up(chunk_weights) + align_up(last);
      cost.bytes.push_back(bytes);
      continue;
    }
    if (sample.empty()) {
      for (std::uint64_t i = 0; i < wanted; ++i) {
        const auto chunk = static_cast<std::int64_t>(i * chunks / wanted);
        const auto size = static_cast<std::size_t>(tensor.chunk_rows(chunk) * tensor.cols);
        sample.resize(sample.size() + size);
        tensor.decode_chunk(chunk, std::span(sample).last(size));
        ends.push_back(sample.size());
      }
    }
    const Codec& codec = find_codec(name);
    const std::vector<std::uint8_t> table = codec.make_table(sample, tensor.cols);
    std::uint64_t bytes = 0;
    std::size_t begin = 0;
    for (const std::size_t end : ends) {
      coded.clear();
      codec.encode(table, std::span(sample).subspan(begin, end - begin), tensor.cols, coded);
      bytes += align_up(coded.size());
      begin = end;
    }
    const double share = static_cast<double>(total) / static_cast<double>(sample.size());
    cost.bytes.push_back(static_cast<std::uint64_t>(static_cast<double>(bytes) * share) + besides +
                         table.size());
  }
}

}  // namespace

std::size_t ModelCosts::codec_index(std::string_view name) const {
  for (std::size_t i = 0; i < codecs.size(); ++i) {
    if (codecs[i] == name) return i;
  }
  fail("codec {} is not among those that are planned with", json_quote(name));
}

ModelCosts load_model_costs(const std::filesystem::path& directory, const std::vector<std::string>& codecs,
                            ThreadPool& pool, const std::function<void(double)>& progress) {
  if (!Container::is_container(directory))
    fail("{}: not a Twofold directory: compress it first", directory.string());
  const Container container(directory);
  ModelCosts model;
  model.directory = directory.string();
  model.spec = load_model_spec(directory);
  resolve_names(model.spec, [&](const std::string& name) {
    return container.coded().contains(name) || container.checkpoint().contains(name);
  });
  model.codecs = codecs;
  for (const auto& [name, tensor] : container.coded()) {
    const std::string stored(tensor.codec->name());
    if (std::find(model.codecs.begin(), model.codecs.end(), stored) == model.codecs.end()) {
      fail("{}: {} is stored in codec {}, whose speed is not measured: transcode it first",
           directory.string(), name, stored);
    }
  }
  Walk walk(model.spec, container);
  model.tensors = std::move(walk.tensors);
  model.plain_read = walk.plain_read;
  for (const auto& [name, tensor] : container.plain()) model.plain_bytes += tensor.bytes.size();
  // A few at a time, so that progress is seen and an interrupt is heard.
  const std::size_t batch = 4 * static_cast<std::size_t>(pool.size());
  for (std::size_t first = 0; first < model.tensors.size(); first += batch) {
    check_interrupt();
    const std::size_t count = std::min(batch, model.tensors.size() - first);
    pool.run(count, [&](std::size_t begin, std::size_t end, int) {
      for (std::size_t i = first + begin; i < first + end; ++i)
        measure_sizes(container.coded().at(model.tensors[i].name), codecs, model.tensors[i]);
    });
    progress(static_cast<double>(first + count) / static_cast<double>(model.tensors.size()));
  }
  return model;
}

}  // namespace twofold
