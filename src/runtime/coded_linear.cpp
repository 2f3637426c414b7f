#include <algorithm>

#include "base/cpu.h"
#include "base/error.h"
#include "base/hash.h"
#include "codec/plane_decoder.h"
#include "kernels/ops.h"
#include "kernels/plane_dot.h"
#include "kernels/sgemm.h"
#include "runtime/linear.h"

namespace twofold {

namespace {

// Sums of 127 * 127 products stay below 2^31 up to this many input channels.
constexpr std::int64_t kMaxChannels = 131072;

/// The chunk's weights: where they lie when the codec stores them raw, else decoded into `buffer`.
const std::int8_t* chunk_weights(const CodedTensor& tensor, std::int64_t chunk,
                                 std::span<const std::uint8_t> coded, AlignedVector<std::int8_t>& buffer) {
  if (const std::int8_t* direct = tensor.direct(chunk, coded)) return direct;
  const auto size = static_cast<std::size_t>(tensor.chunk_rows(chunk) * tensor.cols);
  std::int8_t* out = scratch(buffer, size);
  tensor.decode_chunk(chunk, coded, {out, size});
  return out;
}

template <typename T>
std::span<const std::uint8_t> bytes_of(std::span<const T> values) {
  return {reinterpret_cast<const std::uint8_t*>(values.data()), values.size_bytes()};
}

class CodedLinear final : public Linear {
 public:
  CodedLinear(const CodedTensor& weight, ActivationMode mode, std::vector<float> bias)
      : weight_(weight), mode_(mode) {
    rows_ = weight.rows;
    cols_ = weight.cols;
    placed_.bytes = weight.data;
    bias_ = std::move(bias);
    if (cols_ > kMaxChannels) {
      fail("{}: {}: expected at most {} input channels, found {}", weight.file, weight.name, kMaxChannels,
           cols_);
    }
    if (mode == ActivationMode::kPerTensorStatic && !(weight.activation_step > 0))
      mode_ = ActivationMode::kPerToken;
    for (const float s : weight.input_scale) inverse_scale_.push_back(1.0F / s);
    if (const auto* planes = dynamic_cast<const PlaneDecoder*>(weight.decoder.get()))
      planes_ = planes->table();
    if (mode_ != ActivationMode::kNone) order_ = weight.decoder->column_order();
    input_key_ = xxh3(bytes_of<float>(inverse_scale_)) + 3 * xxh3(bytes_of<std::int32_t>(order_));
  }

  StoredWeight stored() const override { return {weight_.name, weight_.file, weight_.data, &weight_}; }

  std::int64_t units() const override { return weight_.chunks(); }

  ByteRange unit_bytes(std::int64_t unit) const override {
    const std::uint64_t begin = weight_.chunk_offset(unit);
    return {begin, begin + weight_.chunk_size(unit)};
  }

  bool same_input(const Linear& other) const override {
    const auto* coded = dynamic_cast<const CodedLinear*>(&other);
    return coded != nullptr && coded->mode_ == mode_ && coded->input_key_ == input_key_ &&
           (mode_ != ActivationMode::kPerTensorStatic ||
            coded->weight_.activation_step == weight_.activation_step);
  }

