#include "plan/product_timing.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <new>

#include "base/interrupt.h"
#include "base/random.h"
#include "base/thread_pool.h"

namespace twofold {

namespace {

constexpr double kSampleSeconds = 0.03;  // of one timing

std::size_t matrix_count(const CodedTile& tile, std::int64_t chunks, std::uint64_t total_bytes) {
  const double each =
      static_cast<double>(tile.bytes) * static_cast<double>(chunks) / static_cast<double>(tile.chunks.size());
  return std::max<std::size_t>(2,
                               static_cast<std::size_t>(std::ceil(static_cast<double>(total_bytes) / each)));
}
std::size_t memory_bytes(const CodedTile& tile, std::int64_t chunks, std::size_t count) {
  const std::size_t all = static_cast<std::size_t>(chunks) * count;
  return (all / tile.chunks.size() + 1) * tile.bytes;
}

}  // namespace

double time_seconds(const std::function<void()>& function) {
  const auto begin = std::chrono::steady_clock::now();
  function();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double lower_quartile(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 4];
}

Arena::~Arena() {
  release();
}

void Arena::release() {
  if (data_ != nullptr) munmap(data_, size_);
  data_ = nullptr;
}

std::span<std::uint8_t> Arena::take(std::size_t bytes) {
  if (data_ == nullptr || size_ < bytes) {
    release();
    size_ = std::max<std::size_t>(bytes, 1);
    void* p = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    data_ = static_cast<std::uint8_t*>(p);
#ifdef MADV_NOHUGEPAGE
    madvise(p, size_, MADV_NOHUGEPAGE);
#endif
  }
  return {data_, bytes};
}

CodedTile code_tile(const Codec& codec, std::span<const std::int8_t> weights, std::int64_t cols,
                    std::int64_t rows_per_chunk, ThreadPool& pool) {
  CodedTile tile;
  tile.codec = &codec;
  tile.cols = cols;
  tile.rows_per_chunk = rows_per_chunk;
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

ProductTimer::ProductTimer(const CodedTile& tile, std::int64_t call_weights, std::uint64_t total_bytes,
                           Arena& arena)
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

double ProductTimer::call_seconds(Workspace& workspace, int repetitions) {
  std::vector<double> times;
  for (int i = 0; i <= repetitions; ++i) {
    check_interrupt();
    int calls = 0;
    double time = 0;
    while (time < kSampleSeconds && (calls == 0 || calls < static_cast<int>(linears_.size()))) {
      time += time_seconds([&] {
        multiply_group(std::array<const Linear*, 1>{linears_[next_].get()}, x_.data(), 1,
                       std::array{y_.data()}, workspace);
      });
      next_ = (next_ + 1) % linears_.size();
      ++calls;
    }
    if (i > 0) times.push_back(time / calls);
  }
  return lower_quartile(times);
}

double ProductTimer::prepare_seconds(Workspace& workspace, int repetitions) {
  std::vector<double> times;
  LinearInput input;
  for (int i = 0; i < 8 * repetitions; ++i)
    times.push_back(time_seconds([&] { linears_[0]->prepare(x_.data(), 1, input, workspace.pool()); }));
  return lower_quartile(times);
}

}  // namespace twofold
