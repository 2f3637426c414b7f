// Matrices of the codec `quad` on the GPU.

#include <algorithm>

#include "kernels/cuda/gpu_matrix.h"

namespace twofold {

namespace {

class QuadGpuMatrix final : public CodedGpuMatrix {
 public:
  QuadGpuMatrix(const QuadDecoder& decoder, const GpuChunks& chunks, GpuPlace place)
      : CodedGpuMatrix(chunks, place) {
    const std::size_t classes = decoder.table().classes.size();
    std::vector<std::vector<device::QuadTask>> tasks(classes);
    for (std::size_t i = 0; i < chunks.chunks.size(); ++i) {
      const auto first = static_cast<std::uint64_t>(i) * static_cast<std::uint64_t>(chunks.rows_per_chunk);
      for (const QuadDecoder::OpenTile& open : decoder.open(chunks.chunks[i], gpu_chunk_rows(chunks, i))) {
        const device::QuadTileView& view = open.view;
        const auto offset = static_cast<std::uint64_t>(view.bytes - chunks.chunks[i].data());
        tasks[open.tile.c].push_back({begin(i) + offset, view.lengths_words, view.stream_at,
                                      view.stream_words, view.rows, view.groups,
                                      static_cast<std::uint32_t>(open.tile.column), first + open.tile.row});
      }
    }
    for (std::size_t c = 0; c < classes; ++c) {
      const auto partial =
          std::stable_partition(tasks[c].begin(), tasks[c].end(),
                                [](const device::QuadTask& task) { return task.rows == kQuadTileRows; });
      full_.push_back(static_cast<std::uint32_t>(partial - tasks[c].begin()));
      device::QuadClassView view = decoder.class_view(c);
      lookup_.emplace_back(std::span(view.lookup, kQuadSlots));
      view.lookup = lookup_.back().data();
      views_.push_back(view);
      tasks_.emplace_back(std::span<const device::QuadTask>(tasks[c]));
    }
  }

  bool decodes_ahead(int vectors) const override { return vectors > device::kTensorVectors; }
  void start_decode(const std::uint8_t* bytes, std::int8_t* out, device::Stream stream) override {
    for (std::size_t c = 0; c < views_.size(); ++c) {
      device::quad_decode(views_[c], tasks_[c].data(), static_cast<std::uint32_t>(tasks_[c].size()), bytes,
                          out, stride(), bad(), stream);
    }
  }
  void start_multiply(const std::uint8_t* bytes, const device::Products& products, int vectors,
                      device::Stream stream) override {
    for (std::size_t c = 0; c < views_.size(); ++c) {
      device::quad_multiply(views_[c], tasks_[c].data(), full_[c],
                            static_cast<std::uint32_t>(tasks_[c].size()), bytes, products, vectors, bad(),
                            stream);
    }
  }

 private:
  std::vector<GpuArray<std::uint32_t>> lookup_;
  std::vector<device::QuadClassView> views_;
  std::vector<GpuArray<device::QuadTask>> tasks_;  // of each class, those with all rows first
  std::vector<std::uint32_t> full_;                // how many of them
};

}  // namespace

std::unique_ptr<CodedGpuMatrix> make_quad_gpu_matrix(const QuadDecoder& decoder, const GpuChunks& chunks,
                                                     GpuPlace place) {
  return std::make_unique<QuadGpuMatrix>(decoder, chunks, place);
}

}  // namespace twofold
