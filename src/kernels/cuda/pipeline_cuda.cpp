// A pass through matrices of which some lie in the CPU's memory, on a GPU.

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "kernels/cuda/gpu_matrix.h"
#include "kernels/cuda/pipeline.h"

namespace twofold {

namespace {

/// Streams and events of a GPU.
class GpuStreams {
 public:
  explicit GpuStreams(std::size_t events) {
    for (cudaStream_t& stream : streams_) {
      check_gpu(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
    }
    events_.resize(events, nullptr);
    for (cudaEvent_t& event : events_) {
      check_gpu(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "event");
    }
  }
  GpuStreams(const GpuStreams&) = delete;
  GpuStreams& operator=(const GpuStreams&) = delete;
  ~GpuStreams() {
    for (const cudaStream_t stream : streams_) {
      cudaStreamSynchronize(stream);
      cudaStreamDestroy(stream);
    }
    for (const cudaEvent_t event : events_) cudaEventDestroy(event);
  }

  cudaStream_t stream(PipelineDevice::Stream which) const {
    return streams_[static_cast<std::size_t>(which)];
  }
  cudaEvent_t event(std::size_t i) const { return events_[i]; }

 private:
  cudaStream_t streams_[3] = {};
  std::vector<cudaEvent_t> events_;
};

class StreamedGpuPipeline final : public GpuPipeline, private PipelineDevice {
 public:
  StreamedGpuPipeline(std::vector<std::unique_ptr<CodedGpuMatrix>> matrices,
                      const GpuPipelineOptions& options)
      : matrices_(std::move(matrices)),
        options_(options),
        pipeline_(stages(), options.slots, options.buffers, *this),
        streams_(pipeline_.events()) {
    std::size_t coded = 0;
    std::size_t decoded = 0;
    for (const auto& matrix : matrices_) {
      if (!matrix->on_gpu()) coded = std::max(coded, matrix->coded_bytes());
      if (matrix->decodes_ahead(options.vectors))
        decoded = std::max(decoded, matrix->rows() * matrix->stride());
    }
    for (int i = 0; i < options.slots && coded > 0; ++i) slots_.emplace_back(coded);
    for (int i = 0; i < options.buffers && decoded > 0; ++i) buffers_.emplace_back(decoded);
    room_ = slots_.size() * coded + buffers_.size() * decoded;
  }
  ~StreamedGpuPipeline() override {
    // Before the places of what may still be under way.
    for (const Stream stream : {Stream::kCopy, Stream::kDecode, Stream::kCompute}) {
      cudaStreamSynchronize(streams_.stream(stream));
    }
  }

  const GpuMatrix& matrix() const override { return *matrices_[pipeline_.stage()]; }
  std::size_t room() const override { return room_; }
  void multiply(std::span<const std::int8_t> x, int vectors, std::span<std::int32_t> sums) override {
    CodedGpuMatrix& matrix = *matrices_[pipeline_.stage()];
    if (vectors > options_.vectors) fail("GPU: {} vectors in a pipeline for {}", vectors, options_.vectors);
    matrix.check_sizes(x, vectors, sums);
    const device::Stream stream = streams_.stream(Stream::kCompute);
    products_ = matrix.send(x, vectors, stream);
    vectors_ = vectors;
    pipeline_.next();
    matrix.finish("multiply", stream);
    matrix.receive(sums, vectors, stream);
  }

 private:
  std::vector<PipelineStage> stages() const {
    std::vector<PipelineStage> result;
    for (const auto& matrix : matrices_) {
      result.push_back({!matrix->on_gpu(), matrix->decodes_ahead(options_.vectors)});
    }
    return result;
  }
  const std::uint8_t* bytes(std::size_t stage, int slot) const {
    return slot < 0 ? matrices_[stage]->gpu_bytes() : slots_[static_cast<std::size_t>(slot)].data();
  }

  void wait(Stream stream, std::size_t event) override {
    check_gpu(cudaStreamWaitEvent(streams_.stream(stream), streams_.event(event), 0), "wait");
  }
  void record(Stream stream, std::size_t event) override {
    check_gpu(cudaEventRecord(streams_.event(event), streams_.stream(stream)), "record");
  }
  void copy(std::size_t stage, int slot) override {
    const std::span<const std::uint8_t> from = matrices_[stage]->host_bytes();
    check_gpu(cudaMemcpyAsync(slots_[static_cast<std::size_t>(slot)].data(), from.data(), from.size(),
                              cudaMemcpyHostToDevice, streams_.stream(Stream::kCopy)),
              "copy");
  }
  void decode(std::size_t stage, int slot, int buffer) override {
    matrices_[stage]->start_decode(bytes(stage, slot), buffers_[static_cast<std::size_t>(buffer)].data(),
                                   streams_.stream(Stream::kDecode));
  }
  void compute(std::size_t stage, int slot, int buffer) override {
    const device::Stream stream = streams_.stream(Stream::kCompute);
    if (buffer >= 0) {
      CodedGpuMatrix::start_products(buffers_[static_cast<std::size_t>(buffer)].data(), products_, vectors_,
                                     stream);
    } else {
      matrices_[stage]->start_multiply(bytes(stage, slot), products_, vectors_, stream);
    }
  }

  std::vector<std::unique_ptr<CodedGpuMatrix>> matrices_;
  GpuPipelineOptions options_;
  Pipeline pipeline_;
  GpuStreams streams_;
  std::vector<GpuArray<std::uint8_t>> slots_;
  std::vector<GpuArray<std::int8_t>> buffers_;
  std::size_t room_ = 0;
  device::Products products_{};
  int vectors_ = 0;
};

}  // namespace

std::unique_ptr<GpuPipeline> make_gpu_pipeline(std::vector<std::unique_ptr<GpuMatrix>> matrices,
                                               const GpuPipelineOptions& options) {
  if (options.vectors < 1 || options.vectors > kGpuMaxVectors) {
    fail("GPU: a pipeline for {} vectors, expected 1 to {}", options.vectors, kGpuMaxVectors);
  }
  std::vector<std::unique_ptr<CodedGpuMatrix>> coded;
  coded.reserve(matrices.size());
  for (std::unique_ptr<GpuMatrix>& matrix : matrices) {
    // There is no other kind.
    coded.emplace_back(dynamic_cast<CodedGpuMatrix*>(matrix.release()));
  }
  return std::make_unique<StreamedGpuPipeline>(std::move(coded), options);
}

}  // namespace twofold
