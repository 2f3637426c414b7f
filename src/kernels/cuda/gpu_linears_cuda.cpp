// Linears of a model on the GPU: their inputs as INT8, products from the coded weights, and products as
// floats.

#include <algorithm>

#include "base/aligned.h"
#include "base/error.h"
#include "kernels/cuda/gpu_linears.h"
#include "kernels/plane_dot.h"

namespace twofold {

namespace {

using Size = std::size_t;

// Sums of 127 * 127 products stay below 2^31 up to this many columns.
constexpr std::int64_t kMaxCols = 131072;

/// Vectors that kernels may read and write when there are `tokens`, see CodedGpuMatrix::send.
Size padded(Size tokens) {
  return align_up(tokens, static_cast<Size>(tokens <= kGemvVectors ? 8 : device::kTensorVectors));
}

template <typename T>
const T* data_or_null(const GpuArray<T>& array) {
  return array.size() == 0 ? nullptr : array.data();
}

template <typename T>
void grow_cleared(GpuArray<T>& array, Size count) {
  if (count <= array.size()) return;
  array.grow(count);
  array.clear();
}

}  // namespace

GpuLinears::GpuLinears(std::span<const GpuLinearSource> sources) : cols_(sources[0].cols) {
  if (sources.size() > device::kStepProducts) fail("GPU: {} linears with one input", sources.size());
  for (const GpuLinearSource& source : sources) {
    if (source.cols != cols_ || source.cols % 2 != 0 || source.cols > kMaxCols) {
      fail(
          "GPU: {}: {} input channels, expected an even number up to {}, the same for all that share an "
          "input",
          source.name, source.cols, kMaxCols);
    }
    Member& member = members_.emplace_back();
    member.rows = static_cast<std::uint32_t>(source.rows);
    rows_ += source.rows;
    if (!source.bias.empty()) member.bias = GpuArray<float>(std::span<const float>(source.bias));
    if (source.decoder == nullptr) {
      member.floats = GpuArray<std::uint8_t>(source.floats);
      member.type = source.type;
      continue;
    }
    try {
      std::unique_ptr<GpuMatrix> matrix =
          make_gpu_matrix(*source.decoder, {source.rows, source.cols, source.rows_per_chunk, source.chunks});
      // There is no other kind.
      member.matrix.reset(dynamic_cast<CodedGpuMatrix*>(matrix.release()));
    } catch (const Error& error) {
      fail("{}: {}", source.name, error.what());
    }
    member.scale = GpuArray<float>(source.scale);
    member.input = find_input(source, member.matrix->stride());
  }
}

std::size_t GpuLinears::find_input(const GpuLinearSource& source, std::size_t stride) {
  Input input;
  const std::span<const std::int32_t> order = source.decoder->column_order();
  input.column_of.assign(order.begin(), order.end());
  for (Size place = 0; place < source.input_scale.size(); ++place) {
    input.inverse_of.push_back(1.0F / source.input_scale[order.empty() ? place : input.column_of[place]]);
  }
  input.step = source.activation_step;
  input.stride = stride;
  for (Size i = 0; i < inputs_.size(); ++i) {
    if (inputs_[i].column_of == input.column_of && inputs_[i].inverse_of == input.inverse_of &&
        inputs_[i].step == input.step)
      return i;
  }
  if (!order.empty()) input.column = GpuArray<std::uint32_t>(std::span<const std::uint32_t>(input.column_of));
  if (!input.inverse_of.empty()) input.inverse = GpuArray<float>(std::span<const float>(input.inverse_of));
  inputs_.push_back(std::move(input));
  return inputs_.size() - 1;
}

void GpuLinears::reserve(GpuLinearRoom& room, std::int64_t tokens) const {
  const Size n = padded(static_cast<Size>(tokens));
  Size q = 0;
  for (const Input& input : inputs_) q += n * input.stride;
  Size sums = 0;
  for (const Member& member : members_) {
    if (member.matrix == nullptr) continue;
    sums += n * member.rows;
    if (!member.matrix->decodes_ahead(static_cast<int>(tokens)) && !member.matrix->decodes_ahead(1)) continue;
    member.matrix->workspace().weights.grow(member.rows * member.matrix->stride());
  }
  room.floats.grow(n * static_cast<Size>(cols_));
  // Cleared, because kernels multiply vectors that are not there too.
  grow_cleared(room.q, q);
  grow_cleared(room.group_sums, q / kGroupColumns);
  grow_cleared(room.steps, n * inputs_.size());
  room.sums.grow(sums);
}

void GpuLinears::run(device::StepValues in, std::uint32_t tokens, const GpuLinearRoom& room, float* y,
                     bool add, device::Stream stream) {
  using Kind = device::StepValues::Kind;
  const Size n = padded(tokens);
  in.cols = static_cast<std::uint32_t>(cols_);

  // The first kernel computes the values, the others take them from there.
  std::vector<device::StepQuantized> quantized;
  Size used = 0;
  for (const Input& input : inputs_) {
    quantized.push_back({data_or_null(input.column), data_or_null(input.inverse), input.step, input.stride,
                         room.q.data() + used, room.group_sums.data() + used / kGroupColumns,
                         room.steps.data() + quantized.size() * n});
    used += n * input.stride;
  }
  const auto prepare = [&](const device::StepQuantized& to) {
    device::prepare_input(in, room.floats.data(), to, tokens, stream);
    if (in.kind != Kind::kAsIs) in = {Kind::kAsIs, room.floats.data(), nullptr, in.cols, in.cols, 0};
  };
  for (const device::StepQuantized& to : quantized) prepare(to);
  if (in.kind != Kind::kAsIs) prepare({});

  Size sums = 0;
  for (const Member& member : members_) sums += member.matrix == nullptr ? 0 : n * member.rows;
  if (sums > 0) {
    check_gpu(
        cudaMemsetAsync(room.sums.data(), 0, sums * sizeof(std::int32_t), static_cast<cudaStream_t>(stream)),
        "clear");
  }
  device::StepProducts products[device::kStepProducts];
  int count = 0;
  std::int32_t* to = room.sums.data();
  for (const Member& member : members_) {
    if (member.matrix == nullptr) {
      device::multiply_floats(
          {member.floats.data(), member.type, member.rows, in.cols, data_or_null(member.bias)}, in.x,
          in.stride, y, static_cast<Size>(rows_), add, tokens, stream);
    } else {
      CodedGpuMatrix& matrix = *member.matrix;
      const device::StepQuantized& x = quantized[member.input];
      const device::Products all = {x.q, x.stride, x.group_sums, to, member.rows};
      if (matrix.decodes_ahead(static_cast<int>(tokens))) {
        std::int8_t* const weights = matrix.workspace().weights.data();
        matrix.start_decode(matrix.gpu_bytes(), weights, stream);
        CodedGpuMatrix::start_products(weights, all, static_cast<int>(tokens), stream);
      } else {
        matrix.start_multiply(matrix.gpu_bytes(), all, static_cast<int>(tokens), stream);
      }
      products[count++] = {
          to,          x.steps, member.scale.data(), member.scale.size() > 1, data_or_null(member.bias),
          member.rows, y};
      to += n * member.rows;
    }
    y += member.rows;
  }
  if (count > 0) device::finish_products(products, count, static_cast<Size>(rows_), add, tokens, stream);
}

}  // namespace twofold
