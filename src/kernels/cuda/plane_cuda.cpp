// Matrices of the codecs `packed` and `tiered` on the GPU.

#include <algorithm>

#include "base/aligned.h"
#include "kernels/cuda/gpu_matrix.h"

namespace twofold {

namespace {

/// A table on the GPU.
class GpuPlaneTable {
 public:
  explicit GpuPlaneTable(const PlaneTable& table) {
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
      to = {c.low_bits, c.root_bits, c.levels, c.raw() ? 0 : c.base, {}, {}, by_code_.back().data()};
      std::copy(c.leaves.begin(), c.leaves.end(), to.leaves);
      std::copy(c.step.begin(), c.step.end(), to.step);
      view.groups[k] = static_cast<std::uint32_t>(table.groups(k));
    }
    view_ = GpuArray<device::PlaneMatrixView>(std::span<const device::PlaneMatrixView>(&view, 1));
  }

  const device::PlaneMatrixView* view() const { return view_.data(); }

 private:
  std::vector<GpuArray<std::uint8_t>> by_code_;
  GpuArray<device::PlaneMatrixView> view_;
};

/// Tasks of many chunks.
class PlaneTasks {
 public:
  /// `place`: offset of the chunk's first byte at `chunk`. `row`: of the matrix, or the place of a sequence
  /// of `groups`.
  void add(const PlaneTable& table, const PlaneCursor& cursor, const std::uint8_t* chunk, std::uint64_t place,
           std::uint64_t row, std::uint32_t rows, std::uint32_t groups) {
    const auto place_of = [&](const std::uint8_t* at) {
      return place + static_cast<std::uint64_t>(at - chunk);
    };
    device::PlaneTask task{place_of(cursor.plane), {}, row, 0, rows, rows, groups};
    for (std::size_t j = 0; j < static_cast<std::size_t>(table.levels()); ++j) {
      task.level[j] = place_of(cursor.level[j]);
    }
    if (table.levels() > 0) {
      tasks_.push_back(task);
    } else {
      task.rows = 1;
      for (; task.first < rows; ++task.first, ++task.row) tasks_.push_back(task);
    }
    if (cursor.corrections_left > 0) {
      corrections_.push_back({place_of(cursor.corrections), cursor.corrections_left, row, rows, groups});
    }
  }
  void send() {
    gpu_tasks_ = GpuArray<device::PlaneTask>(std::span<const device::PlaneTask>(tasks_));
    gpu_corrections_ =
        GpuArray<device::PlaneCorrectionTask>(std::span<const device::PlaneCorrectionTask>(corrections_));
    tasks_ = {};
    corrections_ = {};
  }

  const device::PlaneTask* tasks() const { return gpu_tasks_.data(); }
  std::uint32_t count() const { return static_cast<std::uint32_t>(gpu_tasks_.size()); }
  const device::PlaneCorrectionTask* corrections() const { return gpu_corrections_.data(); }
  std::uint32_t correction_count() const { return static_cast<std::uint32_t>(gpu_corrections_.size()); }

  void start_decode(const GpuPlaneTable& table, const std::uint8_t* bytes, std::int8_t* out,
                    std::size_t stride, device::Stream stream) const {
    device::plane_decode(table.view(), tasks(), count(), bytes, out, stride, stream);
    device::plane_correct_weights(table.view(), corrections(), correction_count(), bytes, out, stride,
                                  stream);
  }

 private:
  std::vector<device::PlaneTask> tasks_;
  std::vector<device::PlaneCorrectionTask> corrections_;
  GpuArray<device::PlaneTask> gpu_tasks_;
  GpuArray<device::PlaneCorrectionTask> gpu_corrections_;
};

class PlaneGpuMatrix final : public CodedGpuMatrix {
 public:
  PlaneGpuMatrix(const PlaneDecoder& decoder, const GpuChunks& chunks, GpuPlace place)
      : CodedGpuMatrix(chunks, place), table_(*decoder.table()) {
    const PlaneTable& table = *decoder.table();
    for (std::size_t i = 0; i < chunks.chunks.size(); ++i) {
      const std::size_t count = gpu_chunk_rows(chunks, i);
      const PlaneCursor cursor = decoder.open(chunks.chunks[i], static_cast<std::int64_t>(count));
      const auto row = static_cast<std::uint64_t>(i) * static_cast<std::uint64_t>(chunks.rows_per_chunk);
      tasks_.add(table, cursor, chunks.chunks[i].data(), begin(i), row, static_cast<std::uint32_t>(count), 0);
    }
    tasks_.send();
    find_packed(table);
  }

  bool decodes_ahead(int vectors) const override {
    return vectors > (packed_.empty() ? kGemvVectors : device::kTensorVectors);
  }
  void start_decode(const std::uint8_t* bytes, std::int8_t* out, device::Stream stream) override {
    tasks_.start_decode(table_, bytes, out, stride(), stream);
  }
  void start_multiply(const std::uint8_t* bytes, const device::Products& products, int vectors,
                      device::Stream stream) override {
    if (packed_.empty()) {
      device::plane_multiply(table_.view(), tasks_.tasks(), tasks_.count(), bytes, products, vectors, stream);
    }
    for (const device::PackedClass& c : packed_) {
      device::packed_multiply(c, tasks_.tasks(), tasks_.count(), bytes, products, vectors, stream);
    }
    device::plane_correct_products(table_.view(), tasks_.corrections(), tasks_.correction_count(), bytes,
                                   products, vectors, stream);
  }

