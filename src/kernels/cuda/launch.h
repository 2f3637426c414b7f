#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/device/plane_lane.h"
#include "codec/device/quad_lane.h"

// What the host starts on the GPU. Pointers are to its memory; functions return before the kernels are done.
namespace twofold::device {

/// A tile of `quad`; offsets count from the matrix's first byte.
struct QuadTask {
  std::uint64_t bytes;  // where the tile begins
  std::uint32_t lengths_words, stream_at, stream_words, rows, groups;
  std::uint32_t column;  // first
  std::uint64_t row;     // first
};

/// Rows of a chunk of `packed` or `tiered`. Without levels every row is a task, else every chunk.
struct PlaneTask {
  std::uint64_t plane;  // offset of the chunk's plane
  std::uint64_t level[kPlaneLevels];
  std::uint64_t row;         // of the matrix, of the task's first row
  std::uint32_t first;       // the same in the chunk
  std::uint32_t rows;        // of the task
  std::uint32_t chunk_rows;  // of the chunk
};

/// Corrections of a chunk.
struct PlaneCorrectionTask {
  std::uint64_t list;  // offset
  std::uint64_t count;
  std::uint64_t row;  // of the chunk
  std::uint32_t rows;
};

inline constexpr int kMaxPlaneClasses = 16;

/// A table of `packed` or `tiered`.
struct PlaneMatrixView {
  PlaneClassView classes[kMaxPlaneClasses];
  std::uint32_t groups[kMaxPlaneClasses];
  std::uint32_t class_count;
  std::uint32_t row_groups;
  std::int32_t gap_bits, delta_bits;
};

/// Activations and products. `x`: vectors of `stride` activations. `group_sums`: of each vector the sums of
/// its groups. `sums`: of each vector `rows` sums, which products are added to.
struct Products {
  const std::int8_t* x;
  std::size_t stride;
  const std::int32_t* group_sums;
  std::int32_t* sums;
  std::size_t rows;
};

/// `tasks` of one class. *bad becomes 1 when a stream is not what its length says.
void quad_multiply(const QuadClassView& c, const QuadTask* tasks, std::uint32_t count,
                   const std::uint8_t* bytes, const Products& products, int vectors, std::uint32_t* bad);
void quad_decode(const QuadClassView& c, const QuadTask* tasks, std::uint32_t count,
                 const std::uint8_t* bytes, std::int8_t* out, std::size_t stride, std::uint32_t* bad);

/// A class without symbols, of codes of fixed width.
struct PackedClass {
  std::int32_t bits;  // 1-8
  std::int32_t base;  // unsigned_base
  std::uint32_t groups;
  std::uint32_t first;   // group of a row
  std::uint32_t before;  // bytes of a row in the classes before
};

/// A matrix whose classes are all such, class by class; every row is a task. Without corrections.
void packed_multiply(const PackedClass& c, const PlaneTask* tasks, std::uint32_t count,
                     const std::uint8_t* bytes, const Products& products, int vectors);

/// Without corrections.
void plane_multiply(const PlaneMatrixView* matrix, const PlaneTask* tasks, std::uint32_t count,
                    const std::uint8_t* bytes, const Products& products, int vectors);
void plane_decode(const PlaneMatrixView* matrix, const PlaneTask* tasks, std::uint32_t count,
                  const std::uint8_t* bytes, std::int8_t* out, std::size_t stride);
/// The corrections, to products or to decoded weights.
void plane_correct_products(const PlaneMatrixView* matrix, const PlaneCorrectionTask* tasks,
                            std::uint32_t count, const std::uint8_t* bytes, const Products& products,
                            int vectors);
void plane_correct_weights(const PlaneMatrixView* matrix, const PlaneCorrectionTask* tasks,
                           std::uint32_t count, const std::uint8_t* bytes, std::int8_t* out);

/// Rows of `stride` weights as they are.
void raw_multiply(const std::int8_t* weights, const Products& products, int vectors);

}  // namespace twofold::device
