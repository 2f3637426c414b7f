#include "plan/measure.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <span>

#include "base/cpu.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "codec/entropy.h"
#include "format/container.h"
#include "runtime/linear.h"

namespace twofold {

namespace {

constexpr std::int64_t kTileWeights = 1 << 21;   // weights that are coded; larger matrices repeat them
constexpr std::int64_t kChunkWeights = 1 << 16;  // as the container cuts them
constexpr double kSampleSeconds = 0.03;          // of one timing
constexpr double kColumnSpread = 0.35;           // of the logarithm of the columns' scales, as layers have

double seconds(const std::function<void()>& function) {
  const auto begin = std::chrono::steady_clock::now();
  function();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// The lower quartile of times: whatever else the machine does only ever makes them longer.
double quartile(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 4];
}

/// Memory in small pages, as that of a mapped file.
class Memory {
 public:
  explicit Memory(std::size_t bytes) : size_(std::max<std::size_t>(bytes, 1)) {
    void* p = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    data_ = static_cast<std::uint8_t*>(p);
#ifdef MADV_NOHUGEPAGE
    madvise(p, size_, MADV_NOHUGEPAGE);
#endif
  }
  ~Memory() {
    munmap(data_, size_);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  std::span<std::uint8_t> bytes() {
    return {data_, size_};
  }

 private:
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Memory that one set of matrices after the other uses.
class Arena {
 public:
  /// The first bytes; what was there is lost.
  std::span<std::uint8_t> take(std::size_t bytes) {
    if (!memory_ || memory_->bytes().size() < bytes) {
      memory_.reset();
      memory_.emplace(bytes);
    }
    return memory_->bytes().first(bytes);
  }

 private:
  std::optional<Memory> memory_;
};

/// Gaussian weights with columns of uneven size whose order-0 entropy is `bits`.
std::vector<std::int8_t> gaussian_weights(std::int64_t rows, std::int64_t cols, double bits) {
  Random random(static_cast<std::uint64_t>(cols));
  // Values of a fine grid of quantiles: drawing one is a look-up.
  constexpr int kLogQuantiles = 14;
  static const std::vector<float> quantiles = [] {
    std::vector<float> values(std::size_t{1} << kLogQuantiles);
    for (std::size_t i = 0; i < values.size(); ++i) {
      // The inverse of the normal distribution function by bisection.
      const double p = (static_cast<double>(i) + 0.5) / static_cast<double>(values.size());
      double low = -6;
      double high = 6;
      while (high - low > 1e-6) {
        const double middle = (low + high) / 2;
        (0.5 * std::erfc(-middle / std::sqrt(2.0)) < p ? low : high) = middle;
      }
      values[i] = static_cast<float>(low);
    }
    return values;
  }();
  const auto draw = [&] { return quantiles[random.next() >> (64 - kLogQuantiles)]; };
  std::vector<float> scales(static_cast<std::size_t>(cols));
  for (float& scale : scales) scale = std::exp(static_cast<float>(kColumnSpread) * draw());
  std::vector<float> values(static_cast<std::size_t>(rows * cols));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = draw() * scales[i % scales.size()];
  std::vector<std::int8_t> weights(values.size());
  // The entropy rises with the deviation, until clamping flattens it.
  double low = 0.05;
  double high = 128;
  constexpr int kSteps = 20;
  for (int step = 0; step <= kSteps; ++step) {
    const auto deviation = static_cast<float>(std::sqrt(low * high));
    const std::size_t count = step < kSteps ? std::min<std::size_t>(values.size(), 1 << 17) : values.size();
    for (std::size_t i = 0; i < count; ++i)
      weights[i] =
          static_cast<std::int8_t>(std::clamp(std::nearbyint(values[i] * deviation), -127.0F, 127.0F));
    Histogram histogram{};
    count_values(std::span(weights).first(count), histogram);
    (order0_entropy(histogram) < bits ? low : high) = deviation;
  }
  return weights;
}

/// Chunks of a matrix of so many columns, coded.
struct Tile {
  const Codec* codec = nullptr;
  std::int64_t cols = 0;
  std::int64_t rows_per_chunk = 0;
  std::vector<std::uint8_t> table;
  std::vector<std::vector<std::uint8_t>> chunks;
  std::uint64_t weights = 0;
  std::uint64_t bytes = 0;  // with padding

  double bits_per_weight() const { return 8 * static_cast<double>(bytes) / static_cast<double>(weights); }
};

std::int64_t rows_per_chunk(std::int64_t cols) {
  const std::int64_t most = std::max<std::int64_t>(1, kChunkWeights / cols);
  return most >= 16 ? most / 16 * 16 : most;  // whole tiles of the kernels
}

Tile code_tile(const Codec& codec, std::span<const std::int8_t> weights, std::int64_t cols,
               ThreadPool& pool) {
  Tile tile;
  tile.codec = &codec;
  tile.cols = cols;
  tile.rows_per_chunk = rows_per_chunk(cols);
  tile.table = codec.make_table(weights, cols);
  const auto chunk = static_cast<std::size_t>(tile.rows_per_chunk * cols);
  tile.chunks.resize(weights.size() / chunk);
  pool.run(tile.chunks.size(), [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t i = begin; i < end; ++i)
      codec.encode(tile.table, weights.subspan(i * chunk, chunk), cols, tile.chunks[i]);
  });
  for (const auto& bytes : tile.chunks) tile.bytes += align_up(bytes.size());
  tile.weights = tile.chunks.size() * chunk;
  return tile;
}

/// Matrices of about `call_weights` weights made of the tile's chunks, one after the other in memory.
class Matrices {
 public:
  Matrices(const Tile& tile, std::int64_t call_weights, std::uint64_t total_bytes, Arena& arena)
      : per_matrix_(std::max<std::int64_t>(1, call_weights / (tile.rows_per_chunk * tile.cols))),
        count_(matrix_count(tile, per_matrix_, total_bytes)),
        memory_(arena.take(memory_bytes(tile, per_matrix_, count_))) {
    std::size_t at = 0;
    std::size_t next = 0;  // chunk of the tile
    for (std::size_t m = 0; m < count_; ++m) {
      CodedTensor tensor;
      tensor.name = "weight";
      tensor.file = "memory";
      tensor.codec = tile.codec;
      tensor.rows = tile.rows_per_chunk * per_matrix_;
      tensor.cols = tile.cols;
      tensor.rows_per_chunk = tile.rows_per_chunk;
      tensor.scale = {1.0F};
      tensor.decoder = tile.codec->make_decoder(tile.table, tile.cols);
      const std::size_t begin = at;
      for (std::int64_t c = 0; c < per_matrix_; ++c) {
        const auto& chunk = tile.chunks[next];
        next = (next + 1) % tile.chunks.size();
        tensor.index.insert(tensor.index.end(), {at - begin, chunk.size(), 0});
        std::copy(chunk.begin(), chunk.end(), memory_.begin() + static_cast<std::ptrdiff_t>(at));
        at += align_up(chunk.size());
      }
      tensor.data = memory_.subspan(begin, at - begin);
      tensors_.push_back(std::move(tensor));
    }
    for (const CodedTensor& tensor : tensors_)
      linears_.push_back(make_coded_linear(tensor, ActivationMode::kPerToken, {}));
    x_.resize(static_cast<std::size_t>(tile.cols));
    Random random(1);
    for (float& value : x_) value = static_cast<float>(random.uniform()) - 0.5F;
    y_.resize(static_cast<std::size_t>(tensors_[0].rows));
  }

