#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codec/codec.h"

namespace twofold {

/// A GPU that this program can use.
struct GpuInfo {
  std::string name;
  std::size_t memory = 0;  // bytes
};

/// The GPUs; none in a build without CUDA, or where its driver finds none.
std::vector<GpuInfo> gpus();
/// Why there are none; empty when there are.
std::string why_no_gpu();

inline constexpr int kGpuMaxVectors = 4096;

/// A coded matrix for the first GPU. Columns are in the order of the decoder's column_order(), filled up to
/// whole groups of 64. Not thread-safe, and neither are two of them: they share room. All functions throw
/// Error when the driver reports one.
class GpuMatrix {
 public:
  virtual ~GpuMatrix() = default;

  /// Weights from one row to the next, and activations from one vector to the next: 64 times the groups.
  virtual std::size_t stride() const = 0;
  virtual std::size_t rows() const = 0;
  /// What it takes on the GPU, or is copied there; without tables.
  virtual std::size_t coded_bytes() const = 0;

  /// All rows into `out`, rows * stride() weights. An Error when a chunk is broken.
  virtual void decode(std::span<std::int8_t> out) = 0;

  /// sums[v * rows + row] = row * vector v of x, of `vectors` (1 ... kGpuMaxVectors) vectors of stride()
  /// activations, zeros where there is no column, none of them -128. An Error when a chunk is broken.
  virtual void multiply(std::span<const std::int8_t> x, int vectors, std::span<std::int32_t> sums) = 0;
};

/// Chunks of `rows_per_chunk` rows, the last one may have fewer.
struct GpuChunks {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t rows_per_chunk = 0;
  std::span<const std::span<const std::uint8_t>> chunks;
};

/// Where the coded bytes stay: on the GPU, or in pinned memory of the CPU, to be copied when they are needed.
enum class GpuPlace : std::uint8_t { kGpu, kHost };

/// Copies a matrix of one of the codecs raw, packed, tiered, quad and ans. Another codec, broken chunks and a
/// build without CUDA are Errors.
std::unique_ptr<GpuMatrix> make_gpu_matrix(const Decoder& decoder, const GpuChunks& chunks,
                                           GpuPlace place = GpuPlace::kGpu);

struct GpuPipelineOptions {
  int slots = 2;    // places on the GPU for coded matrices that lie in the CPU's memory
  int buffers = 2;  // places for decoded ones
  int vectors = 1;  // of a product, at most
};

/// Products with matrices one after the other, in their order, and again from the first: while one is
/// computed the next ones are copied and decoded, as far as the places reach. Until it is gone, nothing else
/// may use the GPU.
class GpuPipeline {
 public:
  virtual ~GpuPipeline() = default;

  /// The matrix that comes next.
  virtual const GpuMatrix& matrix() const = 0;
  /// What slots and buffers take on the GPU.
  virtual std::size_t room() const = 0;
  /// As GpuMatrix::multiply.
  virtual void multiply(std::span<const std::int8_t> x, int vectors, std::span<std::int32_t> sums) = 0;
};

/// Matrices of make_gpu_matrix, those with GpuPlace::kHost are copied.
std::unique_ptr<GpuPipeline> make_gpu_pipeline(std::vector<std::unique_ptr<GpuMatrix>> matrices,
                                               const GpuPipelineOptions& options);

/// Seconds of one product with each of the matrices, which are on the GPU, with `vectors` random vectors and
/// without transfers: the median of `repetitions` (1 or more) rounds.
double time_gpu_products(std::span<const std::unique_ptr<GpuMatrix>> matrices, int vectors, int repetitions);

/// Bytes that the GPU reads and writes in a second when it copies `bytes` within its memory.
double gpu_copy_rate(std::size_t bytes, int repetitions);

enum class GpuBlas : std::uint8_t { kInt8, kHalf };

/// Seconds of `count` products of cuBLAS, of different matrices of rows x cols (multiples of 16) times
/// `vectors` vectors. Nothing in a build without cuBLAS.
std::optional<double> time_gpu_blas(GpuBlas kind, std::size_t rows, std::size_t cols, int vectors,
                                    std::size_t count, int repetitions);

}  // namespace twofold