 private:
  void find_packed(const PlaneTable& table) {
    std::uint32_t first = 0;
    std::uint32_t before = 0;
    for (std::size_t k = 0; k < table.classes.size(); ++k) {
      const PlaneClass& c = table.classes[k];
      if (c.root_bits > 0) {
        packed_.clear();
        return;
      }
      const auto groups = static_cast<std::uint32_t>(table.groups(k));
      packed_.push_back({c.low_bits, c.raw() ? -128 : c.base, groups, first, before});
      first += groups;
      before += groups * static_cast<std::uint32_t>(c.group_bytes());
    }
  }

  GpuPlaneTable table_;
  PlaneTasks tasks_;
  std::vector<device::PackedClass> packed_;  // all classes, or none where one has symbols
};

/// With zeros apart: two sequences a chunk, decoded and then put together.
class ZerosGpuMatrix final : public CodedGpuMatrix {
 public:
  ZerosGpuMatrix(const PlaneDecoder& decoder, const GpuChunks& chunks, GpuPlace place)
      : CodedGpuMatrix(chunks, place),
        mask_table_(decoder.mask_table()),
        nonzero_table_(decoder.nonzero_table()),
        in_place_(static_cast<std::size_t>(chunks.cols) == stride()) {
    const auto cols = static_cast<std::size_t>(chunks.cols);
    std::vector<device::SpreadTask> spreads;
    std::vector<device::RestoreTask> restores;
    std::uint64_t spread = 0;
    for (std::size_t i = 0; i < chunks.chunks.size(); ++i) {
      const std::size_t rows_of_chunk = gpu_chunk_rows(chunks, i);
      const std::size_t count = rows_of_chunk * cols;
      const PlaneDecoder::OpenZeros open = decoder.open_zeros(chunks.chunks[i], count);
      const std::uint8_t* const chunk = chunks.chunks[i].data();
      const auto mask_groups =
          static_cast<std::uint32_t>(((count + 3) / 4 + kGroupColumns - 1) / kGroupColumns);
      const auto groups = static_cast<std::uint32_t>(open.nonzero_groups);
      masks_.add(decoder.mask_table(), open.masks, chunk, begin(i), sequences_, 1, mask_groups);
      const std::uint64_t masks = sequences_;
      sequences_ += std::uint64_t{mask_groups} * kGroupColumns;
      if (groups > 0) {
        nonzeros_.add(decoder.nonzero_table(), open.nonzeros, chunk, begin(i), sequences_, 1, groups);
      }
      spreads.push_back({masks, sequences_, spread, static_cast<std::uint32_t>(count), groups});
      sequences_ += std::uint64_t{groups} * kGroupColumns;
      const auto row = static_cast<std::uint64_t>(i) * static_cast<std::uint64_t>(chunks.rows_per_chunk);
      const auto height = static_cast<std::uint32_t>(rows_of_chunk);
      for (std::uint32_t first = 0; first < height; first += device::kAnsBlockRows) {
        restores.push_back({spread, height, first, row + first});
      }
      spread += align_up(count, static_cast<std::size_t>(kGroupColumns));
    }
    spread_ = spread;
    masks_.send();
    nonzeros_.send();
    spreads_ = GpuArray<device::SpreadTask>(std::span<const device::SpreadTask>(spreads));
    restores_ = GpuArray<device::RestoreTask>(std::span<const device::RestoreTask>(restores));
    order_.cols = static_cast<std::uint32_t>(cols);
  }

  bool decodes_ahead(int) const override { return true; }
  void start_decode(const std::uint8_t* bytes, std::int8_t* out, device::Stream stream) override {
    workspace().intermediate.grow(sequences_ + (in_place_ ? 0 : spread_));
    std::int8_t* const sequences = workspace().intermediate.data();
    std::int8_t* const to = in_place_ ? out : sequences + sequences_;
    masks_.start_decode(mask_table_, bytes, sequences, 1, stream);
    nonzeros_.start_decode(nonzero_table_, bytes, sequences, 1, stream);
    device::spread_nonzeros(spreads_.data(), static_cast<std::uint32_t>(spreads_.size()), sequences, to,
                            bad(), stream);
    if (in_place_) return;
    device::restore_order(order_, restores_.data(), static_cast<std::uint32_t>(restores_.size()), to, out,
                          stride(), stream);
  }
  void start_multiply(const std::uint8_t*, const device::Products&, int, device::Stream) override {}

 private:
  GpuPlaneTable mask_table_;
  GpuPlaneTable nonzero_table_;
  bool in_place_;
  PlaneTasks masks_;
  PlaneTasks nonzeros_;
  std::uint64_t sequences_ = 0;  // weights of both kinds
  std::uint64_t spread_ = 0;     // weights of the matrix, with what aligns the chunks
  GpuArray<device::SpreadTask> spreads_;
  GpuArray<device::RestoreTask> restores_;
  device::AnsOrderView order_{};
};

}  // namespace

std::unique_ptr<CodedGpuMatrix> make_plane_gpu_matrix(const PlaneDecoder& decoder, const GpuChunks& chunks,
                                                      GpuPlace place) {
  if (decoder.zeros_apart()) return std::make_unique<ZerosGpuMatrix>(decoder, chunks, place);
  if (decoder.table() == nullptr) fail("GPU: the table is of a tensor without weights");
  return std::make_unique<PlaneGpuMatrix>(decoder, chunks, place);
}

}  // namespace twofold
