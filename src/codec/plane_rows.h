#pragma once

#include "base/cpu.h"
#include "codec/plane_table.h"

namespace twofold {

/// The loops of the plane codecs, one table per instruction set, all with the same result on every chunk that
/// open_plane_chunk accepts.
struct PlaneRows {
  /// Decodes the next rows * groups groups of a class, without corrections: 64 * groups weights a row,
  /// `stride` weights from one row to the next.
  void (*decode)(const PlaneClass& parameters, std::size_t rows, std::size_t groups, PlaneCursor& cursor,
                 std::int8_t* out, std::size_t stride);
  /// Spreads nonzero weights: out[i] = the next of `nonzero` where bit i of `mask` is 1, else 0. `count` is a
  /// multiple of 64; 64 bytes behind the nonzeros can be read.
  void (*spread)(const std::uint8_t* mask, const std::int8_t* nonzero, std::size_t count, std::int8_t* out);
};

const PlaneRows& plane_rows_scalar();
const PlaneRows& plane_rows_avx2();    // x86-64 only
const PlaneRows& plane_rows_avx512();  // x86-64 only
const PlaneRows& plane_rows_neon();    // ARM only

/// The table for an instruction set that this CPU runs.
const PlaneRows& plane_rows(Isa isa);

/// Adds the corrections to `count` decoded rows of `groups` groups.
void correct_decoded(const PlaneTable& table, PlaneCursor& cursor, std::size_t count, std::size_t groups,
                     std::int8_t* out);

/// Decodes the `count` rows of a chunk, columns in the order of the classes, corrections included, into rows
/// of 64 * table.row_groups() weights.
void decode_plane_rows(const PlaneTable& table, const PlaneRows& rows, PlaneCursor& cursor, std::size_t count,
                       std::int8_t* out);

}  // namespace twofold
