#pragma once

#include <memory>
#include <span>
#include <vector>

#include "kernels/cuda/gpu_matrix.h"
#include "kernels/cuda/transformer.h"

namespace twofold {

/// Room that all linears of a model use by turns.
struct GpuLinearRoom {
  GpuArray<float> floats;             // inputs
  GpuArray<std::int8_t> q;            // inputs as INT8
  GpuArray<std::int32_t> group_sums;  // of q
  GpuArray<float> steps;
  GpuArray<std::int32_t> sums;  // products
};

/// Linears that multiply the same vectors, at most device::kStepProducts; coded ones with equal scales and
/// orders of columns share their INT8.
class GpuLinears {
 public:
  explicit GpuLinears(std::span<const GpuLinearSource> sources);

  std::int64_t rows() const { return rows_; }  // of all
  std::int64_t cols() const { return cols_; }

  /// Grows the room to what passes of `tokens` tokens need.
  void reserve(GpuLinearRoom& room, std::int64_t tokens) const;

  /// y = W x + bias for `tokens` tokens of `in`, whose cols are set here: token t's rows of all linears one
  /// after the other at y + t * rows(), stored or added.
  void run(device::StepValues in, std::uint32_t tokens, const GpuLinearRoom& room, float* y, bool add,
           device::Stream stream);

 private:
  struct Input {
    std::vector<std::uint32_t> column_of;  // host's copies, to compare
    std::vector<float> inverse_of;
    float step = 0;
    std::size_t stride = 0;
    GpuArray<std::uint32_t> column;
    GpuArray<float> inverse;
  };
  struct Member {
    std::uint32_t rows = 0;
    std::size_t input = 0;                   // coded
    std::unique_ptr<CodedGpuMatrix> matrix;  // or nullptr
    GpuArray<float> scale;
    GpuArray<std::uint8_t> floats;
    device::StepFloat type = device::StepFloat::kF32;
    GpuArray<float> bias;
  };

  std::size_t find_input(const GpuLinearSource& source, std::size_t stride);

  std::vector<Input> inputs_;
  std::vector<Member> members_;
  std::int64_t rows_ = 0;
  std::int64_t cols_ = 0;
};

}  // namespace twofold
