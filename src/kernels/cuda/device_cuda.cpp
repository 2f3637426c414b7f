// The host's side of the GPU: what all matrices share.

#include <algorithm>
#include <cstring>

#include "base/aligned.h"
#include "base/error.h"
#include "kernels/cuda/gpu_matrix.h"
#include "kernels/plane_dot.h"

namespace twofold {

namespace {

constexpr std::size_t kChunkAlignment = 256;
constexpr std::size_t kSlack =
    512;  // zeros behind each chunk: what lanes of `quad` read at most behind a tile, and more

cudaStream_t cuda_stream(device::Stream stream) {
  return static_cast<cudaStream_t>(stream);
}

}  // namespace

std::shared_ptr<GpuWorkspace> gpu_workspace() {
  static std::weak_ptr<GpuWorkspace> shared;
  std::shared_ptr<GpuWorkspace> workspace = shared.lock();
  if (!workspace) {
    workspace = std::make_shared<GpuWorkspace>();
    workspace->bad.clear();
    shared = workspace;
  }
  return workspace;
}

std::size_t gpu_chunk_rows(const GpuChunks& chunks, std::size_t i) {
  const auto before = static_cast<std::int64_t>(i) * chunks.rows_per_chunk;
  return static_cast<std::size_t>(std::min(chunks.rows_per_chunk, chunks.rows - before));
}

CodedGpuMatrix::CodedGpuMatrix(const GpuChunks& chunks, GpuPlace place, std::span<const std::uint8_t> shifts)
    : rows_(static_cast<std::size_t>(chunks.rows)),
      stride_(align_up(static_cast<std::size_t>(chunks.cols), kGroupColumns)),
      workspace_(gpu_workspace()) {
  for (std::size_t i = 0; i < chunks.chunks.size(); ++i) {
    begin_.push_back(size_ + (shifts.empty() ? 0 : shifts[i]));
    size_ = align_up(begin_[i] + chunks.chunks[i].size() + kSlack, kChunkAlignment);
  }
  host_ = PinnedBytes(size_);
  const std::span<std::uint8_t> all = host_.bytes();
  std::fill(all.begin(), all.end(), std::uint8_t{0});
  for (std::size_t i = 0; i < chunks.chunks.size(); ++i) {
    std::copy(chunks.chunks[i].begin(), chunks.chunks[i].end(),
              all.begin() + static_cast<std::ptrdiff_t>(begin_[i]));
  }
  if (place == GpuPlace::kHost) return;
  device_ = GpuArray<std::uint8_t>(std::span<const std::uint8_t>(all));
  host_ = PinnedBytes();
}

const std::uint8_t* CodedGpuMatrix::bytes_on_gpu() {
  if (on_gpu()) return gpu_bytes();
  workspace_->coded.grow(size_);
  check_gpu(cudaMemcpy(workspace_->coded.data(), host_.bytes().data(), size_, cudaMemcpyHostToDevice),
            "copy");
  return workspace_->coded.data();
}

void CodedGpuMatrix::decode(std::span<std::int8_t> out) {
  if (out.size() != rows_ * stride_) fail("GPU: {} weights, expected {}", out.size(), rows_ * stride_);
  workspace_->weights.grow(out.size());
  start_decode(bytes_on_gpu(), workspace_->weights.data(), nullptr);
  finish("decode", nullptr);
  workspace_->weights.copy_to(out);
}

void CodedGpuMatrix::check_sizes(std::span<const std::int8_t> x, int vectors,
                                 std::span<std::int32_t> sums) const {
  const auto n = static_cast<std::size_t>(std::max(vectors, 0));
  if (vectors < 1 || vectors > kGpuMaxVectors || x.size() != n * stride_ || sums.size() != n * rows_) {
    fail("GPU: {} vectors, {} activations, {} products, expected 1 to {}, {} and {}", vectors, x.size(),
         sums.size(), kGpuMaxVectors, n * stride_, n * rows_);
  }
}

void CodedGpuMatrix::multiply(std::span<const std::int8_t> x, int vectors, std::span<std::int32_t> sums) {
  check_sizes(x, vectors, sums);
  const device::Products products = send(x, vectors, nullptr);
  const std::uint8_t* const bytes = bytes_on_gpu();
  if (decodes_ahead(vectors)) {
    workspace_->weights.grow(rows_ * stride_);
    start_decode(bytes, workspace_->weights.data(), nullptr);
    start_products(workspace_->weights.data(), products, vectors, nullptr);
  } else {
    start_multiply(bytes, products, vectors, nullptr);
  }
  finish("multiply", nullptr);
  receive(sums, vectors, nullptr);
}

device::Products CodedGpuMatrix::send(std::span<const std::int8_t> x, int vectors, device::Stream stream) {
  GpuWorkspace& work = *workspace_;
  // Kernels take eight vectors, or all that tensor cores take at once.
  const std::size_t room =
      align_up(static_cast<std::size_t>(vectors),
               static_cast<std::size_t>(vectors <= kGemvVectors ? 8 : device::kTensorVectors));
  std::vector<std::int32_t> group_sums(x.size() / kGroupColumns);
  sum_groups(x, group_sums);
  work.x.grow(room * stride_);
  work.group_sums.grow(room * stride_ / kGroupColumns);
  work.sums.grow(room * rows_);
  const auto copy = [&](void* to, const void* from, std::size_t bytes) {
    check_gpu(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, cuda_stream(stream)), "copy");
  };
  copy(work.x.data(), x.data(), x.size());
  copy(work.group_sums.data(), group_sums.data(), group_sums.size() * sizeof(std::int32_t));
  const auto clear = [&](auto* from, std::size_t count) {
    check_gpu(cudaMemsetAsync(from, 0, count * sizeof *from, cuda_stream(stream)), "clear");
  };
  clear(work.x.data() + x.size(), room * stride_ - x.size());
  clear(work.group_sums.data() + group_sums.size(), room * stride_ / kGroupColumns - group_sums.size());
  clear(work.sums.data(), room * rows_);
  return {work.x.data(), stride_, work.group_sums.data(), work.sums.data(), rows_};
}

