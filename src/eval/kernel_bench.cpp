#include "eval/kernel_bench.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>

#include "base/aligned.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "codec/entropy.h"
#include "codec/plane_decoder.h"
#include "kernels/ops.h"
#include "kernels/plane_dot.h"

namespace twofold {

namespace {

constexpr std::size_t kChunkWeights = 1 << 16;  // as the container cuts them
constexpr double kTwoPi = 6.283185307179586;

double seconds(const std::function<void()>& function) {
  const auto begin = std::chrono::steady_clock::now();
  function();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double entropy_of(std::span<const std::int8_t> weights) {
  Histogram histogram{};
  count_values(weights, histogram);
  return order0_entropy(histogram);
}

/// One activation vector for every column of the widest matrix, the same for all codecs.
std::vector<std::int8_t> random_activations(std::size_t count) {
  Random random(count);
  std::vector<std::int8_t> x(count);
  for (std::int8_t& a : x) a = static_cast<std::int8_t>(static_cast<int>(random.below(255)) - 127);
  return x;
}

/// One matrix coded, with activations in its order of columns.
struct CodedMatrix {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::size_t rows_per_chunk = 0;
  std::vector<std::uint8_t> table;
  AlignedVector<std::uint8_t> bytes;  // chunks on cache lines
  std::vector<std::size_t> begin;     // of each chunk
  std::vector<std::size_t> size;
  std::uint64_t stored = 0;  // chunks and table

  std::size_t chunk_rows(std::size_t chunk) const {
    return std::min(rows_per_chunk, static_cast<std::size_t>(rows) - chunk * rows_per_chunk);
  }
};

CodedMatrix code(const Codec& codec, const KernelBenchMatrix& matrix, ThreadPool& pool) {
  CodedMatrix coded;
  coded.rows = matrix.rows;
  coded.cols = matrix.cols;
  const auto cols = static_cast<std::size_t>(matrix.cols);
  coded.rows_per_chunk = std::max<std::size_t>(1, kChunkWeights / cols);
  coded.table = codec.make_table(matrix.weights, matrix.cols);
  const std::size_t chunks =
      (static_cast<std::size_t>(matrix.rows) + coded.rows_per_chunk - 1) / coded.rows_per_chunk;
  std::vector<std::vector<std::uint8_t>> parts(chunks);
  pool.run(chunks, [&](std::size_t from, std::size_t to, int) {
    for (std::size_t i = from; i < to; ++i) {
      codec.encode(
          coded.table,
          std::span(matrix.weights).subspan(i * coded.rows_per_chunk * cols, coded.chunk_rows(i) * cols),
          matrix.cols, parts[i]);
    }
  });
  std::size_t total = 0;
  for (const auto& part : parts) total += align_up(part.size());
  coded.bytes.resize(total);
  std::size_t at = 0;
  coded.stored = coded.table.size();
  for (const auto& part : parts) {
    coded.begin.push_back(at);
    coded.size.push_back(part.size());
    std::copy(part.begin(), part.end(), coded.bytes.begin() + static_cast<std::ptrdiff_t>(at));
    std::fill_n(coded.bytes.begin() + static_cast<std::ptrdiff_t>(at + part.size()),
                align_up(part.size()) - part.size(), std::uint8_t{0});
    at += align_up(part.size());
    coded.stored += part.size();
  }
  return coded;
}

/// How one matrix is multiplied on one instruction set.
class Product {
 public:
  Product(const Codec& codec, const CodedMatrix& coded, Isa isa, std::int64_t tokens,
          std::span<const std::int8_t> x)
      : coded_(coded),
        ops_(ops_for(isa)),
        dot_(plane_dot(isa)),
        decoder_(codec.make_decoder(coded.table, coded.cols, isa)),
        tokens_(static_cast<std::size_t>(tokens)) {
    if (const auto* planes = dynamic_cast<const PlaneDecoder*>(decoder_.get());
        tokens == 1 && planes != nullptr) {
      table_ = planes->table();
      planes_ = planes;
    }
    const auto cols = static_cast<std::size_t>(coded.cols);
    const std::size_t stride = align_up(cols);
    AlignedVector<std::int8_t> q(tokens_ * stride);
    std::fill(q.begin(), q.end(), std::int8_t{0});
    const std::span<const std::int32_t> order = decoder_->column_order();
    for (std::size_t t = 0; t < tokens_; ++t) {
      for (std::size_t i = 0; i < cols; ++i) {
        // Tokens differ by a shift of the same numbers.
        const std::size_t column = order.empty() ? i : static_cast<std::size_t>(order[i]);
        q[t * stride + i] = x[(column + t) % cols];
      }
    }
    if (table_ != nullptr) {
      std::vector<std::int32_t> group_sums(stride / kGroupColumns);
      sum_groups(q, group_sums);
      base_ = plane_base_sum(*table_, group_sums);
      x_ = std::move(q);
    } else {
      x_.resize(packed_i8_size(tokens_, cols));
      ops_.pack_i8(q.data(), stride, cols, tokens_, 0, tokens_, x_.data());
    }
  }

  /// sums: [tokens, rows of the chunk]. `coded`: the chunk's bytes, wherever they are.
  void multiply(std::size_t chunk, std::span<const std::uint8_t> coded, AlignedVector<std::int8_t>& buffer,
                std::int32_t* sums) const {
    const std::size_t rows = coded_.chunk_rows(chunk);
    const auto cols = static_cast<std::size_t>(coded_.cols);
    if (table_ != nullptr) {
      PlaneCursor cursor = planes_->open(coded, static_cast<std::int64_t>(rows));
      dot_(*table_, cursor, rows, x_.data(), sums);
      for (std::size_t r = 0; r < rows; ++r) sums[r] += base_;
      return;
    }
    const std::int8_t* weights = decoder_->direct(coded, rows * cols);
    if (weights == nullptr) {
      if (buffer.size() < rows * cols) buffer.resize(rows * cols);
      decoder_->decode_in_order(coded, std::span(buffer).first(rows * cols));
      weights = buffer.data();
    }
    ops_.matmul_i8(weights, rows, cols, x_.data(), tokens_, sums, rows);
  }

 private:
  const CodedMatrix& coded_;
  const Ops& ops_;
  PlaneDot dot_;
  std::unique_ptr<Decoder> decoder_;
  std::size_t tokens_;
  const PlaneDecoder* planes_ = nullptr;
  const PlaneTable* table_ = nullptr;
  AlignedVector<std::int8_t> x_;
  std::int32_t base_ = 0;
};

/// All matrices of one codec, as often in memory as it takes.
struct Copies {
  std::vector<CodedMatrix> coded;
  std::vector<AlignedVector<std::uint8_t>> more;  // more copies of all matrices, one after the other

  struct Chunk {
    std::size_t matrix;
    std::size_t chunk;
    std::span<const std::uint8_t> bytes;
  };
  std::vector<Chunk> chunks;
  double bits_per_weight = 0;
  std::uint64_t read_bytes = 0;
};

Copies make_copies(const Codec& codec, const std::vector<KernelBenchMatrix>& matrices, std::size_t times,
                   ThreadPool& pool) {
  Copies copies;
  std::uint64_t stored = 0;
  std::uint64_t weights = 0;
  for (const KernelBenchMatrix& matrix : matrices) {
    copies.coded.push_back(code(codec, matrix, pool));
    stored += copies.coded.back().stored;
    weights += matrix.weights.size();
  }
  copies.bits_per_weight = 8.0 * static_cast<double>(stored) / static_cast<double>(weights);
  for (std::size_t copy = 0; copy < times; ++copy) {
    for (std::size_t m = 0; m < matrices.size(); ++m) {
      const CodedMatrix& coded = copies.coded[m];
      const std::uint8_t* data = coded.bytes.data();
      if (copy > 0) {
        copies.more.push_back(coded.bytes);
        data = copies.more.back().data();
      }
      for (std::size_t i = 0; i < coded.begin.size(); ++i) {
        copies.chunks.push_back({m, i, {data + coded.begin[i], coded.size[i]}});
        copies.read_bytes += coded.size[i];
      }
    }
  }
  return copies;
}

/// Seconds to read all copies of all matrices as they are, the fastest way.
double read_seconds(const Copies& copies, ThreadPool& pool) {
  std::vector<std::span<const std::uint8_t>> blocks;
  for (const CodedMatrix& coded : copies.coded) blocks.emplace_back(coded.bytes);
  for (const auto& bytes : copies.more) blocks.emplace_back(bytes);
  std::atomic<std::uint64_t> sink{0};
  const auto read = [&](int streams) {
    return seconds([&] {
      pool.run(static_cast<std::size_t>(pool.size()), [&](std::size_t from, std::size_t to, int) {
        for (std::size_t part = from; part < to; ++part) {
          for (const auto& block : blocks) {
            const std::size_t size = block.size() / static_cast<std::size_t>(pool.size());
            sink += read_in_streams(block.subspan(part * size, size), streams);
          }
        }
      });
    });
  };
  double least = std::numeric_limits<double>::infinity();
  for (const int streams : kReadStreams) least = std::min(least, read(streams));
  return least;
}

/// A configuration and its times.
struct Run {
  KernelFigures figures;
  const Copies* copies = nullptr;
  std::vector<Product> products;  // one per matrix
  std::vector<double> times;
};

void multiply_all(const Run& run, ThreadPool& pool, std::vector<std::int32_t>* check) {
  const std::vector<Copies::Chunk>& chunks = run.copies->chunks;
  const auto tokens = static_cast<std::size_t>(run.figures.tokens);
  pool.run(chunks.size(), [&](std::size_t from, std::size_t to, int) {
    AlignedVector<std::int8_t> buffer;
    std::vector<std::int32_t> sums;
    for (std::size_t i = from; i < to; ++i) {
      const Copies::Chunk& chunk = chunks[i];
      sums.resize(tokens * run.copies->coded[chunk.matrix].chunk_rows(chunk.chunk));
      run.products[chunk.matrix].multiply(chunk.chunk, chunk.bytes, buffer, sums.data());
      if (check != nullptr) check->insert(check->end(), sums.begin(), sums.end());
    }
  });
}

}  // namespace

KernelBenchMatrix gaussian_matrix(std::int64_t rows, std::int64_t cols, double bits, double spread,
                                  std::uint64_t seed) {
  if (!(bits >= 0.1 && bits <= 7.8)) fail("an entropy of {} bits, expected 0.1 to 7.8", bits);
  Random random(seed);
  const auto normal = [&random] {
    return std::sqrt(-2 * std::log(1 - random.uniform())) * std::cos(kTwoPi * random.uniform());
  };
  std::vector<double> scale(static_cast<std::size_t>(cols));
  for (double& s : scale) s = std::exp(spread * normal());
  std::vector<float> values(static_cast<std::size_t>(rows * cols));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(normal() * scale[i % scale.size()]);

  KernelBenchMatrix matrix{.weights = std::vector<std::int8_t>(values.size()), .rows = rows, .cols = cols};
  // The entropy rises with the deviation, until clamping flattens it.
  double low = 0.05;
  double high = 128;
  for (int step = 0; step < 24; ++step) {
    const auto deviation = static_cast<float>(std::sqrt(low * high));
    const std::size_t sample = step < 23 ? std::min<std::size_t>(values.size(), 1 << 18) : values.size();
    for (std::size_t i = 0; i < sample; ++i) {
      matrix.weights[i] =
          static_cast<std::int8_t>(std::clamp(std::nearbyint(values[i] * deviation), -127.0F, 127.0F));
    }
    (entropy_of(std::span(matrix.weights).first(sample)) < bits ? low : high) = deviation;
  }
  return matrix;
}

KernelBench bench_kernels(const std::vector<KernelBenchMatrix>& matrices, const KernelBenchOptions& options,
                          const std::function<void(double)>& progress) {
  KernelBench bench;
  double entropy_bits = 0;
  std::size_t widest = 0;
  for (const KernelBenchMatrix& matrix : matrices) {
    bench.weights += matrix.weights.size();
    entropy_bits += entropy_of(matrix.weights) * static_cast<double>(matrix.weights.size());
    widest = std::max(widest, static_cast<std::size_t>(matrix.cols));
  }
  if (bench.weights == 0) fail("no weights to measure with");
  bench.entropy_bits_per_weight = entropy_bits / static_cast<double>(bench.weights);
  const std::size_t times = std::max<std::size_t>(1, (options.bytes + bench.weights - 1) / bench.weights);
  bench.weights *= times;

  std::vector<const Codec*> codecs{&find_codec("raw")};
  for (const Codec* codec : options.codecs) {
    if (codec != codecs[0]) codecs.push_back(codec);
  }
  const std::vector<Isa> isas = options.isas.empty() ? std::vector<Isa>{active_isa()} : options.isas;
  const std::vector<std::int8_t> x = random_activations(widest);

  std::vector<std::unique_ptr<ThreadPool>> pools;
  for (const int threads : options.threads)
    pools.push_back(std::make_unique<ThreadPool>(threads, options.cpus));
  std::vector<Copies> copies;
  for (const Codec* codec : codecs) {
    copies.push_back(make_copies(*codec, matrices, times, *pools.back()));
    progress(0.5 * static_cast<double>(copies.size()) / static_cast<double>(codecs.size()));
  }

  std::vector<Run> runs;
  std::vector<std::size_t> pool_of;
  for (std::size_t p = 0; p < pools.size(); ++p) {
    for (const std::int64_t tokens : options.tokens) {
      for (const Isa isa : isas) {
        for (std::size_t c = 0; c < codecs.size(); ++c) {
          Run run;
          run.copies = &copies[c];
          run.figures = {.codec = std::string(codecs[c]->name()),
                         .isa = isa,
                         .threads = pools[p]->size(),
                         .tokens = tokens};
          for (const CodedMatrix& coded : copies[c].coded) {
            run.products.emplace_back(*codecs[c], coded, isa, tokens, x);
          }
          runs.push_back(std::move(run));
          pool_of.push_back(p);
        }
      }
    }
  }

  // Once without timing, and on one thread, so that sums come in order.
  ThreadPool one(1);
  std::vector<std::int32_t> expected;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (pool_of[i] != 0) continue;
    std::vector<std::int32_t> sums;
    multiply_all(runs[i], one, &sums);
    if (runs[i].copies == &copies[0]) expected = sums;
    if (sums != expected)
      fail("codec {} on {}: its products differ from those of the weights", runs[i].figures.codec,
           isa_name(runs[i].figures.isa));
  }
  std::vector<std::vector<double>> read_times(pools.size());
  for (int round = 0; round < options.repetitions; ++round) {
    for (std::size_t p = 0; p < pools.size(); ++p) {
      read_times[p].push_back(read_seconds(copies[0], *pools[p]));
    }
    for (std::size_t i = 0; i < runs.size(); ++i) {
      runs[i].times.push_back(seconds([&] { multiply_all(runs[i], *pools[pool_of[i]], nullptr); }));
    }
    progress(0.5 + 0.5 * (round + 1) / options.repetitions);
  }

  for (std::size_t p = 0; p < pools.size(); ++p) {
    bench.read_bytes_per_second.push_back(static_cast<double>(copies[0].read_bytes) / median(read_times[p]));
  }
  double raw_rate = 0;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    KernelFigures& figures = runs[i].figures;
    const double time = median(runs[i].times);
    figures.bits_per_weight = runs[i].copies->bits_per_weight;
    figures.over_entropy = figures.bits_per_weight / bench.entropy_bits_per_weight - 1;
    figures.weights_per_second = static_cast<double>(bench.weights) / time;
    if (runs[i].copies == &copies[0]) raw_rate = figures.weights_per_second;
    figures.over_raw = figures.weights_per_second / raw_rate;
    figures.of_bandwidth =
        static_cast<double>(runs[i].copies->read_bytes) / time / bench.read_bytes_per_second[pool_of[i]];
    bench.figures.push_back(figures);
  }
  return bench;
}

}  // namespace twofold
