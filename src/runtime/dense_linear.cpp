#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "kernels/ops.h"
#include "kernels/sgemm.h"
#include "runtime/linear.h"
#include "tensor/tensor_floats.h"

namespace twofold {

namespace {

// Enough rows for sgemm to reuse its packed input, few enough that the converted block stays in L2.
constexpr std::int64_t kUnitWeights = std::int64_t{1} << 18;

// sgemm packs all of its input at every call: with many tokens that costs more than it does to read converted
// rows from a farther cache.
constexpr std::int64_t kRowsAtOnce = 256;

/// Rows [begin, begin + count) of a matrix as floats: in place when they are stored so, else converted into
/// `buffer`.
const float* float_rows(const TensorView& weight, std::int64_t cols, std::int64_t begin, std::int64_t count,
                        AlignedVector<float>& buffer) {
  const std::size_t n = static_cast<std::size_t>(count * cols);
  if (!stored_plainly(weight)) {
    float* out = scratch(buffer, n);
    read_floats(weight, static_cast<std::uint64_t>(begin * cols), {out, n});
    return out;
  }
  const std::size_t width = dtype_bytes(weight.dtype);
  const auto bytes = weight.bytes.subspan(static_cast<std::size_t>(begin * cols) * width, n * width);
  const auto address = reinterpret_cast<std::uintptr_t>(bytes.data());
  if (weight.dtype == DType::kF32 && address % alignof(float) == 0) {
    return reinterpret_cast<const float*>(bytes.data());
  }
  float* out = scratch(buffer, n);
  const bool aligned = address % alignof(std::uint16_t) == 0;
  if (weight.dtype == DType::kBF16 && aligned) {
    ops().bf16_to_float(reinterpret_cast<const std::uint16_t*>(bytes.data()), out, n);
  } else if (weight.dtype == DType::kF16 && aligned) {
    ops().f16_to_float(reinterpret_cast<const std::uint16_t*>(bytes.data()), out, n);
  } else {
    to_float(weight.dtype, bytes, {out, n});
  }
  return out;
}

/// Bytes of a row as it is stored; rows are whole blocks.
std::uint64_t row_bytes(const TensorView& weight) {
  const auto rows = static_cast<std::uint64_t>(weight.shape.at(0));
  return rows == 0 ? 0 : weight.bytes.size() / rows;
}

/// Some rows of a matrix as a matrix of its own.
TensorView rows_of(const TensorView& weight, std::span<const std::uint8_t> bytes, std::int64_t rows) {
  TensorView part = weight;
  part.shape[0] = rows;
  part.bytes = bytes;
  return part;
}

class DenseLinear final : public Linear {
 public:
  DenseLinear(const TensorView& weight, std::vector<float> bias) : weight_(weight) {
    rows_ = weight.shape.at(0);
    cols_ = weight.shape.at(1);
    bias_ = std::move(bias);
    placed_.bytes = weight.bytes;
    unit_rows_ = std::clamp<std::int64_t>(kUnitWeights / std::max<std::int64_t>(cols_, 1), 16, 128);
  }

  StoredWeight stored() const override { return {weight_.name, weight_.file, weight_.bytes}; }

  std::int64_t units() const override { return (rows_ + unit_rows_ - 1) / unit_rows_; }

  ByteRange unit_bytes(std::int64_t unit) const override {
    if (weight_.paired_rows != 0) return {0, weight_.bytes.size()};  // rows are not in the order of the model
    const auto begin = static_cast<std::uint64_t>(unit * unit_rows_);
    const auto end = static_cast<std::uint64_t>(std::min((unit + 1) * unit_rows_, rows_));
    return {begin * row_bytes(weight_), end * row_bytes(weight_)};
  }

  void prepare(const float* x, std::int64_t, LinearInput& input, ThreadPool&) const override { input.x = x; }

  bool same_input(const Linear& other) const override {
    return dynamic_cast<const DenseLinear*>(&other) != nullptr;
  }

  void multiply(std::int64_t unit, const StoredPart& part, const LinearInput& input, std::int64_t tokens,
                float* y, std::size_t y_stride, Workspace::Worker& worker) const override {
    multiply_units(unit, unit + 1, part, input, tokens, y, y_stride, worker);
  }

  std::int64_t units_at_once(std::int64_t tokens) const override {
    return tokens > kPassTokens ? std::max<std::int64_t>(kRowsAtOnce / unit_rows_, 1) : 1;
  }