void CodedGpuMatrix::receive(std::span<std::int32_t> sums, int vectors, device::Stream stream) {
  const std::size_t bytes = static_cast<std::size_t>(vectors) * rows_ * sizeof(std::int32_t);
  check_gpu(cudaMemcpyAsync(sums.data(), workspace_->sums.data(), bytes, cudaMemcpyDeviceToHost,
                            cuda_stream(stream)),
            "copy back");
  check_gpu(cudaStreamSynchronize(cuda_stream(stream)), "copy back");
}

void CodedGpuMatrix::start_products(const std::int8_t* weights, const device::Products& products, int vectors,
                                    device::Stream stream) {
  if (vectors > kGemvVectors) {
    device::raw_matmul(weights, products, vectors, stream);
  } else {
    device::raw_multiply(weights, products, vectors, stream);
  }
}

void CodedGpuMatrix::finish(const char* what, device::Stream stream) {
  check_gpu(cudaGetLastError(), what);
  std::uint32_t is_bad = 0;
  check_gpu(cudaMemcpyAsync(&is_bad, bad(), sizeof is_bad, cudaMemcpyDeviceToHost, cuda_stream(stream)),
            what);
  check_gpu(cudaStreamSynchronize(cuda_stream(stream)), what);
  if (is_bad == 0) return;
  workspace_->bad.clear();
  fail("GPU: {}: a chunk is broken", what);
}

std::vector<GpuInfo> gpus() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) count = 0;
  std::vector<GpuInfo> result;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties;
    check_gpu(cudaGetDeviceProperties(&properties, i), "properties");
    result.push_back({properties.name, properties.totalGlobalMem});
  }
  return result;
}

std::string why_no_gpu() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) return cudaGetErrorString(error);
  return count > 0 ? "" : "no NVIDIA GPU was found";
}

std::unique_ptr<GpuMatrix> make_gpu_matrix(const Decoder& decoder, const GpuChunks& chunks, GpuPlace place) {
  if (chunks.rows < 1 || chunks.cols < 1 || chunks.rows_per_chunk < 1 ||
      static_cast<std::int64_t>(chunks.chunks.size()) !=
          (chunks.rows + chunks.rows_per_chunk - 1) / chunks.rows_per_chunk ||
      chunks.rows_per_chunk > (std::int64_t{1} << 31) / chunks.cols) {
    fail("GPU: {} chunks of {} rows for a matrix of {} x {}", chunks.chunks.size(), chunks.rows_per_chunk,
         chunks.rows, chunks.cols);
  }
  if (const auto* quad = dynamic_cast<const QuadDecoder*>(&decoder)) {
    return make_quad_gpu_matrix(*quad, chunks, place);
  }
  if (const auto* planes = dynamic_cast<const PlaneDecoder*>(&decoder)) {
    return make_plane_gpu_matrix(*planes, chunks, place);
  }
  if (const auto* ans = dynamic_cast<const AnsDecoder*>(&decoder)) {
    return make_ans_gpu_matrix(*ans, chunks, place);
  }
  for (std::size_t i = 0; i < chunks.chunks.size(); ++i) {
    const std::size_t count = gpu_chunk_rows(chunks, i) * static_cast<std::size_t>(chunks.cols);
    if (decoder.direct(chunks.chunks[i], count) == nullptr) {
      fail("GPU: no kernels for this codec; there are some for raw, packed, tiered, quad and ans");
    }
  }
  return make_raw_gpu_matrix(decoder, chunks, place);
}

}  // namespace twofold