  std::int64_t cols() const { return tensors_[0].cols; }
  double weights_per_call() const {
    return static_cast<double>(tensors_[0].rows) * static_cast<double>(tensors_[0].cols);
  }

  /// Seconds of a product. Goes on from one matrix to the next, so that none is in the caches.
  double call_seconds(Workspace& workspace, int repetitions) {
    std::vector<double> times;
    for (int i = 0; i <= repetitions; ++i) {
      check_interrupt();
      int calls = 0;
      double time = 0;
      while (time < kSampleSeconds && (calls == 0 || calls < static_cast<int>(linears_.size()))) {
        time += seconds([&] {
          multiply_group(std::array<const Linear*, 1>{linears_[next_].get()}, x_.data(), 1,
                         std::array{y_.data()}, workspace);
        });
        next_ = (next_ + 1) % linears_.size();
        ++calls;
      }
      if (i > 0) times.push_back(time / calls);
    }
    return quartile(times);
  }

  /// Seconds of putting an input into the form that products take.
  double prepare_seconds(Workspace& workspace, int repetitions) {
    std::vector<double> times;
    LinearInput input;
    for (int i = 0; i < 8 * repetitions; ++i)
      times.push_back(seconds([&] { linears_[0]->prepare(x_.data(), 1, input, workspace.pool()); }));
    return quartile(times);
  }

