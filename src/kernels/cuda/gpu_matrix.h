#pragma once

#include <memory>
#include <span>
#include <vector>

#include "codec/ans_decoder.h"
#include "codec/plane_decoder.h"
#include "codec/quad_decoder.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/gpu_memory.h"
#include "kernels/cuda/launch.h"

namespace twofold {

inline constexpr int kGemvVectors = 8;  // that kernels without tensor cores take at once

/// Room on the GPU that all matrices use by turns. It grows to what the largest needs.
struct GpuWorkspace {
  GpuArray<std::int8_t> x;
  GpuArray<std::int32_t> group_sums;
  GpuArray<std::int32_t> sums;
  GpuArray<std::uint32_t> bad{1};
  GpuArray<std::uint8_t> coded;        // bytes of a matrix that lies in the CPU's memory
  GpuArray<std::int8_t> weights;       // a matrix decoded ahead of its product
  GpuArray<std::int8_t> intermediate;  // what some codecs decode to before the weights are in their places
};

/// The one that there is, or a new one with the flag of broken chunks cleared.
std::shared_ptr<GpuWorkspace> gpu_workspace();

/// What all matrices share. The chunks are copied one after the other, each at a place that suits its words.
class CodedGpuMatrix : public GpuMatrix {
 public:
  /// `shifts`: of each chunk, bytes to put in front of it (0-15); empty: none.
  CodedGpuMatrix(const GpuChunks& chunks, GpuPlace place, std::span<const std::uint8_t> shifts = {});

  std::size_t stride() const override { return stride_; }
  std::size_t rows() const override { return rows_; }
  std::size_t coded_bytes() const override { return size_; }
  void decode(std::span<std::int8_t> out) override;
  void multiply(std::span<const std::int8_t> x, int vectors, std::span<std::int32_t> sums) override;

  /// Whether products with so many vectors are taken from decoded weights.
  virtual bool decodes_ahead(int vectors) const = 0;
  /// `bytes`: the coded chunks on the GPU. `out`: rows() * stride() weights.
  virtual void start_decode(const std::uint8_t* bytes, std::int8_t* out, device::Stream stream) = 0;
  /// Adds up products with at most kGpuMaxVectors vectors from the coded bytes; only where decodes_ahead says
  /// no.
  virtual void start_multiply(const std::uint8_t* bytes, const device::Products& products, int vectors,
                              device::Stream stream) = 0;

  bool on_gpu() const { return device_.size() > 0; }
  const std::uint8_t* gpu_bytes() const { return device_.data(); }
  std::span<const std::uint8_t> host_bytes() const { return host_.bytes(); }

  GpuWorkspace& workspace() const { return *workspace_; }

  /// Activations and sums of groups to the GPU, sums cleared; and the sums back.
  device::Products send(std::span<const std::int8_t> x, int vectors, device::Stream stream);
  void receive(std::span<std::int32_t> sums, int vectors, device::Stream stream);
  /// Products from decoded weights.
  static void start_products(const std::int8_t* weights, const device::Products& products, int vectors,
                             device::Stream stream);
  void check_sizes(std::span<const std::int8_t> x, int vectors, std::span<std::int32_t> sums) const;
  /// Waits for the stream; an Error when a kernel failed or found a broken chunk.
  void finish(const char* what, device::Stream stream);

 protected:
  std::uint64_t begin(std::size_t chunk) const { return begin_[chunk]; }
  std::uint32_t* bad() const { return workspace_->bad.data(); }

 private:
  const std::uint8_t* bytes_on_gpu();

  std::size_t rows_;
  std::size_t stride_;
  std::vector<std::uint64_t> begin_;  // of each chunk
  std::size_t size_ = 0;
  GpuArray<std::uint8_t> device_;
  PinnedBytes host_;
  std::shared_ptr<GpuWorkspace> workspace_;
};

std::size_t gpu_chunk_rows(const GpuChunks& chunks, std::size_t i);

std::unique_ptr<CodedGpuMatrix> make_raw_gpu_matrix(const Decoder& decoder, const GpuChunks& chunks,
                                                    GpuPlace place);
std::unique_ptr<CodedGpuMatrix> make_quad_gpu_matrix(const QuadDecoder& decoder, const GpuChunks& chunks,
                                                     GpuPlace place);
std::unique_ptr<CodedGpuMatrix> make_plane_gpu_matrix(const PlaneDecoder& decoder, const GpuChunks& chunks,
                                                      GpuPlace place);
std::unique_ptr<CodedGpuMatrix> make_ans_gpu_matrix(const AnsDecoder& decoder, const GpuChunks& chunks,
                                                    GpuPlace place);

}  // namespace twofold
