#pragma once

#include <cstddef>

namespace twofold {

// The first byte of the table of `packed` and `tiered`: what follows it.
inline constexpr int kPlaneDense = 0;       // a PlaneTable for the matrix
inline constexpr int kPlaneZerosApart = 1;  // one for the masks and one for the nonzeros, each one class
inline constexpr std::size_t kPlaneZerosHeader = 4;  // of a chunk with zeros apart: bytes of the masks

}  // namespace twofold
