#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "format/container.h"
#include "runtime/workspace.h"
#include "tensor/safetensors.h"

namespace twofold {

/// How a coded linear layer treats its input.
enum class ActivationMode {
  kPerToken,         // INT8, one step per token, from its maximum
  kPerTensorStatic,  // INT8, one step per layer, from calibration
  kNone,             // float activations, weights converted on the fly
};

ActivationMode parse_activation_mode(std::string_view name);  // as in `--activations`
std::string_view activation_mode_name(ActivationMode mode);

/// One batch of inputs [tokens, cols] in the form a linear layer multiplies.
struct LinearInput {
  const float* x = nullptr;      // scaled by 1 / s_j; used when not quantized
  AlignedVector<float> scaled;   // holds x where it had to be scaled
  AlignedVector<std::int8_t> q;  // [tokens, stride]
  std::size_t stride = 0;
  std::vector<std::int32_t> group_sums;  // of one token's q, by 64 columns
  std::vector<float> steps;              // per token: x ~ step * q
  AlignedVector<std::int8_t> packed;     // q as matmul_i8 reads it
};

/// The stored bytes of a weight, or a part of them, in memory.
struct StoredPart {
  std::span<const std::uint8_t> bytes;
  std::uint64_t begin = 0;  // of `bytes` in the whole

  /// Bytes [offset, offset + size) of the whole, which must be in this part.
  std::span<const std::uint8_t> at(std::uint64_t offset, std::uint64_t size) const {
    return bytes.subspan(offset - begin, size);
  }
};

/// A range of a weight's stored bytes.
struct ByteRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

/// Which weight it is and where its bytes are, as the files have it. Views live as long as the files.
struct StoredWeight {
  std::string_view name;                // of the tensor
  std::string_view file;                // path
  std::span<const std::uint8_t> bytes;  // in the file's mapping
  const CodedTensor* coded = nullptr;   // or nullptr
};

/// No pass of a prompt has more tokens; calibration and evaluation do.
inline constexpr std::int64_t kPassTokens = 512;

/// The weights of one linear layer and the way to multiply by them. Rows are computed in units that are the
/// same whatever the number of threads, so that results are too.
class Linear {
 public:
  virtual ~Linear() = default;
  std::int64_t rows() const { return rows_; }
  std::int64_t cols() const { return cols_; }

  virtual StoredWeight stored() const = 0;
  virtual std::int64_t units() const = 0;
  /// The stored bytes that a unit is computed from.
  virtual ByteRange unit_bytes(std::int64_t unit) const = 0;
  /// y[t * y_stride + r] = (W x)[t, r] + b[r] for the rows r of one unit. `part` has the unit's bytes.
  virtual void multiply(std::int64_t unit, const StoredPart& part, const LinearInput& input,
                        std::int64_t tokens, float* y, std::size_t y_stride,
                        Workspace::Worker& worker) const = 0;
  /// How many neighbouring units, from a multiple of it on, `multiply_units` should be given at once: more
  /// than one only for tokens > kPassTokens.
  virtual std::int64_t units_at_once(std::int64_t) const { return 1; }
  /// `multiply` for units [begin, end).
  virtual void multiply_units(std::int64_t begin, std::int64_t end, const StoredPart& part,
                              const LinearInput& input, std::int64_t tokens, float* y, std::size_t y_stride,
                              Workspace::Worker& worker) const {
    for (std::int64_t unit = begin; unit < end; ++unit)
      multiply(unit, part, input, tokens, y, y_stride, worker);
  }
  /// Puts x [tokens, cols] into the form `multiply` wants.
  virtual void prepare(const float* x, std::int64_t tokens, LinearInput& input, ThreadPool& pool) const = 0;
  /// True when both prepare every input alike.
  virtual bool same_input(const Linear& other) const = 0;

  /// All stored bytes, when they are in memory: mapped, or where `place` says.
  const StoredPart& placed() const { return placed_; }
  /// The weight's bytes are here from now on, and stay as long as this object.
  void place(std::span<const std::uint8_t> bytes) {
    placed_.bytes = bytes;
    streamed_.reset();
  }
  /// The weight's bytes come, a few units at a time, from the workspace's stream under this number.
  void stream(std::size_t number) {
    placed_.bytes = {};
    streamed_ = number;
  }
  std::optional<std::size_t> streamed() const { return streamed_; }

 protected:
  StoredPart placed_;
  std::optional<std::size_t> streamed_;
  std::int64_t rows_ = 0;
  std::int64_t cols_ = 0;
  std::vector<float> bias_;  // empty or `rows`
};

/// Weights in F32, F16 or BF16, converted by blocks of rows; FP32 arithmetic. The reference path.
std::unique_ptr<Linear> make_dense_linear(const TensorView& weight, std::vector<float> bias);

/// The same of a weight stored [cols, rows].
std::unique_ptr<Linear> make_transposed_linear(const TensorView& weight, std::vector<float> bias);

/// Coded INT8 weights, decoded by chunks into the worker's buffer; W8A8 or weight-only arithmetic.
/// `weight` must outlive the result.
std::unique_ptr<Linear> make_coded_linear(const CodedTensor& weight, ActivationMode mode,
                                          std::vector<float> bias);

/// y_i = W_i x + b_i for layers that share the input x [tokens, cols], as one parallel loop over all their
/// units; those of streamed weights follow as they arrive. y_i is [tokens, rows_i].
void multiply_group(std::span<const Linear* const> linears, const float* x, std::int64_t tokens,
                    std::span<float* const> y, Workspace& workspace);

/// A tensor in its file.
struct FilePart {
  std::shared_ptr<const File> file;
  std::uint64_t offset = 0;  // of the tensor
};

/// Rows of the token embedding, [vocab, hidden].
class Embedding {
 public:
  virtual ~Embedding() = default;
  virtual StoredWeight stored() const = 0;
  /// Rows are read from the file from now on, not from the mapping. Coded rows are compared with their
  /// checksums.
  virtual void read_from(FilePart file) = 0;
  /// out[i] = row ids[i]. Every id must be in [0, vocab).
  virtual void lookup(std::span<const std::int32_t> ids, float* out, Workspace& workspace) const = 0;
};

std::unique_ptr<Embedding> make_dense_embedding(const TensorView& weight);
std::unique_ptr<Embedding> make_coded_embedding(const CodedTensor& weight);

}  // namespace twofold
