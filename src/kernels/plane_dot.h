#pragma once

#include "base/cpu.h"
#include "codec/plane_table.h"

namespace twofold {

/// Products straight from the coded weights of the plane codecs, one function per instruction set, all with
/// the same result: the next row of a chunk times x, less what the bases contribute:
///
///   sum over columns of (w - base of its class) x
///
/// x has 64 * table.row_groups() activations in the order of the classes, zeros where there is no column,
/// none of them -128. A raw class has base 0. Moves the cursor to the next row.
using PlaneDot = std::int32_t (*)(const PlaneTable& table, PlaneCursor& cursor, const std::int8_t* x);

std::int32_t plane_dot_scalar(const PlaneTable& table, PlaneCursor& cursor, const std::int8_t* x);
std::int32_t plane_dot_avx2(const PlaneTable& table, PlaneCursor& cursor, const std::int8_t* x);
std::int32_t plane_dot_avx2vnni(const PlaneTable& table, PlaneCursor& cursor, const std::int8_t* x);
std::int32_t plane_dot_avx512(const PlaneTable& table, PlaneCursor& cursor, const std::int8_t* x);
std::int32_t plane_dot_neon(const PlaneTable& table, PlaneCursor& cursor, const std::int8_t* x);
std::int32_t plane_dot_neondot(const PlaneTable& table, PlaneCursor& cursor, const std::int8_t* x);

/// The function for an instruction set that this CPU runs.
PlaneDot plane_dot(Isa isa);

/// What the bases contribute to every row: sum over columns of base(column) x.
std::int64_t plane_base_sum(const PlaneTable& table, const std::int8_t* x);

}  // namespace twofold