 private:
  static std::size_t matrix_count(const Tile& tile, std::int64_t chunks, std::uint64_t total_bytes) {
    const double each = static_cast<double>(tile.bytes) * static_cast<double>(chunks) /
                        static_cast<double>(tile.chunks.size());
    return std::max<std::size_t>(
        2, static_cast<std::size_t>(std::ceil(static_cast<double>(total_bytes) / each)));
  }
  static std::size_t memory_bytes(const Tile& tile, std::int64_t chunks, std::size_t count) {
    const std::size_t all = static_cast<std::size_t>(chunks) * count;
    return (all / tile.chunks.size() + 1) * tile.bytes;
  }

  std::int64_t per_matrix_;
  std::size_t count_;
  std::span<std::uint8_t> memory_;
  std::size_t next_ = 0;  // matrix to multiply with
  std::vector<CodedTensor> tensors_;
  std::vector<std::unique_ptr<Linear>> linears_;
  AlignedVector<float> x_, y_;
};

/// Reads memory in so many streams: which number is read fastest differs among machines.
template <std::size_t kStreams>
std::uint64_t read_words(std::span<const std::uint8_t> bytes) {
  const std::size_t part = bytes.size() / kStreams / kAlignment * kAlignment;
  std::uint64_t sums[8] = {};
  for (std::size_t i = 0; i < part; i += kAlignment) {
    for (std::size_t s = 0; s < kStreams; ++s) {
      std::uint64_t words[8];
      std::memcpy(words, bytes.data() + s * part + i, sizeof words);
      for (std::size_t k = 0; k < 8; ++k) sums[k] += words[k];
    }
  }
  std::uint64_t sum = 0;
  for (const std::uint64_t s : sums) sum += s;
  return sum;
}

std::vector<int> thread_counts(int cores) {
  std::vector<int> counts;
  for (int n = 1; n < cores; n = n < 4 ? n + 1 : n * 2) counts.push_back(n);
  counts.push_back(cores);
  return counts;
}

class Measurer {
 public:
  Measurer(const MeasureOptions& options, const std::function<void(double)>& progress)
      : options_(options), progress_(progress) {
    profile_.cpu = cpu_name();
    profile_.isa = isa_name(active_isa());
    profile_.cores = available_cores();
    profile_.threads = thread_counts(profile_.cores);
    for (const int threads : profile_.threads) workspaces_.push_back(std::make_unique<Workspace>(threads));
    bytes_ = options.bytes > 0
                 ? options.bytes
                 : std::max<std::uint64_t>(3 * last_level_cache_bytes(), std::uint64_t{96} << 20);
    const auto others = std::count_if(options.columns.begin(), options.columns.end(),
                                      [&](std::int64_t cols) { return cols != options.base_columns; });
    steps_ = 1 + options.codecs.size() * (options.entropies.size() + static_cast<std::size_t>(others));
  }

