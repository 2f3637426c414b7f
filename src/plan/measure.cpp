#include "plan/measure.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <span>

#include "base/cpu.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "codec/entropy.h"
#include "plan/product_timing.h"
#include "runtime/linear.h"

namespace twofold {

namespace {

constexpr std::int64_t kTileWeights = 1 << 21;   // weights that are coded; larger matrices repeat them
constexpr std::int64_t kChunkWeights = 1 << 16;  // as the container cuts them
constexpr double kColumnSpread = 0.35;           // of the logarithm of the columns' scales, as layers have

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

std::int64_t rows_per_chunk(std::int64_t cols) {
  const std::int64_t most = std::max<std::int64_t>(1, kChunkWeights / cols);
  return most >= 16 ? most / 16 * 16 : most;  // whole tiles of the kernels
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
    const double total = time_seconds([&] {
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
      const CodedTile tile = code_tile(codec, values, options_.base_columns,
                                       rows_per_chunk(options_.base_columns), largest().pool());
      if (speed(c, 0).points.empty()) measure_call(c, tile);
      ProductTimer matrices(tile, options_.call_weights, bytes_, arena_);
      for (std::size_t t = 0; t < profile_.threads.size(); ++t)
        speed(c, t).points.push_back({tile.bits_per_weight(), rate(matrices, c, t)});
      step();
    }
  }

  /// What a product costs besides its weights shows in small ones.
  void measure_call(std::size_t c, const CodedTile& tile) {
    std::vector<double> large;
    double large_weights = 0;
    {
      ProductTimer matrices(tile, options_.call_weights, bytes_, arena_);
      large_weights = matrices.weights_per_call();
      for (const auto& workspace : workspaces_)
        large.push_back(matrices.call_seconds(*workspace, options_.repetitions));
    }
    ProductTimer matrices(tile, options_.call_weights / 8, bytes_, arena_);
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
  double rate(ProductTimer& matrices, std::size_t c, std::size_t t) {
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
      const CodedTile tile =
          code_tile(find_codec(options_.codecs[c]), values, cols, rows_per_chunk(cols), largest().pool());
      ProductTimer matrices(tile, options_.call_weights, bytes_, arena_);
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
  for (const int streams : kReadStreams) {
    std::vector<double> times;
    for (int i = 0; i <= repetitions; ++i) {
      const double time = time_seconds([&] {
        pool.run(parts, [&](std::size_t begin, std::size_t end, int) {
          for (std::size_t part = begin; part < end; ++part)
            sink += read_in_streams(memory.subspan(part * size, size), streams);
        });
      });
      if (i > 0) times.push_back(time);
    }
    best = std::max(best, static_cast<double>(memory.size()) / lower_quartile(times));
  }
  return best;
}

MachineProfile measure_machine(const MeasureOptions& options, const std::function<void(double)>& progress) {
  return Measurer(options, progress).run();
}

}  // namespace twofold
