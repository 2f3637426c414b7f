// The host's side of the GPU: copies matrices there, checks them, starts the kernels.

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/aligned.h"
#include "base/error.h"
#include "codec/plane_decoder.h"
#include "codec/quad_decoder.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/launch.h"
#include "kernels/plane_dot.h"

namespace twofold {

namespace {

constexpr std::size_t kChunkAlignment = 256;
constexpr std::size_t kSlack = 64;  // zeros behind the last chunk

void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) fail("GPU: {}: {}", what, cudaGetErrorString(error));
}

/// Elements in the GPU's memory.
template <typename T>
class GpuArray {
 public:
  GpuArray() = default;
  explicit GpuArray(std::size_t count) : count_(count) {
    check(cudaMalloc(&data_, std::max<std::size_t>(count * sizeof(T), 1)), "memory");
  }
  explicit GpuArray(std::span<const T> from) : GpuArray(from.size()) { copy_from(from); }
  GpuArray(GpuArray&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), count_(std::exchange(other.count_, 0)) {}
  GpuArray& operator=(GpuArray&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    return *this;
  }
  ~GpuArray() { cudaFree(data_); }

  T* data() const { return static_cast<T*>(data_); }
  std::size_t size() const { return count_; }
  void copy_from(std::span<const T> from) {
    check(cudaMemcpy(data_, from.data(), from.size_bytes(), cudaMemcpyHostToDevice), "copy");
  }
  void copy_to(std::span<T> to) const {
    check(cudaMemcpy(to.data(), data_, to.size_bytes(), cudaMemcpyDeviceToHost), "copy back");
  }
  void clear() { check(cudaMemset(data_, 0, count_ * sizeof(T)), "clear"); }

 private:
  void* data_ = nullptr;
  std::size_t count_ = 0;
};

/// The chunks one after the other, each at a place that suits its words.
struct Uploaded {
  GpuArray<std::uint8_t> bytes;
  std::vector<std::uint64_t> begin;  // of each chunk
};

Uploaded upload(const GpuChunks& chunks) {
  Uploaded result;
  std::size_t size = 0;
  for (const auto chunk : chunks.chunks) {
    result.begin.push_back(size);
    size = align_up(size + chunk.size() + kSlack, kChunkAlignment);
  }
  std::vector<std::uint8_t> all(size, 0);
  for (std::size_t i = 0; i < chunks.chunks.size(); ++i) {
    std::copy(chunks.chunks[i].begin(), chunks.chunks[i].end(),
              all.begin() + static_cast<std::ptrdiff_t>(result.begin[i]));
  }
  result.bytes = GpuArray<std::uint8_t>(std::span<const std::uint8_t>(all));
  return result;
}

std::size_t chunk_rows(const GpuChunks& chunks, std::size_t i) {
  const auto before = static_cast<std::int64_t>(i) * chunks.rows_per_chunk;
  return static_cast<std::size_t>(std::min(chunks.rows_per_chunk, chunks.rows - before));
}

/// What all matrices share: activations there, products back.
class Matrix : public GpuMatrix {
 public:
  explicit Matrix(const GpuChunks& chunks)
      : rows_(static_cast<std::size_t>(chunks.rows)),
        stride_(align_up(static_cast<std::size_t>(chunks.cols), kGroupColumns)),
        x_(kGpuMaxVectors * stride_),
        group_sums_(kGpuMaxVectors * stride_ / kGroupColumns),
        sums_(kGpuMaxVectors * rows_),
        bad_(1) {
    x_.clear();
    group_sums_.clear();
    bad_.clear();
  }

  std::size_t stride() const override { return stride_; }

  void decode(std::span<std::int8_t> out) override {
    if (out.size() != rows_ * stride_) fail("GPU: {} weights, expected {}", out.size(), rows_ * stride_);
    GpuArray<std::int8_t> weights(out.size());
    start_decode(weights.data());
    finish("decode");
    weights.copy_to(out);
  }