  MachineProfile run() {
    const double total = seconds([&] {
      measure_reading();
      for (std::size_t c = 0; c < options_.codecs.size(); ++c) {
        for (std::size_t t = 0; t < profile_.threads.size(); ++t) {
          CodecSpeed speed;
          speed.codec = options_.codecs[c];
          speed.threads = profile_.threads[t];
          profile_.codecs.push_back(std::move(speed));
        }
      }
      for (const double bits : options_.entropies) measure_entropy(bits);
      for (const std::int64_t cols : options_.columns) measure_columns(cols);
      for (CodecSpeed& speed : profile_.codecs) {
        std::sort(speed.points.begin(), speed.points.end(),
                  [](const auto& a, const auto& b) { return a.bits_per_weight < b.bits_per_weight; });
      }
      if (!options_.storage.empty()) {
        profile_.storage_directory = options_.storage.string();
        profile_.storage = measure_storage(options_.storage, options_.storage_bytes, options_.repetitions);
      }
    });
    profile_.seconds = total;
    return profile_;
  }

 private:
  Workspace& largest() { return *workspaces_.back(); }
  CodecSpeed& speed(std::size_t codec, std::size_t threads) {
    return profile_.codecs[codec * profile_.threads.size() + threads];
  }
  void step() { progress_(std::min(1.0, static_cast<double>(++done_) / static_cast<double>(steps_))); }

  void measure_reading() {
    const std::span<std::uint8_t> memory = arena_.take(bytes_ + bytes_ / 2);
    std::fill(memory.begin(), memory.end(), std::uint8_t{1});
    for (const int threads : profile_.threads)
      profile_.read_bytes_per_second.push_back(measure_read_rate(memory, threads, options_.repetitions));
    step();
  }

  std::vector<std::int8_t> weights(std::int64_t cols, double bits) const {
    const std::int64_t chunk = rows_per_chunk(cols);
    const std::int64_t chunks =
        std::max<std::int64_t>(1, std::min(kTileWeights, options_.call_weights) / (chunk * cols));
    return gaussian_weights(chunk * chunks, cols, bits);
  }

  void measure_entropy(double bits) {
    const std::vector<std::int8_t> values = weights(options_.base_columns, bits);
    for (std::size_t c = 0; c < options_.codecs.size(); ++c) {
      const Codec& codec = find_codec(options_.codecs[c]);
      if (options_.codecs[c] == "raw" && !speed(c, 0).points.empty()) {
        step();  // the same for all entropies
        continue;
      }
      const Tile tile = code_tile(codec, values, options_.base_columns, largest().pool());
      if (speed(c, 0).points.empty()) measure_call(c, tile);
      Matrices matrices(tile, options_.call_weights, bytes_, arena_);
      for (std::size_t t = 0; t < profile_.threads.size(); ++t)
        speed(c, t).points.push_back({tile.bits_per_weight(), rate(matrices, c, t)});
      step();
    }
  }

  /// What a product costs besides its weights shows in small ones.
  void measure_call(std::size_t c, const Tile& tile) {
    std::vector<double> large;
    double large_weights = 0;
    {
      Matrices matrices(tile, options_.call_weights, bytes_, arena_);
      large_weights = matrices.weights_per_call();
      for (const auto& workspace : workspaces_)
        large.push_back(matrices.call_seconds(*workspace, options_.repetitions));
    }
    Matrices matrices(tile, options_.call_weights / 8, bytes_, arena_);
    const double weights = matrices.weights_per_call();
    for (std::size_t t = 0; t < workspaces_.size(); ++t) {
      const double small = matrices.call_seconds(*workspaces_[t], options_.repetitions);
      const double per_weight = (large[t] - small) / (large_weights - weights);
      const double fixed = std::clamp(small - per_weight * weights, 0.0, 0.5 * small);
      const double prepare = matrices.prepare_seconds(*workspaces_[t], options_.repetitions);
      speed(c, t).channel_seconds = prepare / static_cast<double>(tile.cols);
      speed(c, t).call_seconds = std::max(0.0, fixed - prepare);
    }
  }

