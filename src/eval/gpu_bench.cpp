#include "eval/gpu_bench.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "codec/entropy.h"
#include "kernels/cuda/device.h"

namespace twofold {

namespace {

constexpr std::size_t kChunkWeights = 1 << 16;  // as the container cuts them

/// A matrix on the GPU so many times, and what it takes.
struct OnGpu {
  std::vector<std::unique_ptr<GpuMatrix>> matrices;
  std::uint64_t stored = 0;  // bytes of all, tables included
};

OnGpu put_on_gpu(const Codec& codec, const std::vector<KernelBenchMatrix>& matrices, std::size_t times) {
  OnGpu result;
  for (const KernelBenchMatrix& matrix : matrices) {
    const auto cols = static_cast<std::size_t>(matrix.cols);
    const std::vector<std::uint8_t> table = codec.make_table(matrix.weights, matrix.cols);
    const std::size_t rows_per_chunk = std::max<std::size_t>(1, kChunkWeights / cols);
    const std::size_t chunk = rows_per_chunk * cols;
    std::vector<std::vector<std::uint8_t>> parts;
    std::uint64_t stored = table.size();
    for (std::size_t i = 0; i < matrix.weights.size(); i += chunk) {
      const std::size_t count = std::min(chunk, matrix.weights.size() - i);
      codec.encode(table, std::span(matrix.weights).subspan(i, count), matrix.cols, parts.emplace_back());
      stored += parts.back().size();
    }
    const std::vector<std::span<const std::uint8_t>> chunks(parts.begin(), parts.end());
    const std::unique_ptr<Decoder> decoder = codec.make_decoder(table, matrix.cols);
    for (std::size_t i = 0; i < times; ++i) {
      result.matrices.push_back(make_gpu_matrix(
          *decoder, {matrix.rows, matrix.cols, static_cast<std::int64_t>(rows_per_chunk), chunks}));
      result.stored += stored;
    }
    // One vector, against the weights in the decoder's order.
    GpuMatrix& first = *result.matrices[result.matrices.size() - times];
    Random random(cols);
    std::vector<std::int8_t> x(first.stride(), 0);
    for (std::size_t i = 0; i < cols; ++i) {
      x[i] = static_cast<std::int8_t>(static_cast<int>(random.below(255)) - 127);
    }
    std::vector<std::int32_t> sums(first.rows());
    first.multiply(x, 1, sums);
    const std::span<const std::int32_t> order = decoder->column_order();
    for (std::size_t row = 0; row < sums.size(); ++row) {
      std::int32_t expected = 0;
      for (std::size_t i = 0; i < cols; ++i) {
        const std::size_t column = order.empty() ? i : static_cast<std::size_t>(order[i]);
        expected += matrix.weights[row * cols + column] * x[i];
      }
      if (sums[row] != expected)
        fail("{}: the GPU's product of row {} differs from the weights'", codec.name(), row);
    }
  }
  return result;
}

}  // namespace

GpuBench bench_gpu_kernels(const std::vector<KernelBenchMatrix>& matrices, const KernelBenchOptions& options,
                           const std::function<void(double)>& progress) {
  if (const std::string reason = why_no_gpu(); !reason.empty()) fail("--device cuda: {}", reason);
  if (matrices.empty()) fail("no matrices to measure");
  GpuBench bench;
  bench.device = gpus()[0].name;
  double bits = 0;
  for (const KernelBenchMatrix& matrix : matrices) {
    Histogram histogram{};
    count_values(matrix.weights, histogram);
    bits += order0_entropy(histogram) * static_cast<double>(matrix.weights.size());
    bench.weights += matrix.weights.size();
  }
  bench.entropy_bits_per_weight = bits / static_cast<double>(bench.weights);
  const auto times = static_cast<std::size_t>((options.bytes + bench.weights - 1) / bench.weights);
  bench.weights *= times;
  bench.copy_bytes_per_second = gpu_copy_rate(std::size_t{1} << 28, options.repetitions);

  std::vector<const Codec*> codecs{&find_codec("raw")};
  codecs.insert(codecs.end(), options.codecs.begin(), options.codecs.end());
  std::vector<double> raw(options.tokens.size());
  const double steps = static_cast<double>((codecs.size() + 2) * options.tokens.size());
  double done = 0;
  const auto add = [&](std::string name, std::size_t i, double bits_per_weight, double seconds) {
    KernelFigures f{
        .codec = std::move(name), .tokens = options.tokens[i], .bits_per_weight = bits_per_weight};
    f.over_entropy = bits_per_weight / bench.entropy_bits_per_weight - 1;
    f.weights_per_second = static_cast<double>(bench.weights) / seconds;
    if (bench.figures.size() < options.tokens.size()) raw[i] = f.weights_per_second;
    f.over_raw = f.weights_per_second / raw[i];
    f.of_bandwidth = f.weights_per_second * bits_per_weight / 8 / bench.copy_bytes_per_second;
    bench.figures.push_back(std::move(f));
    progress(++done / steps);
  };
  for (const Codec* codec : codecs) {
    const OnGpu on_gpu = put_on_gpu(*codec, matrices, times);
    for (std::size_t i = 0; i < options.tokens.size(); ++i) {
      add(std::string(codec->name()), i,
          8 * static_cast<double>(on_gpu.stored) / static_cast<double>(bench.weights),
          time_gpu_products(on_gpu.matrices, static_cast<int>(options.tokens[i]), options.repetitions));
    }
  }
  for (const auto& [kind, name, width] :
       {std::tuple{GpuBlas::kInt8, "cuBLAS INT8", 8.0}, std::tuple{GpuBlas::kHalf, "cuBLAS FP16", 16.0}}) {
    for (std::size_t i = 0; i < options.tokens.size(); ++i) {
      double seconds = 0;
      for (const KernelBenchMatrix& matrix : matrices) {
        // Multiples of 16, which its kernels take; the weights that are not there are multiplied for nothing.
        const auto rows = static_cast<std::size_t>(matrix.rows + 15) / 16 * 16;
        const auto cols = static_cast<std::size_t>(matrix.cols + 15) / 16 * 16;
        const std::optional<double> time =
            time_gpu_blas(kind, rows, cols, static_cast<int>(options.tokens[i]), times, options.repetitions);
        if (!time) return bench;
        seconds += *time;
      }
      add(name, i, width, seconds);
    }
  }
  return bench;
}

}  // namespace twofold