  /// X' = X / s (arXiv 2502.15443, eq. 2), then INT8 with one step per token or per tensor (eq. 3).
  void prepare(const float* x, std::int64_t tokens, LinearInput& input, ThreadPool& pool) const override {
    const auto cols = static_cast<std::size_t>(cols_);
    const auto n = static_cast<std::size_t>(tokens);
    const float* inverse = inverse_scale_.empty() ? nullptr : inverse_scale_.data();
    if (mode_ == ActivationMode::kNone) {
      input.x = x;
      if (inverse == nullptr) return;
      input.scaled.resize(n * cols);
      for (std::size_t t = 0; t < n; ++t) {
        for (std::size_t c = 0; c < cols; ++c) input.scaled[t * cols + c] = x[t * cols + c] * inverse[c];
      }
      input.x = input.scaled.data();
      return;
    }
    input.stride = align_up(cols);
    input.q.resize(n * input.stride);
    input.steps.resize(n);
    input.packed.resize(packed_i8_size(n, cols));
    const auto quantize_groups = [&](std::size_t first_group, std::size_t last_group, int) {
      const std::size_t begin = first_group * kPackedTokens;
      const std::size_t end = std::min(n, last_group * kPackedTokens);
      for (std::size_t t = begin; t < end; ++t) {
        float step = weight_.activation_step;
        if (mode_ == ActivationMode::kPerToken) step = ops().abs_max(x + t * cols, inverse, cols) / 127.0F;
        input.steps[t] = step;
        std::int8_t* q = input.q.data() + t * input.stride;
        ops().quantize(x + t * cols, inverse, step > 0 ? 1.0F / step : 0.0F, cols, q);
        std::fill(q + cols, q + input.stride, std::int8_t{0});
        if (!order_.empty()) reorder(q);
      }
      if (n == 1) {  // for products from planes, of this linear or one that shares the input
        input.group_sums.resize(input.stride / kGroupColumns);
        sum_groups(input.q, input.group_sums);
      }
      ops().pack_i8(input.q.data(), input.stride, cols, n, begin, end, input.packed.data());
    };
    const std::size_t groups = (n + kPackedTokens - 1) / kPackedTokens;
    constexpr std::size_t kWorthSharing = 1 << 16;  // elements
    if (n * cols < kWorthSharing) {
      quantize_groups(0, groups, 0);
    } else {
      pool.run(groups, quantize_groups);
    }
  }

  void multiply(std::int64_t unit, const StoredPart& part, const LinearInput& input, std::int64_t tokens,
                float* y, std::size_t y_stride, Workspace::Worker& worker) const override {
    const auto coded = part.at(weight_.chunk_offset(unit), weight_.chunk_size(unit));
    const auto first = static_cast<std::size_t>(weight_.chunk_begin(unit));
    const auto rows = static_cast<std::size_t>(weight_.chunk_rows(unit));
    const auto cols = static_cast<std::size_t>(cols_);
    const auto n = static_cast<std::size_t>(tokens);
    y += first;
    if (mode_ == ActivationMode::kNone) {
      const std::int8_t* w = chunk_weights(weight_, unit, coded, worker.weights);
      float* floats = scratch(worker.floats, rows * cols);
      for (std::size_t i = 0; i < rows * cols; ++i) floats[i] = w[i];
      sgemm(input.x, n, cols, floats, rows, y, y_stride);
      finish(y, y_stride, first, rows, n, [&](std::size_t t, std::size_t r) { return y[t * y_stride + r]; });
      return;
    }
    std::int32_t* sums = scratch(worker.sums, n * rows);
    if (n == 1 && planes_ != nullptr) {
      multiply_coded(unit, coded, rows, input, sums);
    } else {
      const std::int8_t* w = weight_.direct(unit, coded);
      if (w == nullptr) {
        const std::span<std::int8_t> decoded(scratch(worker.weights, rows * cols), rows * cols);
        weight_.decode_chunk_in_order(unit, coded, decoded);
        w = decoded.data();
      }
      ops().matmul_i8(w, rows, cols, input.packed.data(), n, sums, rows);
    }
    finish(y, y_stride, first, rows, n, [&](std::size_t t, std::size_t r) {
      return static_cast<float>(sums[t * rows + r]) * input.steps[t];
    });
  }

 private:
  /// y = value * weight step + bias.
  template <typename Value>
  void finish(float* y, std::size_t y_stride, std::size_t first, std::size_t rows, std::size_t tokens,
              const Value& value) const {
    const float* scale = weight_.scale.data();
    const bool per_row = weight_.scale.size() > 1;
    for (std::size_t t = 0; t < tokens; ++t) {
      float* out = y + t * y_stride;
      for (std::size_t r = 0; r < rows; ++r) {
        out[r] = value(t, r) * scale[per_row ? first + r : 0] + (bias_.empty() ? 0.0F : bias_[first + r]);
      }
    }
  }