  void multiply(std::span<const std::int8_t> x, int vectors, std::span<std::int32_t> sums) override {
    const auto n = static_cast<std::size_t>(vectors);
    if (vectors < 1 || vectors > kGpuMaxVectors || x.size() != n * stride_ || sums.size() != n * rows_) {
      fail("GPU: {} vectors, {} activations, {} products, expected 1 to {}, {} and {}", vectors, x.size(),
           sums.size(), kGpuMaxVectors, n * stride_, n * rows_);
    }
    std::vector<std::int32_t> group_sums(x.size() / kGroupColumns);
    sum_groups(x, group_sums);
    x_.copy_from(x);
    group_sums_.copy_from(group_sums);
    sums_.clear();
    start_multiply({x_.data(), stride_, group_sums_.data(), sums_.data(), rows_}, vectors);
    finish("multiply");
    sums_.copy_to(sums);
  }

 protected:
  virtual void start_decode(std::int8_t* out) = 0;
  virtual void start_multiply(const device::Products& products, int vectors) = 0;
  std::uint32_t* bad() const { return bad_.data(); }
  std::size_t rows() const { return rows_; }

 private:
  void finish(const char* what) {
    check(cudaGetLastError(), what);
    check(cudaDeviceSynchronize(), what);
    std::uint32_t bad = 0;
    bad_.copy_to({&bad, 1});
    bad_.clear();
    if (bad != 0) fail("GPU: {}: a stream is not what its length says", what);
  }

  std::size_t rows_;
  std::size_t stride_;
  GpuArray<std::int8_t> x_;
  GpuArray<std::int32_t> group_sums_;
  GpuArray<std::int32_t> sums_;
  GpuArray<std::uint32_t> bad_;
};

class RawMatrix final : public Matrix {
 public:
  RawMatrix(const Decoder& decoder, const GpuChunks& chunks) : Matrix(chunks), weights_(rows() * stride()) {
    std::vector<std::int8_t> all(rows() * stride(), 0);
    const auto cols = static_cast<std::size_t>(chunks.cols);
    std::size_t row = 0;
    for (std::size_t i = 0; i < chunks.chunks.size(); ++i) {
      const std::size_t count = chunk_rows(chunks, i);
      const std::int8_t* from = decoder.direct(chunks.chunks[i], count * cols);
      for (std::size_t r = 0; r < count; ++r, ++row) {
        std::memcpy(all.data() + row * stride(), from + r * cols, cols);
      }
    }
    weights_.copy_from(all);
  }

 private:
  void start_decode(std::int8_t* out) override {
    check(cudaMemcpy(out, weights_.data(), weights_.size(), cudaMemcpyDeviceToDevice), "copy");
  }
  void start_multiply(const device::Products& products, int vectors) override {
    device::raw_multiply(weights_.data(), products, vectors);
  }

  GpuArray<std::int8_t> weights_;
};

class QuadMatrix final : public Matrix {
 public:
  QuadMatrix(const QuadDecoder& decoder, const GpuChunks& chunks) : Matrix(chunks), data_(upload(chunks)) {
    const std::size_t classes = decoder.table().classes.size();
    std::vector<std::vector<device::QuadTask>> tasks(classes);
    for (std::size_t i = 0; i < chunks.chunks.size(); ++i) {
      const auto first = static_cast<std::uint64_t>(i) * static_cast<std::uint64_t>(chunks.rows_per_chunk);
      for (const QuadDecoder::OpenTile& open : decoder.open(chunks.chunks[i], chunk_rows(chunks, i))) {
        const device::QuadTileView& view = open.view;
        const auto offset = static_cast<std::uint64_t>(view.bytes - chunks.chunks[i].data());
        tasks[open.tile.c].push_back({data_.begin[i] + offset, view.lengths_words, view.stream_at,
                                      view.stream_words, view.rows, view.groups,
                                      static_cast<std::uint32_t>(open.tile.column), first + open.tile.row});
      }
    }
    for (std::size_t c = 0; c < classes; ++c) {
      device::QuadClassView view = decoder.class_view(c);
      lookup_.emplace_back(std::span(view.lookup, kQuadSlots));
      view.lookup = lookup_.back().data();
      views_.push_back(view);
      tasks_.emplace_back(std::span<const device::QuadTask>(tasks[c]));
    }
  }

