#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/device/ans_lane.h"
#include "codec/device/plane_lane.h"
#include "codec/device/quad_lane.h"

// What the host starts on the GPU, on a stream (a cudaStream_t; nullptr: the default one). Pointers are to
// the GPU's memory; functions return before the kernels are done. `bytes` are those that the tasks' offsets
// count from, at a multiple of 16.
namespace twofold::device {

using Stream = void*;

/// A tile of `quad`.
struct QuadTask {
  std::uint64_t bytes;  // where the tile begins
  std::uint32_t lengths_words, stream_at, stream_words, rows, groups;
  std::uint32_t column;  // first
  std::uint64_t row;     // first
};

/// Rows of a chunk of `packed` or `tiered`. Without levels every row is a task, else every chunk; or a
/// sequence of any length.
struct PlaneTask {
  std::uint64_t plane;  // offset of the chunk's plane
  std::uint64_t level[kPlaneLevels];
  std::uint64_t row;         // of the matrix, of the task's first row
  std::uint32_t first;       // the same in the chunk
  std::uint32_t rows;        // of the task
  std::uint32_t chunk_rows;  // of the chunk
  std::uint32_t groups;      // of a sequence; 0: those of the matrix
};

/// Corrections of a chunk.
struct PlaneCorrectionTask {
  std::uint64_t list;  // offset
  std::uint64_t count;
  std::uint64_t row;  // of the chunk
  std::uint32_t rows;
  std::uint32_t groups;  // as in PlaneTask
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

inline constexpr int kTensorVectors = 32;

/// At most kTensorVectors vectors, as in packed_multiply. `tasks` of one class, those with 16 rows first:
/// `full` of them. *bad becomes 1 when a stream is not what its length says.
void quad_multiply(const QuadClassView& c, const QuadTask* tasks, std::uint32_t full, std::uint32_t count,
                   const std::uint8_t* bytes, const Products& products, int vectors, std::uint32_t* bad,
                   Stream stream);
void quad_decode(const QuadClassView& c, const QuadTask* tasks, std::uint32_t count,
                 const std::uint8_t* bytes, std::int8_t* out, std::size_t stride, std::uint32_t* bad,
                 Stream stream);

/// A class without symbols, of codes of fixed width.
struct PackedClass {
  std::int32_t bits;  // 1-8
  std::int32_t base;  // unsigned_base
  std::uint32_t groups;
  std::uint32_t first;   // group of a row
  std::uint32_t before;  // bytes of a row in the classes before
};

/// A matrix whose classes are all such, class by class; every row is a task. Without corrections. At most
/// kTensorVectors vectors, the room of eight or kTensorVectors of them.
void packed_multiply(const PackedClass& c, const PlaneTask* tasks, std::uint32_t count,
                     const std::uint8_t* bytes, const Products& products, int vectors, Stream stream);

/// Without corrections.
void plane_multiply(const PlaneMatrixView* matrix, const PlaneTask* tasks, std::uint32_t count,
                    const std::uint8_t* bytes, const Products& products, int vectors, Stream stream);
void plane_decode(const PlaneMatrixView* matrix, const PlaneTask* tasks, std::uint32_t count,
                  const std::uint8_t* bytes, std::int8_t* out, std::size_t stride, Stream stream);
/// The corrections, to products or to decoded weights.
void plane_correct_products(const PlaneMatrixView* matrix, const PlaneCorrectionTask* tasks,
                            std::uint32_t count, const std::uint8_t* bytes, const Products& products,
                            int vectors, Stream stream);
void plane_correct_weights(const PlaneMatrixView* matrix, const PlaneCorrectionTask* tasks,
                           std::uint32_t count, const std::uint8_t* bytes, std::int8_t* out,
                           std::size_t stride, Stream stream);

/// A chunk with zeros apart, whose masks and nonzeros are decoded.
struct SpreadTask {
  std::uint64_t masks;     // place in the sequences
  std::uint64_t nonzeros;  // the same, a multiple of 64
  std::uint64_t out;       // where the weights go, a multiple of 64
  std::uint32_t count;     // weights
  std::uint32_t nonzero_groups;
};

/// Puts the nonzeros in their places. *bad becomes 1 when masks are none, or there are too many or too few
/// nonzeros.
void spread_nonzeros(const SpreadTask* tasks, std::uint32_t count, const std::int8_t* sequences,
                     std::int8_t* out, std::uint32_t* bad, Stream stream);

/// A chunk of `ans`.
struct AnsTask {
  std::uint64_t bytes;  // offset of the chunk
  std::uint32_t size;
  std::uint32_t words;  // of the lanes, where they begin in the chunk, an even offset of the matrix; 0: all
                        // weights are in the tail
  std::uint32_t tail;   // weights
  std::uint32_t rows;
  std::uint64_t out;  // where the weights go, a multiple of 64
};

/// Weights in the coded order. *bad becomes 1 when a chunk is broken.
void ans_decode(const AnsMatrixView* matrix, std::uint32_t classes, const AnsTask* tasks, std::uint32_t count,
                const std::uint8_t* bytes, std::int8_t* out, std::uint32_t* bad, Stream stream);

/// Weights in the coded order of `ans` to rows of a matrix.
struct RestoreTask {
  std::uint64_t from;   // the chunk's first weight
  std::uint32_t rows;   // of the chunk
  std::uint32_t first;  // row of the chunk
  std::uint64_t row;    // the same row in the matrix
};

/// Each task up to kAnsBlockRows rows; `cols` columns, filled up with zeros to `stride`.
void restore_order(const AnsOrderView& order, const RestoreTask* tasks, std::uint32_t count,
                   const std::int8_t* from, std::int8_t* out, std::size_t stride, Stream stream);

/// Rows of `stride` weights as they are.
void raw_multiply(const std::int8_t* weights, const Products& products, int vectors, Stream stream);
/// The same by tensor cores, any number of vectors; the sums are stored, not added.
void raw_matmul(const std::int8_t* weights, const Products& products, int vectors, Stream stream);

}  // namespace twofold::device