  /// One token: straight from the coded weights.
  void multiply_coded(std::int64_t unit, std::span<const std::uint8_t> coded, std::size_t rows,
                      const LinearInput& input, std::int32_t* sums) const {
    static const PlaneDot dot = plane_dot(active_isa());
    PlaneCursor cursor = weight_.open_planes(unit, coded);
    dot(*planes_, cursor, rows, input.q.data(), sums);
    const std::int32_t base = plane_base_sum(*planes_, input.group_sums);
    for (std::size_t r = 0; r < rows; ++r) sums[r] += base;
  }

  /// Puts one token's activations into the order of the coded columns.
  void reorder(std::int8_t* q) const {
    thread_local std::vector<std::int8_t> copy;
    copy.assign(q, q + cols_);
    for (std::size_t i = 0; i < order_.size(); ++i) q[i] = copy[static_cast<std::size_t>(order_[i])];
  }

  const CodedTensor& weight_;
  ActivationMode mode_;
  std::vector<float> inverse_scale_;     // 1 / s_j, or empty
  std::span<const std::int32_t> order_;  // of the coded columns, or empty
  const PlaneTable* planes_ = nullptr;   // when products can be taken from the coded weights
  std::uint64_t input_key_ = 0;          // hash of what decides the form of the input
};

class CodedEmbedding final : public Embedding {
 public:
  explicit CodedEmbedding(const CodedTensor& weight) : weight_(weight) {}

  StoredWeight stored() const override { return {weight_.name, weight_.file, weight_.data, &weight_}; }

  void read_from(FilePart file) override { file_ = std::move(file); }

  void lookup(std::span<const std::int32_t> ids, float* out, Workspace& workspace) const override {
    // Visit the ids in order of their chunks, so that a prompt decodes each chunk once.
    std::vector<std::size_t> order(ids.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return ids[a] < ids[b]; });
    const auto cols = static_cast<std::size_t>(weight_.cols);
    std::int64_t current = -1;
    AlignedVector<std::uint8_t> coded;  // of a chunk that was read
    const std::int8_t* w = nullptr;
    for (const std::size_t i : order) {
      const std::int64_t chunk = ids[i] / weight_.rows_per_chunk;
      if (chunk != current)
        w = chunk_weights(weight_, chunk, chunk_bytes(chunk, coded), workspace.worker(0).weights);
      current = chunk;
      const std::int8_t* row = w + static_cast<std::size_t>(ids[i] - weight_.chunk_begin(chunk)) * cols;
      const float step = weight_.scale[weight_.scale.size() > 1 ? static_cast<std::size_t>(ids[i]) : 0];
      for (std::size_t c = 0; c < cols; ++c) {
        const float s = weight_.input_scale.empty() ? 1.0F : weight_.input_scale[c];
        out[i * cols + c] = static_cast<float>(row[c]) * step / s;
      }
    }
  }

 private:
  std::span<const std::uint8_t> chunk_bytes(std::int64_t chunk, AlignedVector<std::uint8_t>& buffer) const {
    if (file_.file == nullptr) return weight_.chunk_bytes(chunk);
    buffer.resize(weight_.chunk_size(chunk));
    file_.file->read(file_.offset + weight_.chunk_offset(chunk), buffer);
    weight_.verify_chunk(chunk, buffer);
    return buffer;
  }

  const CodedTensor& weight_;
  FilePart file_;
};

}  // namespace

std::unique_ptr<Linear> make_coded_linear(const CodedTensor& weight, ActivationMode mode,
                                          std::vector<float> bias) {
  return std::make_unique<CodedLinear>(weight, mode, std::move(bias));
}

std::unique_ptr<Embedding> make_coded_embedding(const CodedTensor& weight) {
  return std::make_unique<CodedEmbedding>(weight);
}

}  // namespace twofold