 private:
  void start_decode(std::int8_t* out) override {
    for (std::size_t c = 0; c < views_.size(); ++c) {
      device::quad_decode(views_[c], tasks_[c].data(), static_cast<std::uint32_t>(tasks_[c].size()),
                          data_.bytes.data(), out, stride(), bad());
    }
  }
  void start_multiply(const device::Products& products, int vectors) override {
    for (std::size_t c = 0; c < views_.size(); ++c) {
      device::quad_multiply(views_[c], tasks_[c].data(), static_cast<std::uint32_t>(tasks_[c].size()),
                            data_.bytes.data(), products, vectors, bad());
    }
  }

  Uploaded data_;
  std::vector<GpuArray<std::uint32_t>> lookup_;
  std::vector<device::QuadClassView> views_;
  std::vector<GpuArray<device::QuadTask>> tasks_;  // of each class
};

class PlaneMatrix final : public Matrix {
 public:
  PlaneMatrix(const PlaneDecoder& decoder, const GpuChunks& chunks) : Matrix(chunks), data_(upload(chunks)) {
    const PlaneTable& table = *decoder.table();
    make_view(table);
    std::vector<device::PlaneTask> tasks;
    std::vector<device::PlaneCorrectionTask> corrections;
    for (std::size_t i = 0; i < chunks.chunks.size(); ++i) {
      const std::size_t count = chunk_rows(chunks, i);
      const std::span<const std::uint8_t> chunk = chunks.chunks[i];
      const PlaneCursor cursor = decoder.open(chunk, static_cast<std::int64_t>(count));
      const auto place = [&](const std::uint8_t* at) {
        return data_.begin[i] + static_cast<std::uint64_t>(at - chunk.data());
      };
      const auto row = static_cast<std::uint64_t>(i) * static_cast<std::uint64_t>(chunks.rows_per_chunk);
      device::PlaneTask task{place(cursor.plane),
                             {},
                             row,
                             0,
                             static_cast<std::uint32_t>(count),
                             static_cast<std::uint32_t>(count)};
      for (std::size_t j = 0; j < static_cast<std::size_t>(table.levels()); ++j) {
        task.level[j] = place(cursor.level[j]);
      }
      if (table.levels() > 0) {
        tasks.push_back(task);
      } else {
        task.rows = 1;
        for (; task.first < count; ++task.first, ++task.row) tasks.push_back(task);
      }
      if (cursor.corrections_left > 0) {
        corrections.push_back(
            {place(cursor.corrections), cursor.corrections_left, row, static_cast<std::uint32_t>(count)});
      }
    }
    tasks_ = GpuArray<device::PlaneTask>(std::span<const device::PlaneTask>(tasks));
    corrections_ =
        GpuArray<device::PlaneCorrectionTask>(std::span<const device::PlaneCorrectionTask>(corrections));
  }

 private:
  void make_view(const PlaneTable& table) {
    static_assert(device::kMaxPlaneClasses == kMaxColumnClasses && device::kPlaneLevels == kPlaneMaxLevels);
    device::PlaneMatrixView view{};
    view.class_count = static_cast<std::uint32_t>(table.classes.size());
    view.row_groups = static_cast<std::uint32_t>(table.row_groups());
    view.gap_bits = table.corrections().gap_bits;
    view.delta_bits = table.corrections().delta_bits;
    for (std::size_t k = 0; k < table.classes.size(); ++k) {
      const PlaneClass& c = table.classes[k];
      by_code_.emplace_back(std::span<const std::uint8_t>(c.by_code));
      device::PlaneClassView& to = view.classes[k];
      to = {c.low_bits, c.root_bits, c.levels, c.base, {}, {}, by_code_.back().data()};
      std::copy(c.leaves.begin(), c.leaves.end(), to.leaves);
      std::copy(c.step.begin(), c.step.end(), to.step);
      view.groups[k] = static_cast<std::uint32_t>(table.groups(k));
    }
    std::uint32_t first = 0;
    std::uint32_t before = 0;
    for (std::uint32_t k = 0; k < view.class_count; ++k) {
      const device::PlaneClassView& c = view.classes[k];
      packed_.push_back({c.low_bits, c.unsigned_base(), view.groups[k], first, before});
      first += view.groups[k];
      before += view.groups[k] * c.group_bytes();
      if (c.root_bits > 0) {
        packed_.clear();
        break;
      }
    }
    view_ = GpuArray<device::PlaneMatrixView>(std::span<const device::PlaneMatrixView>(&view, 1));
  }