  /// Weights per second without the cost of a call.
  double rate(Matrices& matrices, std::size_t c, std::size_t t) {
    const double time = matrices.call_seconds(*workspaces_[t], options_.repetitions);
    const double overhead =
        speed(c, t).call_seconds + speed(c, t).channel_seconds * static_cast<double>(matrices.cols());
    return matrices.weights_per_call() / std::max(time - overhead, 0.5 * time);
  }

  /// All numbers of columns at one entropy, to that of `base_columns`.
  void measure_columns(std::int64_t cols) {
    if (cols == options_.base_columns) {
      for (CodecSpeed& speed : profile_.codecs) speed.shapes.push_back({cols, 1});
      return;
    }
    const double bits = options_.entropies[options_.entropies.size() / 3];
    const std::vector<std::int8_t> values = weights(cols, bits);
    for (std::size_t c = 0; c < options_.codecs.size(); ++c) {
      const Tile tile = code_tile(find_codec(options_.codecs[c]), values, cols, largest().pool());
      Matrices matrices(tile, options_.call_weights, bytes_, arena_);
      for (std::size_t t = 0; t < profile_.threads.size(); ++t) {
        CodecSpeed& speed = this->speed(c, t);
        const double rate = this->rate(matrices, c, t);
        const std::vector<CodecSpeed::Shape> known = std::exchange(speed.shapes, {});
        const double base = speed.weights_per_second(tile.bits_per_weight(), options_.base_columns);
        speed.shapes = known;
        speed.shapes.push_back({cols, std::clamp(rate / base, 0.1, 10.0)});
      }
      step();
    }
  }

  const MeasureOptions& options_;
  const std::function<void(double)>& progress_;
  MachineProfile profile_;
  std::vector<std::unique_ptr<Workspace>> workspaces_;  // for each of profile_.threads
  Arena arena_;
  std::uint64_t bytes_ = 0;
  std::size_t steps_ = 1;
  std::size_t done_ = 0;
};

}  // namespace

MeasureOptions MeasureOptions::quick() {
  MeasureOptions options;
  options.entropies = {3.5, 6.5};
  options.columns = {4096};
  options.call_weights = 1 << 20;
  options.bytes = 4 << 20;
  options.repetitions = 1;
  options.storage_bytes = 4 << 20;
  return options;
}

std::uint64_t last_level_cache_bytes() {
  long largest = 0;
  for (const int level : {_SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE, _SC_LEVEL4_CACHE_SIZE})
    largest = std::max(largest, sysconf(level));
  return largest > 0 ? static_cast<std::uint64_t>(largest) : std::uint64_t{32} << 20;
}

double measure_read_rate(std::span<const std::uint8_t> memory, int threads, int repetitions) {
  ThreadPool pool(threads);
  std::atomic<std::uint64_t> sink{0};
  const auto parts = static_cast<std::size_t>(threads);
  const std::size_t size = memory.size() / parts;
  double best = 0;
  for (const auto read : {read_words<1>, read_words<2>, read_words<4>}) {
    std::vector<double> times;
    for (int i = 0; i <= repetitions; ++i) {
      const double time = seconds([&] {
        pool.run(parts, [&](std::size_t begin, std::size_t end, int) {
          for (std::size_t part = begin; part < end; ++part) sink += read(memory.subspan(part * size, size));
        });
      });
      if (i > 0) times.push_back(time);
    }
    best = std::max(best, static_cast<double>(memory.size()) / quartile(times));
  }
  return best;
}

MachineProfile measure_machine(const MeasureOptions& options, const std::function<void(double)>& progress) {
  return Measurer(options, progress).run();
}

}  // namespace twofold