  void multiply_units(std::int64_t first, std::int64_t last, const StoredPart& part, const LinearInput& input,
                      std::int64_t tokens, float* y, std::size_t y_stride,
                      Workspace::Worker& worker) const override {
    const std::int64_t begin = first * unit_rows_;
    const std::int64_t count = std::min(last * unit_rows_, rows_) - begin;
    const ByteRange range = {unit_bytes(first).begin, unit_bytes(last - 1).end};
    const auto bytes = part.at(range.begin, range.end - range.begin);
    const bool whole = weight_.paired_rows != 0;
    const float* w = float_rows(rows_of(weight_, bytes, whole ? rows_ : count), cols_, whole ? begin : 0,
                                count, worker.floats);
    sgemm(input.x, static_cast<std::size_t>(tokens), static_cast<std::size_t>(cols_), w,
          static_cast<std::size_t>(count), y + begin, y_stride);
    if (bias_.empty()) return;
    for (std::int64_t t = 0; t < tokens; ++t) {
      float* row = y + static_cast<std::size_t>(t) * y_stride;
      for (std::int64_t r = begin; r < begin + count; ++r) row[r] += bias_[static_cast<std::size_t>(r)];
    }
  }

 private:
  TensorView weight_;
  std::int64_t unit_rows_ = 0;
};

/// y = x W' for a weight stored [cols, rows]: units are blocks of its columns.
class TransposedLinear final : public Linear {
 public:
  TransposedLinear(const TensorView& weight, std::vector<float> bias) : weight_(weight) {
    rows_ = weight.shape.at(1);
    cols_ = weight.shape.at(0);
    bias_ = std::move(bias);
    placed_.bytes = weight.bytes;
  }

  StoredWeight stored() const override { return {weight_.name, weight_.file, weight_.bytes}; }

  std::int64_t units() const override { return (rows_ + kUnitRows - 1) / kUnitRows; }

  ByteRange unit_bytes(std::int64_t) const override { return {0, weight_.bytes.size()}; }

  void prepare(const float* x, std::int64_t, LinearInput& input, ThreadPool&) const override { input.x = x; }

  bool same_input(const Linear& other) const override {
    return dynamic_cast<const TransposedLinear*>(&other) != nullptr;
  }

  void multiply(std::int64_t unit, const StoredPart& part, const LinearInput& input, std::int64_t tokens,
                float* y, std::size_t y_stride, Workspace::Worker& worker) const override {
    const auto begin = static_cast<std::size_t>(unit * kUnitRows);
    const auto count = static_cast<std::size_t>(std::min(kUnitRows, rows_ - unit * kUnitRows));
    const auto cols = static_cast<std::size_t>(cols_);
    const std::size_t width = dtype_bytes(weight_.dtype);
    float* block = scratch(worker.floats, cols * count);
    for (std::size_t c = 0; c < cols; ++c) {
      const std::size_t first = c * static_cast<std::size_t>(rows_) + begin;
      to_float(weight_.dtype, part.at(first * width, count * width), {block + c * count, count});
    }
    const auto n = static_cast<std::size_t>(tokens);
    ops().gemm_nn({.a = input.x,
                   .a_stride = cols,
                   .b = block,
                   .b_stride = count,
                   .c = y + begin,
                   .c_stride = y_stride,
                   .m = n,
                   .n = count,
                   .k = cols});
    if (bias_.empty()) return;
    for (std::size_t t = 0; t < n; ++t) {
      for (std::size_t r = begin; r < begin + count; ++r) y[t * y_stride + r] += bias_[r];
    }
  }

 private:
  static constexpr std::int64_t kUnitRows = 64;
  TensorView weight_;
};

class DenseEmbedding final : public Embedding {
 public:
  explicit DenseEmbedding(const TensorView& weight) : weight_(weight) {}

  StoredWeight stored() const override { return {weight_.name, weight_.file, weight_.bytes}; }

  void read_from(FilePart file) override { file_ = std::move(file); }

  void lookup(std::span<const std::int32_t> ids, float* out, Workspace& workspace) const override {
    const std::int64_t cols = weight_.shape.at(1);
    AlignedVector<std::uint8_t> bytes;  // of a row that was read
    for (const std::int32_t id : ids) {
      const float* row = nullptr;
      if (file_.file == nullptr) {
        row = float_rows(weight_, cols, id, 1, workspace.worker(0).floats);
      } else {
        bytes.resize(row_bytes(weight_));
        file_.file->read(file_.offset + static_cast<std::uint64_t>(id) * bytes.size(), bytes);
        row = float_rows(rows_of(weight_, bytes, 1), cols, 0, 1, workspace.worker(0).floats);
      }
      std::memcpy(out, row, static_cast<std::size_t>(cols) * sizeof(float));
      out += cols;
    }
  }

 private:
  TensorView weight_;
  FilePart file_;
};

}  // namespace

std::unique_ptr<Linear> make_dense_linear(const TensorView& weight, std::vector<float> bias) {
  return std::make_unique<DenseLinear>(weight, std::move(bias));
}

std::unique_ptr<Linear> make_transposed_linear(const TensorView& weight, std::vector<float> bias) {
  return std::make_unique<TransposedLinear>(weight, std::move(bias));
}

std::unique_ptr<Embedding> make_dense_embedding(const TensorView& weight) {
  return std::make_unique<DenseEmbedding>(weight);
}

}  // namespace twofold
