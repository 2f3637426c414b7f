// A transformer on the GPU: what runs after what.

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "kernels/cuda/gpu_graph.h"
#include "kernels/cuda/gpu_linears.h"
#include "kernels/cuda/transformer.h"

namespace twofold {

namespace {

using Size = std::size_t;
using Kind = device::StepValues::Kind;

/// One stream, apart from the default one.
class OwnStream {
 public:
  OwnStream() { check_gpu(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream"); }
  OwnStream(const OwnStream&) = delete;
  OwnStream& operator=(const OwnStream&) = delete;
  ~OwnStream() {
    cudaStreamSynchronize(stream_);
    cudaStreamDestroy(stream_);
  }
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

struct GpuNorm {
  GpuArray<float> weight;
  float eps = 0;

  GpuNorm() = default;
  explicit GpuNorm(const GpuNormSource& source) : eps(source.eps) {
    if (!source.weight.empty()) weight = GpuArray<float>(std::span<const float>(source.weight));
  }
  const float* data() const { return weight.size() == 0 ? nullptr : weight.data(); }
  device::StepValues of(const float* x, Size stride) const {
    return {Kind::kNormed, x, weight.data(), stride, 0, eps};
  }
};

struct GpuRotation {
  GpuArray<float> cosines, sines;
  std::uint32_t half = 0;
};

struct GpuLayer {
  GpuNorm attention_norm, feed_forward_norm, q_norm, k_norm;
  GpuLinears qkv, out, gate_up, down;
  GpuArray<std::uint8_t> keys, values;
  device::StepRotation rotation;
  device::StepCache cache;
  device::StepAttention attention;

  explicit GpuLayer(const GpuLayerSource& source)
      : attention_norm(source.attention_norm),
        feed_forward_norm(source.feed_forward_norm),
        q_norm(source.q_norm),
        k_norm(source.k_norm),
        qkv(source.qkv),
        out({&source.out, 1}),
        gate_up(source.gate_up),
        down({&source.down, 1}) {}
};

// Parts of the context that one token's heads are split into: some for each multiprocessor of a large GPU,
// each with some work.
constexpr std::int64_t kSplitPositions = 256;
constexpr std::int64_t kMostSplits = 16;

class CudaTransformer final : public GpuTransformer {
 public:
  explicit CudaTransformer(const GpuShape& shape)
      : shape_(shape),
        width_(static_cast<Size>(shape.hidden)),
        splits_(static_cast<std::uint32_t>(
            std::clamp<std::int64_t>(shape.context / kSplitPositions, 1, kMostSplits))) {
    if (shape.context < 1 || shape.context > (std::int64_t{1} << 31) || shape.block_tokens < 1 ||
        shape.block_tokens > kGpuMaxVectors || shape.head_dim % 2 != 0 || shape.head_dim < 2 ||
        shape.head_dim > device::kStepHeadDim || shape.kv_heads < 1 || shape.heads % shape.kv_heads != 0) {
      fail(
          "GPU: a context of {}, blocks of {}, {} heads of {} with {} keys: expected up to 2^31, {}, even "
          "sizes "
          "up to {}",
          shape.context, shape.block_tokens, shape.heads, shape.head_dim, shape.kv_heads, kGpuMaxVectors,
          device::kStepHeadDim);
    }
  }

  void add_rotation(std::span<const float> cosines, std::span<const float> sines) override {
    GpuRotation& rotation = rotations_.emplace_back();
    rotation.cosines = GpuArray<float>(cosines);
    rotation.sines = GpuArray<float>(sines);
    rotation.half = static_cast<std::uint32_t>(cosines.size() / static_cast<Size>(shape_.context));
  }

  void add_layer(const GpuLayerSource& source) override {
    GpuLayer& layer = layers_.emplace_back(source);
    const std::int64_t q_size = shape_.heads * shape_.head_dim;
    if (layer.qkv.cols() != shape_.hidden ||
        layer.qkv.rows() != q_size + 2 * shape_.kv_heads * shape_.head_dim || layer.out.cols() != q_size ||
        layer.out.rows() != shape_.hidden || layer.gate_up.cols() != shape_.hidden ||
        layer.gate_up.rows() != 2 * layer.down.cols() || layer.down.rows() != shape_.hidden) {
      fail("GPU: {}: the linears of its layer do not fit each other", source.out.name);
    }
    const Size elements = static_cast<Size>(shape_.kv_heads * shape_.context * shape_.head_dim);
    for (GpuArray<std::uint8_t>* cache : {&layer.keys, &layer.values}) {
      *cache = GpuArray<std::uint8_t>(elements * (shape_.half_cache ? 2 : sizeof(float)));
    }
    layer.cache = {layer.keys.data(), layer.values.data(), shape_.half_cache,
                   static_cast<std::uint32_t>(shape_.context)};
    layer.rotation = {nullptr,          nullptr,         0, layer.q_norm.data(), layer.k_norm.data(),
                      layer.q_norm.eps, layer.k_norm.eps};
    if (source.rotation) {
      const GpuRotation& table = rotations_.at(*source.rotation);
      layer.rotation.cosines = table.cosines.data();
      layer.rotation.sines = table.sines.data();
      layer.rotation.half = table.half;
    }
    layer.attention = {source.scale, static_cast<std::uint32_t>(source.window), 1, nullptr};
    for (const GpuLinears* linears : {&layer.qkv, &layer.out, &layer.gate_up, &layer.down}) {
      linears->reserve(room_, shape_.block_tokens);
    }
    const Size n = static_cast<Size>(shape_.block_tokens);
    qkv_.grow(n * static_cast<Size>(layer.qkv.rows()));
    mixed_.grow(n * static_cast<Size>(q_size));
    gate_up_.grow(n * static_cast<Size>(layer.gate_up.rows()));
  }

  void set_head(const GpuNormSource& norm, const GpuLinearSource& head) override {
    final_norm_ = GpuNorm(norm);
    head_ = std::make_unique<GpuLinears>(std::span(&head, 1));
    if (head_->cols() != shape_.hidden || head_->rows() != shape_.vocab)
      fail("GPU: {}: the head does not fit the model", head.name);
    head_->reserve(room_, 1);
    const Size n = static_cast<Size>(shape_.block_tokens);
    hidden_.grow(n * width_);
    logits_.grow(static_cast<Size>(shape_.vocab));
    partial_.grow(static_cast<Size>(shape_.heads) * splits_ * static_cast<Size>(shape_.head_dim + 2));
    sent_ = PinnedBytes(sizeof(std::uint32_t) + n * width_ * sizeof(float));
    received_ = PinnedBytes(sizeof(std::uint32_t) + static_cast<Size>(shape_.vocab) * sizeof(float));
    // What has been copied and cleared so far was not on the stream that computes.
    check_gpu(cudaDeviceSynchronize(), "copy");
  }

  void forward(std::span<const float> embeddings, std::int64_t position, std::span<float> logits) override {
    const Size tokens = embeddings.size() / width_;
    if (head_ == nullptr || tokens < 1 || static_cast<std::int64_t>(tokens) > shape_.block_tokens ||
        embeddings.size() != tokens * width_ || position < 0 ||
        position + static_cast<std::int64_t>(tokens) > shape_.context ||
        (!logits.empty() && logits.size() != static_cast<Size>(shape_.vocab))) {
      fail(
          "GPU: {} embeddings at position {} and {} logits: expected 1 to {} tokens of {}, a context of {}, "
          "and "
          "{}",
          embeddings.size(), position, logits.size(), shape_.block_tokens, width_, shape_.context,
          shape_.vocab);
    }
    send(embeddings, static_cast<std::uint32_t>(position));
    if (tokens == 1 && !logits.empty()) {
      compute_token();
    } else {
      compute(static_cast<std::uint32_t>(tokens), !logits.empty());
    }
    receive(logits);
  }

 private:
  void copy(void* to, const void* from, Size bytes, cudaMemcpyKind kind) {
    check_gpu(cudaMemcpyAsync(to, from, bytes, kind, stream_.get()), "copy");
  }

  void send(std::span<const float> embeddings, std::uint32_t position) {
    const std::span<std::uint8_t> bytes = sent_.bytes();
    std::memcpy(bytes.data(), &position, sizeof position);
    std::memcpy(bytes.data() + sizeof position, embeddings.data(), embeddings.size_bytes());
    copy(position_.data(), bytes.data(), sizeof position, cudaMemcpyHostToDevice);
    copy(hidden_.data(), bytes.data() + sizeof position, embeddings.size_bytes(), cudaMemcpyHostToDevice);
  }

  /// One token's pass is the same every time: what differs, position and embedding, is in the GPU's memory.
  /// The first one is not recorded, because room grows in it.
  void compute_token() {
    const std::int8_t* const room = workspace_->intermediate.data();
    if (graph_.recorded() && room != room_of_graph_) graph_.clear();
    if (!graph_.recorded() && warm_ && recordable_) {
      room_of_graph_ = room;
      recordable_ = graph_.record(stream_.get(), [&] { compute(1, true); });
    }
    warm_ = true;
    if (graph_.recorded()) {
      graph_.run(stream_.get());
    } else {
      compute(1, true);
    }
  }

  void compute(std::uint32_t tokens, bool with_logits) {
    const auto number = [](std::int64_t value) { return static_cast<std::uint32_t>(value); };
    const device::StepHeads heads = {number(shape_.heads), number(shape_.kv_heads), number(shape_.head_dim),
                                     position_.data()};
    const Size q_size = static_cast<Size>(shape_.heads * shape_.head_dim);
    const cudaStream_t stream = stream_.get();
    for (GpuLayer& layer : layers_) {
      layer.qkv.run(layer.attention_norm.of(hidden_.data(), width_), tokens, room_, qkv_.data(), false,
                    stream);
      device::append_heads(heads, layer.rotation, qkv_.data(), layer.cache, tokens, stream);
      device::StepAttention attention = layer.attention;
      if (tokens == 1) {
        attention.splits = splits_;
        attention.partial = partial_.data();
      }
      device::attend_heads(heads, attention, qkv_.data(), layer.cache, mixed_.data(), tokens, stream);
      layer.out.run({Kind::kAsIs, mixed_.data(), nullptr, q_size, 0, 0}, tokens, room_, hidden_.data(), true,
                    stream);
      layer.gate_up.run(layer.feed_forward_norm.of(hidden_.data(), width_), tokens, room_, gate_up_.data(),
                        false, stream);
      const Size inner = static_cast<Size>(layer.down.cols());
      layer.down.run({Kind::kGated, gate_up_.data(), gate_up_.data() + inner, 2 * inner, 0, 0}, tokens, room_,
                     hidden_.data(), true, stream);
    }
    if (!with_logits) return;
    head_->run(final_norm_.of(hidden_.data() + (tokens - 1) * width_, width_), 1, room_, logits_.data(),
               false, stream);
  }

  /// Waits for the stream.
  void receive(std::span<float> logits) {
    check_gpu(cudaGetLastError(), "a pass");
    const std::span<std::uint8_t> bytes = received_.bytes();
    copy(bytes.data(), workspace_->bad.data(), sizeof(std::uint32_t), cudaMemcpyDeviceToHost);
    if (!logits.empty()) {
      copy(bytes.data() + sizeof(std::uint32_t), logits_.data(), logits.size_bytes(), cudaMemcpyDeviceToHost);
    }
    check_gpu(cudaStreamSynchronize(stream_.get()), "a pass");
    std::uint32_t bad = 0;
    std::memcpy(&bad, bytes.data(), sizeof bad);
    if (bad != 0) {
      workspace_->bad.clear();
      fail("GPU: a chunk is broken");
    }
    if (!logits.empty()) std::memcpy(logits.data(), bytes.data() + sizeof bad, logits.size_bytes());
  }

  GpuShape shape_;
  Size width_;
  std::uint32_t splits_;
  std::vector<GpuRotation> rotations_;
  std::vector<GpuLayer> layers_;
  GpuNorm final_norm_;
  std::unique_ptr<GpuLinears> head_;

  std::shared_ptr<GpuWorkspace> workspace_ = gpu_workspace();
  GpuLinearRoom room_;
  GpuArray<std::uint32_t> position_{1};
  GpuArray<float> hidden_, qkv_, mixed_, gate_up_, logits_, partial_;
  PinnedBytes sent_, received_;
  bool warm_ = false;                           // a token's pass has been computed
  bool recordable_ = true;                      // no record has failed
  const std::int8_t* room_of_graph_ = nullptr;  // the shared room that grows, as the graph knows it
  GpuGraph graph_;
  OwnStream stream_;  // last: it is waited for before what it uses goes
};

}  // namespace

std::unique_ptr<GpuTransformer> make_gpu_transformer(const GpuShape& shape) {
  if (const std::string reason = why_no_gpu(); !reason.empty()) fail("{}", reason);
  return std::make_unique<CudaTransformer>(shape);
}

}  // namespace twofold
