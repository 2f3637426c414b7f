// Weights as they are, on the GPU.

#include <cstring>

#include "base/aligned.h"
#include "kernels/cuda/gpu_matrix.h"

namespace twofold {

namespace {

class RawGpuMatrix final : public CodedGpuMatrix {
 public:
  using CodedGpuMatrix::CodedGpuMatrix;

  bool decodes_ahead(int) const override { return false; }
  void start_decode(const std::uint8_t* bytes, std::int8_t* out, device::Stream stream) override {
    check_gpu(cudaMemcpyAsync(out, bytes, rows() * stride(), cudaMemcpyDeviceToDevice,
                              static_cast<cudaStream_t>(stream)),
              "copy");
  }
  void start_multiply(const std::uint8_t* bytes, const device::Products& products, int vectors,
                      device::Stream stream) override {
    start_products(reinterpret_cast<const std::int8_t*>(bytes), products, vectors, stream);
  }
};

}  // namespace

std::unique_ptr<CodedGpuMatrix> make_raw_gpu_matrix(const Decoder& decoder, const GpuChunks& chunks,
                                                    GpuPlace place) {
  const auto cols = static_cast<std::size_t>(chunks.cols);
  const std::size_t stride = align_up(cols, static_cast<std::size_t>(kGroupColumns));
  std::vector<std::uint8_t> all(static_cast<std::size_t>(chunks.rows) * stride, 0);
  std::uint8_t* to = all.data();
  for (std::size_t i = 0; i < chunks.chunks.size(); ++i) {
    const std::size_t count = gpu_chunk_rows(chunks, i);
    const std::int8_t* const from = decoder.direct(chunks.chunks[i], count * cols);
    for (std::size_t r = 0; r < count; ++r, to += stride) std::memcpy(to, from + r * cols, cols);
  }
  const std::span<const std::uint8_t> span(all);
  return std::make_unique<RawGpuMatrix>(GpuChunks{chunks.rows, chunks.cols, chunks.rows, {&span, 1}}, place);
}

}  // namespace twofold