  void start_decode(std::int8_t* out) override {
    device::plane_decode(view_.data(), tasks_.data(), static_cast<std::uint32_t>(tasks_.size()),
                         data_.bytes.data(), out, stride());
    if (corrections_.size() == 0) return;
    device::plane_correct_weights(view_.data(), corrections_.data(),
                                  static_cast<std::uint32_t>(corrections_.size()), data_.bytes.data(), out);
  }
  void start_multiply(const device::Products& products, int vectors) override {
    const auto count = static_cast<std::uint32_t>(tasks_.size());
    if (packed_.empty()) {
      device::plane_multiply(view_.data(), tasks_.data(), count, data_.bytes.data(), products, vectors);
    }
    for (const device::PackedClass& c : packed_) {
      device::packed_multiply(c, tasks_.data(), count, data_.bytes.data(), products, vectors);
    }
    if (corrections_.size() == 0) return;
    device::plane_correct_products(view_.data(), corrections_.data(),
                                   static_cast<std::uint32_t>(corrections_.size()), data_.bytes.data(),
                                   products, vectors);
  }

  Uploaded data_;
  std::vector<GpuArray<std::uint8_t>> by_code_;
  GpuArray<device::PlaneMatrixView> view_;
  std::vector<device::PackedClass> packed_;  // all classes, or none where one has symbols
  GpuArray<device::PlaneTask> tasks_;
  GpuArray<device::PlaneCorrectionTask> corrections_;
};

}  // namespace

std::vector<GpuInfo> gpus() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) count = 0;
  std::vector<GpuInfo> result;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, i), "properties");
    result.push_back({properties.name, properties.totalGlobalMem});
  }
  return result;
}

std::unique_ptr<GpuMatrix> make_gpu_matrix(const Decoder& decoder, const GpuChunks& chunks) {
  if (chunks.rows < 1 || chunks.cols < 1 || chunks.rows_per_chunk < 1 ||
      static_cast<std::int64_t>(chunks.chunks.size()) !=
          (chunks.rows + chunks.rows_per_chunk - 1) / chunks.rows_per_chunk) {
    fail("GPU: {} chunks of {} rows for a matrix of {} x {}", chunks.chunks.size(), chunks.rows_per_chunk,
         chunks.rows, chunks.cols);
  }
  if (const auto* quad = dynamic_cast<const QuadDecoder*>(&decoder)) {
    return std::make_unique<QuadMatrix>(*quad, chunks);
  }
  const auto* planes = dynamic_cast<const PlaneDecoder*>(&decoder);
  if (planes != nullptr && planes->table() != nullptr) return std::make_unique<PlaneMatrix>(*planes, chunks);
  bool raw = planes == nullptr;
  for (std::size_t i = 0; raw && i < chunks.chunks.size(); ++i) {
    raw = decoder.direct(chunks.chunks[i], chunk_rows(chunks, i) * static_cast<std::size_t>(chunks.cols)) !=
          nullptr;
  }
  if (raw) return std::make_unique<RawMatrix>(decoder, chunks);
  fail(
      "GPU: no kernels for this codec; there are some for raw, packed, tiered without zeros apart, and quad");
}

}  // namespace twofold
