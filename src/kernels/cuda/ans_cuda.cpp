// Matrices of the codec `ans` on the GPU.

#include <algorithm>

#include "base/aligned.h"
#include "kernels/cuda/gpu_matrix.h"

namespace twofold {

namespace {

/// Puts the words of each chunk at an even place.
std::vector<std::uint8_t> word_shifts(const AnsDecoder& decoder, const GpuChunks& chunks) {
  std::vector<std::uint8_t> shifts;
  for (std::size_t i = 0; i < chunks.chunks.size(); ++i) {
    const std::size_t count = gpu_chunk_rows(chunks, i) * static_cast<std::size_t>(chunks.cols);
    shifts.push_back(static_cast<std::uint8_t>(decoder.open(chunks.chunks[i], count).words % 2));
  }
  return shifts;
}

class AnsGpuMatrix final : public CodedGpuMatrix {
 public:
  AnsGpuMatrix(const AnsDecoder& decoder, const GpuChunks& chunks, GpuPlace place)
      : CodedGpuMatrix(chunks, place, word_shifts(decoder, chunks)) {
    const ClassOrder& order = decoder.order();
    const auto cols = static_cast<std::size_t>(chunks.cols);
    in_place_ = order.is_matrix_order() && cols == stride();
    std::vector<device::AnsTask> tasks;
    std::vector<device::RestoreTask> restores;
    for (std::size_t i = 0; i < chunks.chunks.size(); ++i) {
      const std::span<const std::uint8_t> chunk = chunks.chunks[i];
      const std::size_t count = gpu_chunk_rows(chunks, i);
      const auto row = static_cast<std::uint64_t>(i) * static_cast<std::uint64_t>(chunks.rows_per_chunk);
      if (chunk.size() >> 31 != 0) fail("GPU: a chunk of {} bytes, expected less than 2 GiB", chunk.size());
      const AnsDecoder::OpenChunk open = decoder.open(chunk, count * cols);
      const auto height = static_cast<std::uint32_t>(count);
      tasks.push_back({begin(i), static_cast<std::uint32_t>(chunk.size()),
                       static_cast<std::uint32_t>(open.words), static_cast<std::uint32_t>(open.tail), height,
                       coded_});
      for (std::uint32_t first = 0; first < height; first += device::kAnsBlockRows) {
        restores.push_back({coded_, height, first, row + first});
      }
      coded_ += align_up(count * cols, static_cast<std::size_t>(kGroupColumns));
    }
    tasks_ = GpuArray<device::AnsTask>(std::span<const device::AnsTask>(tasks));
    restores_ = GpuArray<device::RestoreTask>(std::span<const device::RestoreTask>(restores));
    make_view(decoder, cols);
    if (!in_place_) make_order(order, cols);
  }

  bool decodes_ahead(int) const override { return true; }
  void start_decode(const std::uint8_t* bytes, std::int8_t* out, device::Stream stream) override {
    std::int8_t* to = out;
    if (!in_place_) {
      workspace().intermediate.grow(coded_);
      to = workspace().intermediate.data();
    }
    device::ans_decode(view_.data(), classes_, tasks_.data(), static_cast<std::uint32_t>(tasks_.size()),
                       bytes, to, bad(), stream);
    if (in_place_) return;
    device::restore_order(order_, restores_.data(), static_cast<std::uint32_t>(restores_.size()), to, out,
                          stride(), stream);
  }
  void start_multiply(const std::uint8_t*, const device::Products&, int, device::Stream) override {}

 private:
  void make_view(const AnsDecoder& decoder, std::size_t cols) {
    static_assert(device::kAnsMaxClasses == kMaxColumnClasses);
    const std::span<const AnsModel> models = decoder.models();
    device::AnsMatrixView view{};
    view.class_count = classes_ = static_cast<std::uint32_t>(models.size());
    for (std::size_t c = 0; c < models.size(); ++c) {
      const AnsModel& model = models[c];
      device::AnsClassView& to = view.classes[c];
      to.begin = c == 0 ? 0 : view.classes[c - 1].end;
      to.end = static_cast<std::uint32_t>(to.begin + decoder.order().weights(c, cols));
      const bool coded = model.kind == AnsModel::Kind::kCoded;
      to.value = (coded ? std::max(model.escape, 0) : model.low) - 128;  // of a symbol
      if (!coded) continue;
      slots_.emplace_back(decoder.slots(c));
      to.slots = slots_.back().data();
      if (model.escape < 0) continue;
      std::vector<std::int8_t> rare;
      for (const std::uint8_t symbol : model.rare) rare.push_back(ans_weight(symbol));
      rare_.emplace_back(std::span<const std::int8_t>(rare));
      to.rare = rare_.back().data();
      to.rare_count = static_cast<std::uint32_t>(rare.size());
    }
    view_ = GpuArray<device::AnsMatrixView>(std::span<const device::AnsMatrixView>(&view, 1));
  }

  void make_order(const ClassOrder& order, std::size_t cols) {
    order_.cols = static_cast<std::uint32_t>(cols);
    if (order.is_matrix_order()) return;
    const ColumnClasses& classes = order.classes();
    std::vector<std::uint32_t> place(cols);
    std::vector<std::uint8_t> of(cols);
    for (std::size_t c = 0; c < classes.size(); ++c) {
      order_.begin[c + 1] = static_cast<std::uint32_t>(classes.begin[c + 1]);
      for (auto i = static_cast<std::size_t>(classes.begin[c]); i < order_.begin[c + 1]; ++i) {
        const auto column = static_cast<std::size_t>(classes.order[i]);
        place[column] = static_cast<std::uint32_t>(i);
        of[column] = static_cast<std::uint8_t>(c);
      }
    }
    place_ = GpuArray<std::uint32_t>(std::span<const std::uint32_t>(place));
    of_ = GpuArray<std::uint8_t>(std::span<const std::uint8_t>(of));
    order_.place = place_.data();
    order_.of = of_.data();
  }

  bool in_place_ = false;
  std::uint64_t coded_ = 0;  // weights in the coded order, with what aligns the chunks
  std::uint32_t classes_ = 0;
  std::vector<GpuArray<std::uint32_t>> slots_;
  std::vector<GpuArray<std::int8_t>> rare_;
  GpuArray<device::AnsMatrixView> view_;
  GpuArray<device::AnsTask> tasks_;
  GpuArray<device::RestoreTask> restores_;
  GpuArray<std::uint32_t> place_;
  GpuArray<std::uint8_t> of_;
  device::AnsOrderView order_{};
};

}  // namespace

std::unique_ptr<CodedGpuMatrix> make_ans_gpu_matrix(const AnsDecoder& decoder, const GpuChunks& chunks,
                                                    GpuPlace place) {
  return std::make_unique<AnsGpuMatrix>(decoder, chunks, place);
}

}  // namespace twofold
